"""What an admin orders, as text, the same on every platform: `quota set @ada 40 --until 2026-12-01`. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import IntEnum

from bot import flags
from bot.allowances import DAY_MS, MAX_UNITS
from bot.errors import BadOption

MAX_REASON = 200  # characters
MAX_DAYS, MAX_YEARS = 366, 10
MAX_LINES = 10_000  # of the audit at once


class Authority(IntEnum):
    """What a platform says, at this very use, that somebody is."""

    NOBODY = 0
    MODERATOR = 1  # of one place
    ADMIN = 2  # of one place
    OPERATOR = 3  # of all


@dataclass(frozen=True, slots=True)
class OrderForm:
    usage: str  # its verb, then its words; those in brackets may be left out
    meaning: str
    least: Authority
    options: tuple[str, ...] = ()
    is_local: bool = False  # it is about the place where it is given, an operator's order too
    takes_rest: bool = False  # its last word goes on to the end of the line
    on_machine: bool = False  # given there alone, and about people who are known already

    @property
    def words(self) -> list[str]:
        """`@person`, `UNITS|default`, `[days]`."""
        return [word for word in self.usage.split() if not re.fullmatch("[a-z]+", word)]

    @property
    def fewest(self) -> int:
        return sum(not word.startswith("[") for word in self.words)


@dataclass(frozen=True, slots=True)
class Order:
    """One order. What was not said is None or empty."""

    verb: str  # a key of FORMS
    args: tuple[str, ...] = ()
    units: int | None = None  # with `quota`; None there: back to what everyone has
    until_ms: int | None = None
    reason: str = ""
    model: str = ""
    at: str = ""  # another place, "here" or "everywhere"
    weight: float | None = None
    waiting: int | None = None
    number: int | None = None  # days of `stats`, lines of `audit`
    options: tuple[tuple[str, str], ...] = ()  # the others, as they were given


_NOBODY, _MODERATOR, _ADMIN, _OPERATOR = Authority
_TERMS = ("until", "reason", "at")
_FORMS = (
    OrderForm("quota show [@person]", "what a person has left, or the rules", _MODERATOR, ("at",)),
    OrderForm("quota set @person UNITS|default", "one person's allowance", _ADMIN, (*_TERMS, "model")),
    OrderForm("quota grant @person UNITS", "more on top of the allowance", _ADMIN, _TERMS),
    OrderForm("quota reset @person", "what was used no longer counts", _ADMIN, ("reason", "at")),
    OrderForm("quota role @role [UNITS|default]", "a role's allowance; a person's best role counts", _ADMIN,
              (*_TERMS, "model", "weight", "waiting"), is_local=True),
    OrderForm("quota default [UNITS|default]", "what everyone has", _ADMIN, (*_TERMS, "model", "waiting")),
    OrderForm("quota place UNITS|none", "what all people of a place may take together", _OPERATOR, _TERMS,
              is_local=True),
    OrderForm("block @person", "nothing more is drawn for them", _MODERATOR, _TERMS),
    OrderForm("unblock @person", "they may draw again", _MODERATOR, ("reason", "at")),
    OrderForm("pause [2h] [reason]", "draw nothing for a while; the queue goes on accepting", _ADMIN, _TERMS,
              takes_rest=True),
    OrderForm("resume", "go on drawing", _ADMIN, ("reason", "at")),
    OrderForm("channel [#channel]", "what a channel allows", _ADMIN,
              ("models", "largest", "nsfw", "threads", "enabled", "reason", "at"), is_local=True),
    OrderForm("words add RULE", "refuse prompts with these words", _ADMIN, ("reason", "at"), takes_rest=True),
    OrderForm("words remove RULE", "allow them again", _ADMIN, ("reason", "at"), takes_rest=True),
    OrderForm("words test PROMPT", "which rule a prompt breaks", _MODERATOR, ("at",), takes_rest=True),
    OrderForm("job show JOB", "where a job stands", _MODERATOR),
    OrderForm("job cancel JOB", "stop it; its units go back", _MODERATOR, ("reason",)),
    OrderForm("job retry JOB", "draw one again that failed", _ADMIN, ("reason",)),
    OrderForm("job delete JOB", "remove its pictures, here and on disk", _MODERATOR, ("reason",)),
    OrderForm("privacy show @person", "what is kept of somebody", _OPERATOR, on_machine=True),
    OrderForm("privacy export @person", "all of it as a file", _OPERATOR, on_machine=True),
    OrderForm("privacy erase @person [YES]", "all of it goes for good", _OPERATOR, on_machine=True),
    OrderForm("stats [days]", "what was drawn, by day", _ADMIN, ("at",)),
    OrderForm("audit [lines]", "who changed what; with --csv as a file", _ADMIN, ("csv", "at")),
    OrderForm("doctor", "what is wrong on the machine", _OPERATOR),
    OrderForm("help", "these orders", _MODERATOR),
)  # fmt: skip
FORMS = {form.usage.removesuffix(" ".join(form.words)).strip(): form for form in _FORMS}  # by verb
_BARE = frozenset({"csv"})  # options without a value
_GROUPS = tuple(dict.fromkeys(verb.split()[0] for verb in FORMS))
_WORD = re.compile(r'"([^"]*)"|(\S+)')
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"'})  # what phones make of them
_SPAN = re.compile(r"(\d{1,6})(min|m|h|d|w)")
_SECONDS = {"m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MENTION = re.compile(r"<[@#!&]*(?:subteam\^)?([^|>]+)(?:\|[^>]*)?>")


def read_order(text: str, *, now_ms: int, zone: tzinfo) -> Order:
    """Raises BadOption, naming what does not fit and what would. Dates are the operator's, in `zone`."""
    words = _words(text)
    verb, form, rest = _verb(words or ["help"])
    args, options = _split(rest, form)
    if form.takes_rest:
        args, options = _sentence(verb, args, options)
    if not form.fewest <= len(args) <= len(form.words):
        problem = "needs more" if len(args) < form.fewest else "has too many words"
        raise BadOption(f"/limner-admin {verb}", problem, allowed=f"/limner-admin {form.usage}")
    return _order(verb, args, options, now_ms=now_ms, zone=zone)


def as_text(verb: str, args: tuple[str, ...] = (), **options: object) -> str:
    """An order as `read_order` reads it, from values that a form asked for; None is left out."""
    given = [f"--{name} {_quoted(str(value))}" for name, value in options.items() if value is not None]
    return " ".join([verb, *(_quoted(arg) for arg in args), *given])


def bare(word: str) -> str:
    """`<@1234>`, `<@U12|ada>`, `<#55>`, `@ada` → `1234`, `U12`, `55`, `ada`."""
    match = _MENTION.fullmatch(word)
    return match[1] if match else word.lstrip("@#")


def moment(option: str, value: str, *, now_ms: int, zone: tzinfo) -> int:
    """`2026-12-01`, `2026-12-01 18:00`, `18:00` or `3d` as UTC milliseconds after `now_ms`."""
    ms = _moment(value, now_ms, zone)
    if ms is None:
        raise BadOption(option, "is no time", allowed="a span like 2h or 3d, or a date like 2026-12-01")
    if ms <= now_ms:
        raise BadOption(option, "is in the past", allowed="a span like 2h or 3d, or a date to come")
    if ms > now_ms + MAX_YEARS * 366 * DAY_MS:
        raise BadOption(option, "is too far away", allowed=f"at most {MAX_YEARS} years")
    return ms


def _moment(value: str, now_ms: int, zone: tzinfo) -> int | None:
    if span := _SPAN.fullmatch(value.lower()):
        return now_ms + int(span[1]) * _SECONDS[span[2]] * 1000
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", value):
            hour, minute = map(int, value.split(":"))
            then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            then = then if then > now else then + timedelta(days=1)
        else:
            then = datetime.fromisoformat(value)
            then = then if then.tzinfo else then.replace(tzinfo=zone)
        return int(then.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def amount(option: str, value: str, low: int = 1, high: int = MAX_UNITS) -> int:
    digits = value.replace(",", "")
    if not re.fullmatch(r"[-+]?\d+", digits, re.ASCII):
        raise BadOption(option, "is not a whole number", allowed=f"{low:,} to {high:,}")
    if len(digits) > 12 or not low <= int(digits) <= high:
        raise BadOption(option, "is out of range", allowed=f"{low:,} to {high:,}")
    return int(digits)


def _words(text: str) -> list[str]:
    return [quoted if quoted or not word else word for quoted, word in _WORD.findall(text.translate(_QUOTES))]


def _verb(words: list[str]) -> tuple[str, OrderForm, list[str]]:
    for length in (2, 1):
        verb = " ".join(words[:length]).lower()
        if verb in FORMS:
            return verb, FORMS[verb], words[length:]
    head = words[0].lower()
    if head in _GROUPS:
        known, said = tuple(verb for verb in FORMS if verb.split()[0] == head), " ".join(words[:2])
        near = flags.nearest(said, known) if len(words) > 1 else None
    else:
        known, near = _GROUPS, flags.nearest(head, _GROUPS)
    allowed = ", ".join(known)
    raise BadOption(
        f"/limner-admin {' '.join(words[:2])}", "unknown", nearest=near and f"/limner-admin {near}", allowed=allowed
    )


def _split(words: list[str], form: OrderForm) -> tuple[list[str], dict[str, str]]:
    args: list[str] = []
    options: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name = re.sub(r"^[—–]|^--", "", word) if re.match(r"--\w|[—–]\w", word) else ""
        if not name:
            args.append(word)
            continue
        name, equals, value = name.partition("=")
        if name not in form.options:
            near = flags.nearest(name, form.options)
            known = " ".join(f"--{each}" for each in form.options) or "none here"
            raise BadOption(f"--{name}", "unknown", nearest=near and f"--{near}", allowed=known)
        if name in options:
            raise BadOption(f"--{name}", "is given twice", allowed="once")
        options[name] = value if equals else "" if name in _BARE else next(rest, "")
        if not options[name] and name not in _BARE:
            raise BadOption(f"--{name}", "needs a value", allowed=f"/limner-admin {form.usage} --{name} …")
    return args, options


def _sentence(verb: str, args: list[str], options: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """The words of a sentence are one. `pause 2h gaming` says what `pause --until 2h --reason gaming` says."""
    if verb != "pause":
        return [" ".join(args)][: len(args)], options
    named: dict[str, str] = {}
    if args and _is_time(args[0]):
        named["until"], args = args[0], args[1:]
    if args:
        named["reason"] = " ".join(args)
    if twice := named.keys() & options.keys():
        raise BadOption(f"--{min(twice)}", "is given twice", allowed="once")
    return [], options | named


def _is_time(word: str) -> bool:
    return bool(_SPAN.fullmatch(word.lower()) or re.fullmatch(r"\d{1,2}:\d{2}|\d{4}-\d\d-\d\d\S*", word))


def _order(verb: str, args: list[str], options: dict[str, str], *, now_ms: int, zone: tzinfo) -> Order:
    given = dict(options)
    until, reason = given.pop("until", None), given.pop("reason", "")
    if len(reason) > MAX_REASON:
        raise BadOption("--reason", "is too long", allowed=f"at most {MAX_REASON} characters")
    model, at = given.pop("model", ""), given.pop("at", "")
    weight, waiting = given.pop("weight", None), given.pop("waiting", None)
    units, number = _amounts(verb, args, model)
    if verb in ("quota role", "quota default") and len(args) < len(FORMS[verb].words) and weight is waiting is None:
        raise BadOption(f"/limner-admin {verb}", "needs more", allowed=f"/limner-admin {FORMS[verb].usage}")
    return Order(
        verb,
        tuple(bare(arg) if verb != "pause" and not FORMS[verb].takes_rest else arg for arg in args),
        units=units,
        until_ms=moment(f"--until {until}", until, now_ms=now_ms, zone=zone) if until else None,
        reason=reason,
        model=model,
        at=at,
        weight=flags.decimal("weight", weight, 0.1, 10) if weight else None,
        waiting=amount(f"--waiting {waiting}", waiting, 1, 10_000) if waiting else None,
        number=number,
        options=tuple(given.items()),
    )


def _amounts(verb: str, args: list[str], model: str) -> tuple[int | None, int | None]:
    """The units of a `quota`, and the number of days or lines."""
    form, last = FORMS[verb], args[-1] if args else ""
    if verb in ("stats", "audit") and args:
        return None, amount(f"/limner-admin {verb} {last}", last, 1, MAX_DAYS if verb == "stats" else MAX_LINES)
    is_given = "UNITS" in form.usage and len(args) == len(form.words)
    if not is_given or ("|" in form.usage and last.lower() in ("default", "none")):
        return None, None
    may_be_none = verb in ("quota default", "quota place") or bool(model)
    return amount(last, last, 0 if may_be_none else 1), None


def _quoted(value: str) -> str:
    value = value.replace('"', "'").strip()
    return f'"{value}"' if not value or re.search(r"\s", value) or value.startswith("-") else value
