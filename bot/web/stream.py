"""Server-sent events: where everything stands, then what changes, until the reader goes."""

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from bot.errors import Refused
from bot.feed import Changes, Feed
from bot.web.documents import Document

if TYPE_CHECKING:
    from bot.web.server import Site

BEAT_SECONDS = 5.0
LEAST_GAP_SECONDS = 0.04  # between two changes: what happens meanwhile is sent once, as it is by then
RETRY_MS = 1000


class Streams:
    """A reader that comes back is sent the whole state again, so nothing depends on what it missed."""

    def __init__(self, feed: Feed, site: "Site"):
        self._feed, self._site = feed, site
        self._ids = itertools.count(1)
        self._open: set[asyncio.Task[object]] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        current = asyncio.current_task()
        assert current is not None
        self._open.add(current)
        try:
            await response.write(f"retry: {RETRY_MS}\n\n".encode())
            with self._feed.watch() as changes, contextlib.suppress(ConnectionError, Refused):
                await self._tell(response, changes)
        finally:
            self._open.discard(current)
        return response

    async def end(self, _app: web.Application) -> None:
        """Hang up on every reader, so that the server can stop."""
        for reader in self._open:
            reader.cancel()

    async def _tell(self, response: web.StreamResponse, changes: Changes) -> None:
        engine = self._site.engine()
        await self._send(response, "state", await self._site.state())
        statuses: dict[str, object] = {}
        while True:
            job_id = await _next(changes)
            if engine != (engine := self._site.engine()):
                await self._send(response, "engine", engine)
            if job_id is None:
                await self._send(response, "beat", {})
            elif job := await self._site.changed(job_id):
                await self._send(response, "job", job)
                if statuses.get(job_id) != job["status"]:
                    statuses[job_id] = job["status"]
                    await self._send(response, "quota", await self._site.quota_now())
            await asyncio.sleep(LEAST_GAP_SECONDS)

    async def _send(self, response: web.StreamResponse, event: str, document: Document) -> None:
        data = msgspec.json.encode(document).decode()
        await response.write(f"id: {next(self._ids)}\nevent: {event}\ndata: {data}\n\n".encode())


async def _next(changes: Changes) -> str | None:
    try:
        async with asyncio.timeout(BEAT_SECONDS):
            return await anext(changes)
    except TimeoutError:
        return None
