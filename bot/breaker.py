"""Leaves a channel alone that fails again and again, then tries it with one message. Pure: it is told the time."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

FAILURES = 3  # in a row, of whatever is sent there
PROBE_MS = 5_000  # how long one try may take before another is made
LONGEST_REST_MS = 60_000


@dataclass(slots=True)
class _Line:
    failures: int = 0
    rests_until_ms: int = 0


class Breaker:
    def __init__(self, pause_ms: Callable[[int], int]):
        self._pause_ms = pause_ms
        self._lines: dict[Hashable, _Line] = {}

    def wait_ms(self, channel: Hashable, now_ms: int) -> int:
        """How long nothing should be sent there; 0: this one may try, and while it does others wait."""
        line = self._lines.get(channel)
        if line is None or line.failures < FAILURES:
            return 0
        left = line.rests_until_ms - now_ms
        if 0 < left <= LONGEST_REST_MS:  # more: the clock was put back
            return left
        line.rests_until_ms = now_ms + PROBE_MS
        return 0

    def succeeded(self, channel: Hashable) -> None:
        self._lines.pop(channel, None)

    def failed(self, channel: Hashable, now_ms: int) -> None:
        line = self._lines.setdefault(channel, _Line())
        line.failures += 1
        line.rests_until_ms = now_ms + min(LONGEST_REST_MS, self._pause_ms(line.failures))
