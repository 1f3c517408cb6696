from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.pace import Pace, done_at_ms, percent
from bot.queue import FairQueue


@dataclass
class Someone:
    queue: FairQueue
    person_id: int

    def asks(self, jobs: int = 1, *, cost: float = 1, images: int = 1, is_suspect: bool = False, weight: float = 1):
        for _ in range(jobs):
            name = f"{self.person_id}.{len(self.queue)}"
            self.queue.add(name, self.person_id, cost=cost, images=images, is_suspect=is_suspect, weight=weight)


@pytest.fixture
def queue():
    return FairQueue()


@pytest.fixture
def ada(queue):
    return Someone(queue, 1)


@pytest.fixture
def bob(queue):
    return Someone(queue, 2)


def taken(queue, count):
    """The persons whose jobs come next, one at a time."""
    return [queue.take([]).person_id for _ in range(count)]


def test_one_persons_jobs_keep_their_order(queue, ada):
    ada.asks(3)
    assert [queue.take([]).job_id for _ in range(3)] == ["1.0", "1.1", "1.2"]


def test_fifty_jobs_of_one_do_not_delay_anothers_first(queue, ada, bob):
    ada.asks(50)
    assert taken(queue, 5) == [1] * 5
    bob.asks()
    assert 2 in taken(queue, 2)


def test_two_who_flood_the_queue_take_turns(queue, ada, bob):
    ada.asks(50)
    bob.asks(50)
    assert taken(queue, 20).count(2) == 10


def test_dear_jobs_wait_longer_than_cheap_ones(queue, ada, bob):
    ada.asks(20, cost=8)
    bob.asks(20, cost=2)
    assert taken(queue, 10).count(2) == 8


def test_a_weight_of_two_gets_twice_the_share(queue, ada, bob):
    ada.asks(30)
    bob.asks(30, weight=2)
    assert taken(queue, 18).count(2) == 12


def test_a_waiting_job_is_not_overtaken_for_ever(queue, ada):
    ada.asks(3, cost=4)
    for person_id in range(100, 200):
        Someone(queue, person_id).asks()
    assert taken(queue, 103)[:102].count(1) >= 2
    assert len(queue) == 0


def test_who_rested_has_saved_up_nothing(queue, ada, bob):
    ada.asks(30)
    taken(queue, 20)
    bob.asks(10)
    assert taken(queue, 10).count(1) >= 4


def test_a_job_that_is_put_back_stands_where_it_stood(queue, ada):
    ada.asks(2)
    first = queue.take([])
    queue.put_back(first)
    assert queue.take([]) == first


def test_one_person_fills_the_engine_once(queue, ada):
    ada.asks(3, images=2)
    drawing = [queue.take([])]
    drawing.append(queue.take(drawing))
    assert queue.take(drawing) is None


def test_a_newcomer_joins_an_engine_that_is_full_of_another(queue, ada, bob):
    ada.asks(2, images=4)
    drawing = [queue.take([])]
    bob.asks()
    assert queue.take(drawing).person_id == 2


def test_whose_turn_it_is_is_not_lost_to_a_smaller_job(queue, ada, bob):
    guest = Someone(queue, 3)
    ada.asks(images=4)
    bob.asks(images=3)
    drawing = [queue.take([])]
    drawing.append(queue.take(drawing))
    ada.asks(images=1)
    Someone(queue, 4).asks(images=4)
    guest.asks(images=1)
    assert queue.take(drawing) is None


def test_a_suspect_is_drawn_alone(queue, ada, bob):
    ada.asks(is_suspect=True)
    bob.asks()
    alone = queue.take([])
    assert alone.person_id == 1
    assert queue.take([alone]) is None


def test_a_suspect_waits_until_the_engine_is_empty(queue, ada, bob):
    bob.asks()
    drawing = [queue.take([])]
    ada.asks(is_suspect=True)
    assert queue.take(drawing) is None
    assert queue.take([]).person_id == 1


def test_who_asks_again_and_again_gains_nothing_by_it(queue, ada, bob):
    ada.asks(20)
    order = []
    for _ in range(20):  # as soon as one is taken the next is there
        bob.asks()
        order.append(queue.take([]).person_id)
    assert 8 <= order.count(2) <= 12


def test_newcomers_without_end_keep_nobody_waiting_for_ever(queue, ada):
    ada.asks(3, cost=2)
    order = []
    for person_id in range(100, 400):
        Someone(queue, person_id).asks(cost=2)
        order.append(queue.take([]).person_id)
    assert order.count(1) == 3
    assert order.index(1, 1) < 12


def test_a_light_role_and_a_dear_job_come_in_their_turn(queue, ada, bob):
    ada.asks(1, cost=50, weight=0.1)
    bob.asks(1000, weight=10)
    assert 1 in taken(queue, 1001)


def test_nobody_passes_a_first_job_however_dear_it_is(queue, ada, bob):
    ada.asks(50)
    taken(queue, 5)
    bob.asks(cost=40)
    for person_id in range(100, 150):
        Someone(queue, person_id).asks()
    assert taken(queue, 1) == [2]


def test_a_dear_job_is_paid_for_at_the_next_turns(queue, ada, bob):
    ada.asks(20, cost=8)
    bob.asks(20)
    assert taken(queue, 12) == [1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 2, 2]


def test_once_nobody_waits_nobody_owes(queue, ada, bob):
    ada.asks(cost=50)
    bob.asks()
    taken(queue, 2)
    ada.asks()
    bob.asks()
    assert taken(queue, 2) == [1, 2]


def test_it_is_foretold_who_may_be_passed(queue, ada, bob):
    ada.asks(2)
    bob.asks(2)
    told = {waiting.job_id: can_be_passed for waiting, can_be_passed in queue.forecast()}
    assert told == {"1.0": False, "1.1": True, "2.2": False, "2.3": True}


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.booleans()), max_size=60))
def test_whom_nobody_may_pass_is_passed_only_by_more_of_those_before(steps):
    """What was foretold of them holds but for what people before them add to their turn."""
    queue, before, persons = FairQueue(), {}, {}
    for number, (person_id, cost, takes) in enumerate(steps):
        queue.add(f"{number}", person_id, cost=cost, images=1)
        persons[f"{number}"] = person_id
        ahead = []
        for waiting, can_be_passed in queue.forecast():
            if waiting.job_id == f"{number}" and not can_be_passed:
                before[f"{number}"] = {person_id, *(persons[each] for each in ahead)}
            ahead.append(waiting.job_id)
        if takes:
            job_id = queue.take([]).job_id
            before.pop(job_id, None)
            assert all(persons[job_id] in those for those in before.values())


def test_a_held_job_holds_back_nobody_else(queue, ada, bob):
    ada.asks(2)
    bob.asks(1)
    held = queue.take([], is_held=lambda waiting: waiting.person_id == 1)
    assert held.person_id == 2
    assert queue.take([], is_held=lambda waiting: True) is None
    assert taken(queue, 2) == [1, 1]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9), st.sampled_from([0.5, 1, 3]), st.booleans())))
def test_no_job_is_lost_or_taken_twice_and_the_order_is_what_was_announced(steps):
    queue, there, seen = FairQueue(), set(), set()
    for number, (person_id, cost, weight, takes) in enumerate(steps):
        queue.add(f"{number}", person_id, cost=cost, images=1, weight=weight)
        there.add(f"{number}")
        if takes:
            announced, _ = next(queue.forecast())
            assert queue.take([]) == announced
            seen.add(announced.job_id)
    order = [waiting.job_id for waiting, _ in queue.forecast()]
    assert order == [queue.take([]).job_id for _ in range(len(queue))]
    assert len(order) == len(there) - len(seen)
    assert there == seen | set(order)


def test_an_estimate_follows_what_was_measured(draw):
    pace = Pace()
    assert pace.estimate(draw) is None
    pace.note(draw, 10.0)
    pace.note(draw, 20.0)
    assert pace.estimate(draw) == pytest.approx(13.0)


@pytest.mark.parametrize(
    ("done", "estimate", "expected_ms"), [(0, None, None), (0, 8.0, 9_000), (0, 1.0, 5_000), (50, 8.0, 9_000)]
)
def test_the_end_is_told_by_the_estimate_and_then_by_the_jobs_own_speed(done, estimate, expected_ms):
    assert done_at_ms(started_ms=1_000, now_ms=5_000, percent=done, estimate_seconds=estimate) == expected_ms


@pytest.mark.parametrize(
    ("stage", "step", "quality", "expected"),
    [
        ("loading", 3, "full", 0),
        ("drawing", 10, "full", 75),
        ("drawing", 10, "draft", 95),
        ("enlarging", 5, "full", 85),
    ],
)
def test_percent_counts_the_stages_by_their_share_of_the_work(stage, step, quality, expected):
    assert percent(stage, step, 10, quality) == expected
