"""Times, amounts and quotations, as every sentence puts them."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

MAX_SHOWN = 300  # characters of a prompt in a message

When = Callable[[int], str]  # UTC milliseconds → "in 2 min", "<t:…:R>"
Quote = Callable[[str], str]  # how a platform shows a person's text as it stands


def utc(ms: int) -> str:
    return f"at {datetime.fromtimestamp(ms / 1000, UTC):%H:%M} UTC"


def date(ms: int, zone: tzinfo, now_ms: int) -> str:
    """`1 Dec`, `1 Dec 18:00`, `1 Dec 2031`: as short as it is plain, in the operator's time zone."""
    then, now = (datetime.fromtimestamp(each / 1000, zone) for each in (ms, now_ms))
    time = "" if (then.hour, then.minute) == (0, 0) else f" {then:%H:%M}"
    return f"{then.day} {then:%b}{f' {then.year}' if then.year != now.year else ''}{time}"


def relative(now_ms: int) -> When:
    """Times as people count them from `now_ms`: "in 2 min", "3 h ago", "now"."""

    def when(ms: int) -> str:
        span = duration(abs(ms - now_ms) / 1000)
        return "now" if abs(ms - now_ms) < 1000 else f"in {span}" if ms > now_ms else f"{span} ago"

    return when


def duration(seconds: float) -> str:
    """In the one unit that fits: "8 s", "18 min", "3 h", "2 days"; whatever takes time takes a second."""
    for size, name, most in ((1, "s", 100), (60, "min", 100), (3600, "h", 48)):
        if seconds < most * size:
            return f"{max(1 if seconds else 0, round(seconds / size))} {name}"
    return f"{round(seconds / 86_400)} days"


def units(number: int) -> str:
    return counted(number, "unit")


def counted(number: int, thing: str, things: str = "") -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {things or thing + 's'}"


def clip(text: str, limit: int = MAX_SHOWN) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def code(text: str) -> str:
    return said(text, 60)


def said(text: str, limit: int = 200) -> str:
    """What somebody typed, as it stands: no mention, no link, no formatting."""
    return f"`{clip(text.replace('`', chr(39)), limit)}`"


def quoted(text: str) -> str:
    return f'"{clip(text, 60)}"'


def begun(text: str, *, small: bool = False) -> str:
    """`text` as a sentence begins; `small` as it goes on inside one."""
    return (text[:1].lower() if small else text[:1].upper()) + text[1:]
