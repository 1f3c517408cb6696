"""What goes wrong on demand: refusals, dropped connections, slowness, rate limits."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Fault:
    """Applies to requests whose path under /api/v10 (or template) fits the whole of `pattern`."""

    method: str | None
    pattern: str
    times: int | None
    is_after: bool = False
    status: int | None = None
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drops: bool = False
    seconds: float = 0.0
    gate: asyncio.Event | None = None
    hits: int = 0

    def fits(self, method: str, path: str, template: str) -> bool:
        if (self.method not in (None, method)) or (self.times is not None and self.hits >= self.times):
            return False
        return self.pattern == template or re.fullmatch(self.pattern, path) is not None

    def end(self) -> None:
        """It happens no more; whatever it holds goes on."""
        self.times = 0
        if self.gate is not None:
            self.gate.set()

    release = end


@dataclass
class Bucket:
    """A limit on a route: per major parameter, `limit` requests in `per` seconds."""

    method: str | None
    pattern: str
    limit: int
    per: float
    taken: dict[str, list[float]] = field(default_factory=dict)

    def take(self, key: str, now: float) -> tuple[int, float, bool]:
        """(remaining, seconds until it is whole again, allowed)."""
        times = self.taken[key] = [t for t in self.taken.get(key, []) if t > now - self.per]
        allowed = len(times) < self.limit
        if allowed:
            times.append(now)
        return self.limit - len(times), max(0.0, times[0] + self.per - now), allowed


class Faults:
    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.buckets: list[Bucket] = []
        super().__init__()

    def fail(
        self,
        method: str | None,
        pattern: str,
        *,
        status: int = 500,
        times: int | None = 1,
        code: int = 0,
        message: str = "Refused on demand",
        after: bool = False,
        drop: bool = False,
        retry_after: float | None = None,
        scope: str = "user",
        headers: dict[str, str] | None = None,
    ) -> Fault:
        """Answers with an error, or breaks the connection off; `after`: although it was done.

        429 comes with Retry-After (1 s without `retry_after`) and its scope: `user`, `shared` or `global`.
        """
        body: dict[str, Any] = {"message": message, "code": code}
        headers = dict(headers or {})
        if status == 429:
            body, limited = rate_limited(1.0 if retry_after is None else retry_after, scope)
            headers = limited | headers
        return self._add(Fault(method, pattern, times, after, status, body, headers, drop))

    def slow(
        self,
        seconds: float,
        pattern: str,
        *,
        method: str | None = None,
        times: int | None = None,
        after: bool = False,
    ) -> Fault:
        """Answers late; `after`: what was asked for is done at once."""
        return self._add(Fault(method, pattern, times, after, seconds=seconds))

    def hold(self, method: str | None, pattern: str, *, times: int | None = None, after: bool = False) -> Fault:
        """Keeps requests waiting until its `release()`; its `hits` says how many came."""
        return self._add(Fault(method, pattern, times, after, gate=asyncio.Event()))

    def limit(self, method: str | None, pattern: str, *, limit: int = 5, per: float = 5.0) -> Bucket:
        """A real limit: headers that say what remains, and 429 beyond it."""
        bucket = Bucket(method, pattern, limit, per)
        self.buckets.append(bucket)
        return bucket

    def heal(self) -> None:
        """Ends all faults and limits."""
        for fault in self.faults:
            fault.end()
        self.faults, self.buckets = [], []

    def _add(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault

    def _faults_of(self, method: str, path: str, template: str) -> list[Fault]:
        """Those that apply now: any slowness and holds, and one failure."""
        found: list[Fault] = []
        for fault in self.faults:
            fails = fault.status is not None
            if fault.fits(method, path, template) and not (fails and any(f.status is not None for f in found)):
                fault.hits += 1
                found.append(fault)
        return found

    async def _delay(self, faults: list[Fault], *, is_after: bool) -> Fault | None:
        """Waits as long as it should; the failure that comes now, if any."""
        failure = None
        for fault in faults:
            if fault.is_after != is_after:
                continue
            if fault.seconds:
                await asyncio.sleep(fault.seconds)
            if fault.gate is not None:
                await fault.gate.wait()
            if fault.status is not None:
                failure = fault
        return failure


def rate_limited(seconds: float, scope: str) -> tuple[dict[str, Any], dict[str, str]]:
    """(body, headers) of a 429 as Discord sends it; without `Via` it would be Cloudflare's."""
    body = {"message": "You are being rate limited.", "retry_after": seconds, "global": scope == "global"}
    headers = {
        "Retry-After": str(max(1, round(seconds))),
        "X-RateLimit-Scope": scope,
        "X-RateLimit-Reset-After": f"{seconds:.3f}",
        "Via": "1.1 google",
    }
    return body, headers | ({"X-RateLimit-Global": "true"} if scope == "global" else {})
