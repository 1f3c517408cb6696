import pytest

from engine.ticks import Running, charge, next_batch, welcome


def images(owner: int, names: str, group: str = "sd", weight: float = 1.0) -> list[Running]:
    return [Running(name, owner=owner, weight=weight, group=group, cost=1.0) for name in names]


def names(batch: list[Running]) -> str:
    return "".join(str(image.image_id) for image in batch)


@pytest.mark.parametrize(
    ("running", "served", "cap", "batch"),
    [
        ([], {}, 4, ""),
        (images(1, "abcdef"), {}, 4, "abcd"),
        (images(1, "abcd") + images(2, "x"), {}, 2, "ax"),
        (images(1, "abcd") + images(2, "x"), {1: 9.0, 2: 0.0}, 1, "x"),
        (images(1, "ab") + images(2, "xy") + images(3, "s"), {}, 4, "axsb"),
        (images(1, "abc", weight=2.0) + images(2, "xyz"), {}, 3, "axb"),
    ],
)
def test_owners_take_turns(running, served, cap, batch):
    assert names(next_batch(running, served, cap)) == batch


def test_a_batch_is_of_one_group():
    running = images(1, "ab", "sd") + images(2, "x", "xl") + images(3, "c", "sd")
    assert names(next_batch(running, {}, cap=4)) == "acb"


def test_a_short_job_of_another_model_gets_the_next_tick():
    served = {}
    long, short = images(1, "a", "sd"), images(2, "x", "turbo")
    charge(served, next_batch(long, served, cap=4))
    welcome(served, 2, active={1})
    charge(served, next_batch(long, served, cap=4))
    assert names(next_batch(long + short, served, cap=4)) == "x"


def test_every_owner_gets_their_share_over_many_ticks():
    served, steps = {}, {1: 0, 2: 0, 3: 0}
    running = images(1, "abcdefgh") + images(2, "x") + images(3, "s", "xl", weight=2.0)
    for owner in steps:
        welcome(served, owner, active={1, 2, 3})
    for _ in range(400):
        batch = next_batch(running, served, cap=1)
        charge(served, batch)
        steps[batch[0].owner] += 1
    assert steps == {1: 100, 2: 100, 3: 200}


def test_idle_time_earns_no_credit():
    served = {1: 50.0}
    welcome(served, 2, active={1})
    assert served[2] == 50.0


def test_an_owner_who_left_is_forgotten():
    served = {1: 50.0, 2: 3.0}
    welcome(served, 3, active={1})
    assert served == {1: 50.0, 3: 50.0}
