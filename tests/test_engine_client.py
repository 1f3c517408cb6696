"""The client against real children that draw, die, hang and lie."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from engine.client import Died, LocalEngine, NotReady
from engine.protocol import Cancelled, Done, Draw, Event, Failed, Generate, ImageDone, Progress, Ready

pytestmark = pytest.mark.filterwarnings("error")


def draw(**changes):
    fields = dict(
        prompt="a red car", negative_prompt=None, model="builtin", seed=7, count=1, steps=4, guidance_scale=4.0,
        scheduler="euler", width=64, height=64, quality="draft",
    )  # fmt: skip
    return Draw(**(fields | changes))


@pytest.fixture
def job(tmp_path):
    def make(job_id: str, **changes) -> Generate:
        spool = tmp_path / job_id
        spool.mkdir(exist_ok=True)
        return Generate(job_id=job_id, owner=1, weight=1.0, request=draw(**changes), spool_dir=str(spool))

    return make


@pytest.fixture
def faults(tmp_path, monkeypatch):
    file = tmp_path / "faults"
    file.write_text("")
    monkeypatch.setenv("LIMNER_FAKE_FAULTS", str(file))
    return lambda *lines: file.write_text("".join(f"{line}\n" for line in lines))


@contextlib.asynccontextmanager
async def running(**options) -> AsyncIterator[tuple[LocalEngine, AsyncIterator[Event | Died]]]:
    engine = LocalEngine("tests.fake_engine", **options)
    events = engine.events()
    await engine.start()
    try:
        yield engine, events
    finally:
        await engine.close()


async def until(events, *kinds):
    """The next event of one of these kinds."""
    async with asyncio.timeout(30):
        async for event in events:
            if isinstance(event, kinds):
                return event


async def test_a_job_comes_back_as_files_with_their_sizes_and_seeds(job, tmp_path):
    async with running() as (engine, events):
        await until(events, Ready)
        await engine.generate(job("k7q2", count=2))
        images = [await until(events, ImageDone), await until(events, ImageDone)]
        assert isinstance(await until(events, Done, Failed), Done)
    assert [image.seed for image in images] == [7, 8]
    with Image.open(images[0].path) as picture:
        assert picture.size == (64, 64)
    assert {file.name for file in (tmp_path / "k7q2").iterdir()} == {
        f"{index}.{kind}" for index in (0, 1) for kind in ("png", "jpg", "strip.jpg")
    }


async def test_nothing_is_taken_before_the_engine_is_ready(job):
    with pytest.raises(NotReady):
        await LocalEngine("tests.fake_engine").generate(job("k7q2"))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("exit 2", "left with status 1"),
        ("kill", "killed by SIGKILL"),
        ("garbage", "no message"),
        ("hang 3", "no progress"),
    ],
)
async def test_a_faulty_engine_is_started_again_and_its_job_named(fault, reason, job, faults):
    faults(fault)
    async with running(hang_seconds=0.5) as (engine, events):
        await until(events, Ready)
        await engine.generate(job("k7q2"))
        died = await until(events, Died)
        assert died.job_ids == ("k7q2",)
        assert reason in died.reason
        await until(events, Ready)
        await engine.generate(job("k7q2"))
        await until(events, Done)


async def test_a_job_that_comes_while_a_model_loads_may_be_silent_for_longer(job, monkeypatch):
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "1.5")
    async with running(hang_seconds=0.5) as (engine, events):
        await until(events, Ready)
        await engine.load("builtin")
        await engine.generate(job("k7q2", steps=1))
        assert isinstance(await until(events, Done, Died), Done)


async def test_an_engine_that_dies_at_start_says_its_last_words(faults):
    faults("start")
    async with running() as (_, events):
        assert "told to die at start" in (await until(events, Died)).reason
        await until(events, Ready)


async def test_a_cancelled_job_stops_within_a_step(job):
    async with running() as (engine, events):
        await until(events, Ready)
        await engine.generate(job("long", steps=100_000))
        await until(events, Progress)
        await engine.cancel("long")
        assert (await until(events, Cancelled, Done)) == Cancelled(job_id="long")


async def test_a_reported_failure_leaves_the_engine_alive(job, faults):
    faults("fail out_of_memory")
    async with running() as (engine, events):
        await until(events, Ready)
        await engine.generate(job("big"))
        assert (await until(events, Failed)).kind == "out_of_memory"
        await engine.generate(job("small"))
        assert (await until(events, Done, Died)).job_id == "small"


async def test_no_token_of_the_bot_is_in_the_childs_environment(monkeypatch):
    monkeypatch.setenv("LIMNER_DISCORD_TOKEN", "canary-5f2")
    async with running() as (engine, events):
        await until(events, Ready)
        with open(f"/proc/{engine.pid}/environ", "rb") as environ:
            assert b"canary-5f2" not in environ.read()


async def test_the_child_is_gone_when_the_engine_is_closed():
    async with running() as (engine, events):
        await until(events, Ready)
        pid = engine.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


async def test_an_engine_that_cannot_be_started_for_a_moment_is_started_later(monkeypatch):
    async with running() as (engine, events):
        await until(events, Ready)
        spawn, fails = asyncio.create_subprocess_exec, [BlockingIOError(11, "Resource temporarily unavailable")]

        async def scarce(*args, **options):
            if fails:
                raise fails.pop()
            return await spawn(*args, **options)

        monkeypatch.setattr(asyncio, "create_subprocess_exec", scarce)
        os.kill(engine.pid, signal.SIGKILL)
        await until(events, Died)
        async with asyncio.timeout(10):
            await until(events, Ready)


async def test_an_engine_that_prints_a_line_without_end_is_still_heard_and_started_again(tmp_path, monkeypatch):
    (tmp_path / "chatty.py").write_text(
        "from tests import fake_engine\n"
        "def run(channel):\n    print('x' * 200_000, flush=True)\n    fake_engine.run(channel)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    engine = LocalEngine("chatty")
    events = engine.events()
    await engine.start()
    try:
        async with asyncio.timeout(20):
            await until(events, Ready)
            os.kill(engine.pid, signal.SIGKILL)
            await until(events, Died)
            await until(events, Ready)
    finally:
        await engine.close()


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="this system has no signals without a name")
async def test_an_engine_that_died_of_a_signal_without_a_name_is_started_again():
    async with running() as (engine, events):
        await until(events, Ready)
        os.kill(engine.pid, signal.SIGRTMIN + 1)
        async with asyncio.timeout(20):
            assert f"signal {signal.SIGRTMIN + 1}" in (await until(events, Died)).reason
            await until(events, Ready)
