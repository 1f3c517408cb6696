"""Hands jobs to the engine in the fair order, and writes down what the engine makes of them."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

from bot.allowances import EVERYWHERE, Scope
from bot.errors import Unavailable
from bot.feed import Feed, Live
from bot.jobs import Image, Job, Status
from bot.pace import Pace, done_at_ms, percent
from bot.queue import FairQueue, Waiting
from bot.store import Halt, Store
from engine.client import Died, LocalEngine, NotReady
from engine.protocol import (
    Cancelled,
    Done,
    Event,
    Failed,
    FailureKind,
    Generate,
    ImageDone,
    ImageWithheld,
    Preview,
    Progress,
    Ready,
)

log = logging.getLogger(__name__)
Result = TypeVar("Result")

WRITE_AGAIN_SECONDS = 1.0
SHOW_AGAIN_SECONDS = 0.0001  # for each job that waits: to tell them their places takes a tenth of that


@dataclass(slots=True)
class Drawing:
    """A job that the engine has."""

    job: Job
    waiting: Waiting  # where it stood in the queue
    started_ms: int
    live: Live = field(default_factory=lambda: Live("loading"))
    images: set[int] = field(default_factory=set)
    withheld: set[int] = field(default_factory=set)  # of those, by the safety check
    is_cancelled: bool = False


class Dispatch:
    def __init__(
        self,
        store: Store,
        engine: LocalEngine,
        feed: Feed,
        *,
        spool: Path,
        now_ms: Callable[[], int],
        wake_delivery: Callable[[], None],
        warm_model: str | None = None,  # loaded as soon as the engine is up, before anybody asks
    ):
        self._store, self._engine, self._feed, self._warm_model = store, engine, feed, warm_model
        self._spool, self._now_ms, self._wake_delivery = spool, now_ms, wake_delivery
        self._queue, self._pace = FairQueue(), Pace()
        self._jobs: dict[str, Job] = {}  # waiting in the queue
        self._kept_after: dict[str, Literal["bot", "engine"]] = {}  # of those that wait again
        self._drawing: dict[str, Drawing] = {}
        self._pauses: dict[Scope, Halt] = {}
        self._wake, self._moved = asyncio.Event(), asyncio.Event()
        self._idle = asyncio.Event()  # the engine has none of our jobs
        self._is_draining = False
        self.engine_name: str | None = None  # version, device and dtype of the engine, as jobs record it

    async def run(self) -> None:
        """Resume what the last process left, then move jobs on until cancelled."""
        await asyncio.to_thread(_sweep_unfinished_files, self._spool)
        for job in reversed(await self._store.drawn_lately()):
            self._pace.note(job.request, job.gpu_seconds or 0.0)
        for job in await self._store.resume(self._now_ms()):
            self._kept_after[job.id] = "bot"
            self._wait(job)
        await self.look_at_pauses()
        await self._engine.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._admit())
            group.create_task(self._show_queue())

    async def drain(self) -> None:
        """Hand the engine nothing more; return once it has drawn what it has. The queue stays in the store."""
        self._is_draining = True
        self._idle.clear()
        self._wake.set()
        await self._idle.wait()

    def add(self, jobs: Iterable[Job]) -> None:
        """Take up jobs that were accepted; those it already has stay where they are."""
        for job in jobs:
            if job.status == Status.QUEUED:
                self._wait(job)

    async def look_at_pauses(self) -> None:
        """What is paused now, everywhere or at one place; what the engine has is drawn all the same."""
        self._pauses = await self._store.rules.pauses(self._now_ms())
        self._wake.set()

    async def cancel(self, job_id: str) -> None:
        """Forget a job that is cancelled in the store, or have the engine end it."""
        self._queue.remove(job_id)
        self._jobs.pop(job_id, None)
        self._kept_after.pop(job_id, None)
        self._wake.set()
        if drawing := self._drawing.get(job_id):
            drawing.is_cancelled = True
            await self._engine.cancel(job_id)
        self._feed.over(job_id)
        self._wake_delivery()

    def backlog_seconds(self) -> float | None:
        """Device time of everything that waits or is drawn; None while nothing was measured."""
        left = [self._left(drawing) for drawing in self._drawing.values()]
        estimates = left + [self._pace.estimate(job.request) for job in self._jobs.values()]
        known = [seconds for seconds in estimates if seconds is not None]
        return sum(known) if len(known) == len(estimates) else None

    def _wait(self, job: Job) -> None:
        if job.id in self._jobs or job.id in self._drawing:
            return
        self._jobs[job.id] = job
        self._queue.add(
            job.id,
            job.person_id,
            cost=job.units,
            images=job.request.count,
            weight=job.weight,
            is_suspect=job.deaths > 0,
        )
        self._wake.set()

    async def _admit(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._fill()
            except Exception:
                log.exception("a job could not be handed to the engine")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_seconds()):
                    await self._wake.wait()

    async def _fill(self) -> None:
        while (waiting := self._next()) is not None:
            await self._hand_over(waiting)
        if not self._drawing:
            self._idle.set()
        self._moved.set()

    def _next(self) -> Waiting | None:
        if self._engine.ready is None or self._is_draining:
            return None
        drawing = [each.waiting for each in self._drawing.values()]
        return self._queue.take(drawing, is_held=lambda waiting: self._pause_of(self._jobs[waiting.job_id]) is not None)

    def _pause_of(self, job: Job) -> Halt | None:
        """What keeps the job from being drawn now."""
        for scope in (EVERYWHERE, job.place.workspace):
            pause = self._pauses.get(scope)
            if pause and (pause.ends_ms is None or pause.ends_ms > self._now_ms()):
                return pause
        return None

    def _pause_seconds(self) -> float | None:
        """Until the first pause ends, or at most a minute, since a clock may be set; None while there is none."""
        ends = [pause.ends_ms for pause in self._pauses.values() if pause.ends_ms and pause.ends_ms > self._now_ms()]
        return min(60.0, (min(ends) - self._now_ms()) / 1000) if ends else None

    async def _hand_over(self, waiting: Waiting) -> None:
        job = self._jobs.pop(waiting.job_id)
        self._kept_after.pop(job.id, None)
        now_ms = self._now_ms()
        drawing = self._drawing[job.id] = Drawing(job, waiting, now_ms)
        if not await self._surely(lambda: self._store.started(job.id, now_ms)):
            del self._drawing[job.id]  # cancelled meanwhile
            return
        self._feed.show(job.id, drawing.live)
        spool_dir = self._spool / job.id
        try:
            spool_dir.mkdir(mode=0o700, exist_ok=True)
            await self._engine.generate(
                Generate(
                    job_id=job.id,
                    owner=job.person_id,
                    weight=job.weight,
                    request=job.request,
                    spool_dir=str(spool_dir),
                    if_flagged=job.if_flagged,
                    is_unchecked=job.is_unchecked,
                )
            )
        except NotReady:
            await self._put_back(drawing)
        except OSError as error:
            await self._fail(job.id, "internal", f"no spool directory: {error}")
        if drawing.is_cancelled:
            await self._engine.cancel(job.id)

    async def _put_back(self, drawing: Drawing) -> None:
        del self._drawing[drawing.job.id]
        if await self._surely(lambda: self._store.put_back(drawing.job.id, self._now_ms())):
            self._requeue(drawing, drawing.waiting)

    def _requeue(self, drawing: Drawing, waiting: Waiting) -> None:
        self._jobs[drawing.job.id] = drawing.job
        self._queue.put_back(waiting)

    async def _listen(self) -> None:
        async for event in self._engine.events():
            try:
                await self._take_in(event)
            except Exception:
                log.exception("an event of the engine could not be taken in: %s", type(event).__name__)

    async def _take_in(self, event: Event | Died) -> None:
        if isinstance(event, Ready):
            self.engine_name = f"{event.version} {event.device} {event.dtype}"
            log.info("the engine is ready: %s, %s, %s", event.device, event.device_name, event.dtype)
            if self._warm_model:
                await self._engine.load(self._warm_model)
            self._wake.set()
        elif isinstance(event, Died):
            await self._requeue_after(event)
        elif drawing := self._drawing.get(event.job_id):
            await self._take_in_of(drawing, event)

    async def _take_in_of(self, drawing: Drawing, event: Event) -> None:
        match event:
            case Progress():
                self._show_progress(drawing, event)
            case Preview(index=index, jpeg=jpeg):
                self._show(drawing, replace(drawing.live, previews={**drawing.live.previews, index: jpeg}))
            case ImageDone():
                await self._keep_image(drawing, event)
            case ImageWithheld():
                await self._note_withheld(drawing, event)
            case Done():
                await self._finish(drawing, event)
            case Failed(kind=kind, detail=detail):
                await self._fail(drawing.job.id, kind, detail)
            case Cancelled():
                await self._drop(drawing.job.id)

    def _show_progress(self, drawing: Drawing, event: Progress) -> None:
        request, before = drawing.job.request, drawing.live
        done = max(before.percent, percent(event.stage, event.step, event.steps, request.quality))
        at_ms = done_at_ms(
            started_ms=drawing.started_ms,
            now_ms=self._now_ms(),
            percent=done,
            estimate_seconds=self._pace.estimate(request),
        )
        live = replace(before, stage=event.stage, step=event.step, steps=event.steps, percent=done, done_at_ms=at_ms)
        self._show(drawing, live)

    def _show(self, drawing: Drawing, live: Live) -> None:
        drawing.live = live
        if not drawing.is_cancelled:
            self._feed.show(drawing.job.id, live)

    async def _keep_image(self, drawing: Drawing, event: ImageDone) -> None:
        path, job_id = Path(event.path).resolve(), drawing.job.id
        if path.parent != (self._spool / job_id).resolve() or not 0 <= event.index < drawing.job.request.count:
            log.error("job %s: the engine named a file outside the job's own: %s", job_id, path)
            return
        size = event.width, event.height
        await self._keep(
            drawing, Image(event.index, event.seed, "done", str(path), event.sha256, *size, event.is_flagged)
        )

    async def _note_withheld(self, drawing: Drawing, event: ImageWithheld) -> None:
        """Nothing of it is on disk; it will not be charged."""
        request = drawing.job.request
        log.info("job %s: image %d is withheld by the safety check", drawing.job.id, event.index)
        drawing.withheld.add(event.index)
        await self._keep(
            drawing, Image(event.index, event.seed, "withheld", "", "", request.width, request.height, True)
        )

    async def _keep(self, drawing: Drawing, image: Image) -> None:
        job_id = drawing.job.id
        await self._surely(lambda: self._store.image_done(job_id, image))
        drawing.images.add(image.index)
        drawing.live = replace(drawing.live, previews=_without(drawing.live.previews, image))
        self._feed.changed(job_id)

    async def _finish(self, drawing: Drawing, done: Done) -> None:
        job_id, request, engine = drawing.job.id, drawing.job.request, self.engine_name or ""
        if len(drawing.images) < request.count:
            await self._fail(job_id, "internal", "the engine left out an image")
            return
        if drawing.images == drawing.withheld:
            await self._fail(job_id, "unsafe", "every image is withheld")
            return
        self._pace.note(request, done.gpu_seconds)
        now_ms = self._now_ms()
        if not await self._surely(
            lambda: self._store.rendered(
                job_id, gpu_seconds=done.gpu_seconds, engine=engine, now_ms=now_ms, model_hash=done.model_hash
            )
        ):
            await self._drop(job_id)  # cancelled before the engine knew
            return
        del self._drawing[job_id]
        self._feed.show(job_id, replace(drawing.live, stage="sending", percent=100))
        self._wake_delivery()
        self._wake.set()

    async def _fail(self, job_id: str, kind: FailureKind, detail: str) -> None:
        log.warning("job %s failed (%s): %s", job_id, kind, detail)
        await self._surely(lambda: self._store.failed(job_id, kind, detail, self._now_ms()))
        await self._drop(job_id)

    async def _drop(self, job_id: str) -> None:
        """The job brings no images: its files go, and its end is shown."""
        self._drawing.pop(job_id, None)
        await asyncio.to_thread(shutil.rmtree, self._spool / job_id, ignore_errors=True)
        self._feed.over(job_id)
        self._wake_delivery()
        self._wake.set()

    async def _requeue_after(self, died: Died) -> None:
        lost = await self._surely(lambda: self._store.engine_died(died.job_ids, died.reason, self._now_ms()))
        for job_id in died.job_ids:
            drawing = self._drawing.get(job_id)
            if job_id in lost or drawing is None or drawing.is_cancelled:
                await self._drop(job_id)
                continue
            del self._drawing[job_id]
            self._kept_after[job_id] = "engine"
            self._requeue(drawing, replace(drawing.waiting, is_suspect=True))
        self._wake.set()

    async def _surely(self, write: Callable[[], Awaitable[Result]]) -> Result:
        """What the engine did is not undone by a full disk: it is written as soon as that can be."""
        while True:
            try:
                return await write()
            except Unavailable as error:
                log.warning("%s; trying again in %.0f s", error.reason, WRITE_AGAIN_SECONDS)
                await asyncio.sleep(WRITE_AGAIN_SECONDS)

    async def _show_queue(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            self._show_places()
            await asyncio.sleep(SHOW_AGAIN_SECONDS * len(self._queue))

    def _show_places(self) -> None:
        ahead: float | None = sum(self._left(drawing) or 0.0 for drawing in self._drawing.values())
        drawn = {drawing.job.person_id for drawing in self._drawing.values()}
        for position, (waiting, can_be_passed) in enumerate(self._queue.forecast(), 1):
            own = self._pace.estimate(self._jobs[waiting.job_id].request)
            after = None if own is None or ahead is None else ahead + own
            pause = self._pause_of(self._jobs[waiting.job_id])
            live = Live(
                "queued",
                position=position,
                starts_at_ms=None if pause else self._in_ms(ahead if own else None),
                can_be_passed=can_be_passed or self._jobs[waiting.job_id].person_id in drawn,
                done_at_ms=None if pause else self._in_ms(after),
                kept_after=self._kept_after.get(waiting.job_id),
                paused=(pause.reason, pause.ends_ms) if pause else None,
            )
            self._feed.show(waiting.job_id, live)
            ahead = after

    def _left(self, drawing: Drawing) -> float | None:
        seconds = self._pace.estimate(drawing.job.request)
        return None if seconds is None else seconds * (100 - drawing.live.percent) / 100

    def _in_ms(self, seconds: float | None) -> int | None:
        return None if seconds is None else self._now_ms() + int(seconds * 1000)


def _without(previews: Mapping[int, bytes], image: Image) -> Mapping[int, bytes]:
    """Of an image that the safety check flagged no preview is shown on."""
    return {index: jpeg for index, jpeg in previews.items() if index != image.index or not image.is_flagged}


def _sweep_unfinished_files(spool: Path) -> None:
    for file in spool.glob("*/*.tmp*"):
        file.unlink(missing_ok=True)
