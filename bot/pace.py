"""How long things take here, from what they took: the ETAs that people see. Pure: no clock."""

from collections.abc import Hashable
from statistics import median

from engine.protocol import Draw, Quality, Request, Stage

_MOST_SECONDS = 86_400.0
_NEWEST_SHARE = 0.3  # of the newest measurement in the running mean


class Pace:
    """Device seconds of one image, by model, size and steps."""

    def __init__(self) -> None:
        self._seconds: dict[Hashable, float] = {}

    def note(self, request: Request, seconds: float) -> None:
        """This whole request took so long; what can be no time (an engine may say anything) is not taken in."""
        if not 0 <= seconds <= _MOST_SECONDS:  # also true of what is no number
            return
        kind, each = _kind(request), seconds / request.count
        known = self._seconds.get(kind, each)
        self._seconds[kind] = known + _NEWEST_SHARE * (each - known)

    def estimate(self, request: Request) -> float | None:
        """Seconds of device time; None before anything was measured. An unknown kind counts as the usual one."""
        if not self._seconds:
            return None
        each = self._seconds.get(_kind(request))
        return request.count * (median(self._seconds.values()) if each is None else each)


def _kind(request: Request) -> Hashable:
    if isinstance(request, Draw):
        return (request.model, request.width, request.height, request.steps, request.quality)
    return (request.of.model, request.width, request.height)


def done_at_ms(*, started_ms: int, now_ms: int, percent: int, estimate_seconds: float | None) -> int | None:
    """When a job will be done, by its own speed once a tenth is done, by the estimate before that."""
    if percent >= 10:
        return now_ms + (now_ms - started_ms) * (100 - percent) // percent
    return None if estimate_seconds is None else max(now_ms, started_ms + int(estimate_seconds * 1000))


def percent(stage: Stage, step: int, steps: int, quality: Quality) -> int:
    """How much of a job's work is behind it, by the stage and the step that it is at."""
    drawn = 95 if quality == "draft" else 75
    begins, ends = {"loading": (0, 0), "drawing": (0, drawn), "enlarging": (drawn, 95), "encoding": (95, 100)}[stage]
    return begins + (ends - begins) * step // max(steps, 1)
