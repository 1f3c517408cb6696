"""What goes wrong on demand: refusals, dropped connections, slowness, rate limits."""

from typing import Any

from tests.discord_api.faults import Bucket, Fault
from tests.discord_api.faults import Faults as Scripted

UPSTREAM = "upstream connect error or disconnect/reset before headers"


class Faults(Scripted):
    """`pattern` is a method like `chat.update`, a regular expression over methods, `upload`, `response_url`,
    or `download`."""

    def fail(
        self,
        pattern: str,
        *,
        error: str | None = None,
        status: int | None = None,
        times: int | None = 1,
        after: bool = False,
        drop: bool = False,
        retry_after: int | None = None,
        **more: Any,
    ) -> Fault:
        """Answers with an error (`error="is_archived"`, `status=502`, `retry_after=3`) or breaks the connection off
        (`drop=True`); `after`: although it was done. What else is given stands in the answer."""
        headers: dict[str, str] = {}
        if retry_after is not None:
            status, error = 429, "ratelimited"
            headers["Retry-After"] = str(retry_after)
        status = status or (200 if error else 500)
        body = {"ok": False, "error": error, **more} if error else None
        return self._add(Fault(None, pattern, times, after, status, body, headers, drop))

    def slow(self, seconds: float, pattern: str, *, times: int | None = None, after: bool = False) -> Fault:
        """Answers late; `after`: what was asked for is done at once."""
        return self._add(Fault(None, pattern, times, after, seconds=seconds))

    def hold(self, pattern: str, *, times: int | None = None, after: bool = False) -> Fault:
        """Keeps requests waiting until its `release()`; its `hits` says how many came."""
        return super().hold(None, pattern, times=times, after=after)

    def limit(self, pattern: str, *, limit: int = 1, per: float = 60.0) -> Bucket:
        """A real limit: 429 with Retry-After beyond `limit` requests in `per` seconds, for each channel or user."""
        return super().limit(None, pattern, limit=limit, per=per)
