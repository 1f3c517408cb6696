"""What happens now, for whoever watches: nothing here is stored, and a slow watcher slows nobody."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Stage = Literal["queued", "loading", "drawing", "enlarging", "encoding", "sending"]

MOST_UNREAD = 1_000  # jobs; a watcher that is further behind misses the oldest


@dataclass(frozen=True, slots=True)
class Live:
    """How far an unfinished job is."""

    stage: Stage
    step: int = 0  # of all images of the job together
    steps: int = 0
    percent: int = 0
    position: int | None = None  # 1 is next; None once the engine has it
    starts_at_ms: int | None = None
    can_be_passed: bool = False  # by newcomers: it may start later, as its person has drawn or has other jobs before it
    done_at_ms: int | None = None
    kept_after: Literal["bot", "engine"] | None = None  # it waits again because this one stopped
    paused: tuple[str, int | None] | None = None  # why, and until when if that is known
    previews: Mapping[int, bytes] = field(default_factory=dict)  # JPEG by image index

    @property
    def preview(self) -> bytes | None:
        """The first image's."""
        return self.previews[min(self.previews)] if self.previews else None


class Changes:
    """The ids of jobs that changed, each once however often it changed since it was last read."""

    def __init__(self) -> None:
        self._unread: dict[str, None] = {}
        self._some = asyncio.Event()

    def add(self, job_id: str) -> None:
        self._unread.setdefault(job_id)
        if len(self._unread) > MOST_UNREAD:
            del self._unread[next(iter(self._unread))]
        self._some.set()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        await self._some.wait()
        job_id = next(iter(self._unread))
        del self._unread[job_id]
        if not self._unread:
            self._some.clear()
        return job_id


class Feed:
    def __init__(self) -> None:
        self._live: dict[str, Live] = {}
        self._watchers: set[Changes] = set()

    def live(self, job_id: str) -> Live | None:
        """None once the job is over, and for a job that nobody has heard of."""
        return self._live.get(job_id)

    def show(self, job_id: str, live: Live) -> None:
        if self._live.get(job_id) != live:
            self._live[job_id] = live
            self.changed(job_id)

    def over(self, job_id: str) -> None:
        """The job has left the queue and the engine: what is stored says the rest."""
        self._live.pop(job_id, None)
        self.changed(job_id)

    def changed(self, job_id: str) -> None:
        """Something that is stored of the job is new."""
        for watcher in self._watchers:
            watcher.add(job_id)

    @contextmanager
    def watch(self) -> Iterator[Changes]:
        """Every change from now on: `with feed.watch() as changes: async for job_id in changes: …`."""
        changes = Changes()
        self._watchers.add(changes)
        try:
            yield changes
        finally:
            self._watchers.discard(changes)
