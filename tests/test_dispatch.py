import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest

from bot import wording
from bot.errors import Unavailable
from bot.jobs import Identity
from bot.pace import Pace
from bot.store import open_store
from engine.protocol import Done, ImageDone, Ready
from tests.house import NO_LIMITS, PAGE, House, wanted


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """Writes the script of the next jobs, a line each."""
    file = tmp_path / "faults"
    file.touch()
    monkeypatch.setenv("LIMNER_FAKE_FAULTS", str(file))
    return lambda *lines: file.write_text("\n".join(lines) + "\n")


async def test_a_job_is_drawn_delivered_and_charged(house, ada, clock, draw):
    [job_id] = await house.accept(ada, wanted(draw, units=4, count=2))
    job = await house.end_of(job_id)
    assert (job.status, [image.seed for image in job.images]) == ("delivered", [7, 8])
    assert job.model_hash == "fake"
    assert all(Path(image.path).is_file() for image in job.images)
    assert (await house.store.account(ada, clock())).charged == 4


async def test_progress_and_previews_are_there_to_be_watched(house, ada, draw):
    [job_id] = await house.accept(ada, wanted(draw, steps=40))
    await house.until(job_id, lambda job, live: live and live.stage == "drawing" and live.percent > 0)
    await house.until(job_id, lambda job, live: job.status.is_over or (live and live.preview))
    await house.end_of(job_id)
    assert house.feed.live(job_id) is None


async def test_those_who_wait_know_their_place(house, ada, draw):
    job_ids = await house.accept(ada, *[wanted(draw, count=4, steps=40)] * 3)
    await house.until(job_ids[2], lambda job, live: live and live.position == 2 and live.can_be_passed)
    await house.until(job_ids[2], lambda job, live: live and live.position == 1)
    await house.end_of(job_ids[2])


async def test_a_drain_ends_what_is_drawn_and_begins_nothing(house, ada, draw):
    first, second = await house.accept(ada, *[wanted(draw, count=4, steps=40)] * 2)
    await house.until(first, lambda job, live: live and live.stage == "drawing")
    await house.dispatch.drain()
    assert (await house.end_of(first)).status == "delivered"
    assert (await house.store.job(second)).status == "queued"


@pytest.mark.parametrize("fault", ["kill 2", "exit", "garbage 2"])
async def test_a_job_whose_engine_died_goes_on_and_is_charged_once(house, ada, clock, draw, faults, fault):
    faults(fault)
    [job_id] = await house.accept(ada, wanted(draw))
    job = await house.end_of(job_id)
    assert (job.status, job.attempts) == ("delivered", 2)
    assert (await house.store.account(ada, clock())).charged == 1


async def test_a_job_is_said_to_be_kept_while_the_engine_restarts(house, ada, draw, faults):
    faults("kill 2")
    [job_id] = await house.accept(ada, wanted(draw))
    await house.until(job_id, lambda job, live: live and live.kept_after == "engine" and live.position == 1)
    assert (await house.end_of(job_id)).status == "delivered"


async def test_a_job_that_kills_the_engine_twice_fails_alone(house, ada, clock, draw, faults):
    faults("kill 2", "kill 2")
    [first_id] = await house.accept(ada, wanted(draw, units=2, count=2))
    await house.until(first_id, lambda job, live: job.attempts == 2)
    [second_id] = await house.accept(ada, wanted(draw, units=2, count=2), key="second")
    first, second = await house.end_of(first_id), await house.end_of(second_id)
    assert (first.status, first.failure, second.status) == ("failed", "internal", "delivered")
    assert (await house.store.account(ada, clock())).charged == second.units
    assert await house.store.ledger_problems() == []


async def test_a_failed_job_is_released_and_leaves_no_files(house, ada, clock, draw, faults):
    faults("fail out_of_memory")
    [job_id] = await house.accept(ada, wanted(draw))
    job = await house.end_of(job_id)
    assert (job.status, job.failure) == ("failed", "out_of_memory")
    await house.until(job_id, lambda job, live: not (house.spool / job_id).exists())
    assert (await house.store.account(ada, clock())).reserved == 0


async def test_a_job_is_cancelled_while_it_is_drawn(house, ada, draw):
    [job_id] = await house.accept(ada, wanted(draw, steps=10_000))
    await house.until(job_id, lambda job, live: live and live.stage == "drawing")
    await house.store.cancelled(job_id, 0)
    await house.dispatch.cancel(job_id)
    [next_id] = await house.accept(ada, wanted(draw), key="next")
    assert (await house.end_of(next_id)).status == "delivered"
    assert not (house.spool / job_id).exists()


async def test_a_job_is_cancelled_while_it_waits(house, ada, draw):
    job_ids = await house.accept(ada, *[wanted(draw, count=4)] * 3)
    await house.store.cancelled(job_ids[1], 0)
    await house.dispatch.cancel(job_ids[1])
    ends = [(await house.end_of(job_id)).status for job_id in job_ids]
    assert ends == ["delivered", "cancelled", "delivered"]


async def test_what_the_last_process_accepted_goes_on(tmp_path, clock, draw):
    store = await open_store(tmp_path)
    person = await store.person(Identity("web", "", "ada"), is_operator=False, now_ms=clock())
    waiting = await store.submit(person, PAGE, [wanted(draw)] * 2, key="key", limits=NO_LIMITS, now_ms=clock())
    await store.started(waiting[0].id, clock())
    orphan = tmp_path / "spool" / waiting[0].id / "0.png.tmp-12"
    orphan.parent.mkdir()
    orphan.touch()
    house = House(store, clock, tmp_path)
    house.open()
    await house.until(waiting[1].id, lambda job, live: live and live.kept_after == "bot")
    ends = [(await house.end_of(job.id)).status for job in waiting]
    await house.close()
    await store.close()
    assert (ends, orphan.exists()) == (["delivered"] * 2, False)


class Puppet:
    """An engine that says what it is told to."""

    def __init__(self):
        self.ready, self.generated, self._events = None, asyncio.Queue(), asyncio.Queue()

    async def start(self):
        self.ready = Ready(version="1", device="cpu", device_name="puppet", dtype="float32", models=["builtin"])
        self.says(self.ready)

    def says(self, *events):
        for event in events:
            self._events.put_nowait(event)

    async def generate(self, command):
        self.generated.put_nowait(command)

    async def cancel(self, job_id): ...

    async def events(self):
        while True:
            yield await self._events.get()

    async def close(self): ...


def image(job_id, path):
    return ImageDone(job_id=job_id, index=0, seed=7, path=str(path), sha256="ab", width=64, height=64)


@pytest.fixture
async def puppet_house(store, clock, tmp_path):
    house = House(store, clock, tmp_path / "data", Puppet())
    house.open()
    yield house
    await house.close()


@pytest.mark.parametrize("path", ["/etc/passwd", "{spool}/other/0.png", "{spool}/{job}/../other/0.png", None])
async def test_an_engine_that_names_a_file_of_its_own_choice_is_not_believed(puppet_house, ada, draw, path):
    house = puppet_house
    [job_id] = await house.accept(ada, wanted(draw))
    await house.engine.generated.get()
    if path:
        house.engine.says(image(job_id, path.format(spool=house.spool, job=job_id)))
    house.engine.says(Done(job_id=job_id, gpu_seconds=1))
    job = await house.end_of(job_id)
    assert (job.status, job.failure, job.images) == ("failed", "internal", ())


async def test_what_was_drawn_is_written_once_the_disk_has_room(puppet_house, ada, draw, monkeypatch):
    house, refusals = puppet_house, [Unavailable("the disk is full")] * 2
    rendered = house.store.rendered

    async def full_twice(*args, **kwargs):
        if refusals:
            raise refusals.pop()
        return await rendered(*args, **kwargs)

    monkeypatch.setattr(house.store, "rendered", full_twice)
    monkeypatch.setattr("bot.dispatch.WRITE_AGAIN_SECONDS", 0)
    [job_id] = await house.accept(ada, wanted(draw))
    await house.engine.generated.get()
    house.engine.says(image(job_id, house.spool / job_id / "0.png"), Done(job_id=job_id, gpu_seconds=1))
    assert (await house.end_of(job_id)).status == "delivered"


async def test_what_the_safety_check_withholds_is_not_charged(house, ada, clock, draw, faults):
    faults("flag 1")
    [job_id] = await house.accept(ada, wanted(draw, units=8, count=4))
    job = await house.end_of(job_id)
    assert job.status == "delivered"
    assert [image.status for image in job.images] == ["done", "withheld", "done", "done"]
    assert (await house.store.account(ada, clock())).charged == 6
    assert not list((house.spool / job_id).glob("1.*"))
    assert "1 withheld by the safety check · 6 units" in wording.done_line(job)
    assert await house.store.ledger_problems() == []


async def test_a_job_of_which_everything_is_withheld_has_failed_and_costs_nothing(house, ada, clock, draw, faults):
    faults("flag 0 1")
    [job_id] = await house.accept(ada, wanted(draw, units=4, count=2))
    job = await house.end_of(job_id)
    assert (job.status, job.failure) == ("failed", "unsafe")
    assert wording.status_line(job, None, str) == "image withheld by the safety check, 4 units returned"
    assert (await house.store.account(ada, clock())).charged == 0
    await house.until(job_id, lambda job, live: live is None)  # its files go after its end is written down
    assert not (house.spool / job_id).exists()


async def test_what_is_flagged_is_kept_and_marked_where_it_may_be_seen(house, ada, draw, faults):
    faults("flag 0")
    [job_id] = await house.accept(ada, replace(wanted(draw, count=2), if_flagged="keep"))
    job = await house.end_of(job_id)
    assert [(image.status, image.is_flagged) for image in job.images] == [("done", True), ("done", False)]


@pytest.mark.parametrize("seconds", [math.inf, math.nan, -1.0])
async def test_a_device_time_that_is_none_stops_nothing(house, ada, clock, draw, seconds):
    finish = house.dispatch._finish

    async def mistaken(drawing, done):
        await finish(drawing, Done(job_id=done.job_id, gpu_seconds=seconds, model_hash=done.model_hash))

    house.dispatch._finish = mistaken
    [job_id] = await house.accept(ada, wanted(draw), key="a")
    await house.end_of(job_id)
    ids = [job_id for n in range(12) for job_id in await house.accept(ada, wanted(draw), key=f"b{n}")]
    async with asyncio.timeout(20):
        await house.end_of(ids[-1])
    pace = Pace()  # as at the next start
    for job in await house.store.drawn_lately():
        pace.note(job.request, job.gpu_seconds or 0.0)
        assert math.isfinite(pace.estimate(job.request) or 0.0)
