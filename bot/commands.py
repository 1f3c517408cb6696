"""The text form of the commands, for the local page and for Slack. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot import flags
from bot.errors import BadOption
from engine.protocol import MAX_SEED


@dataclass(frozen=True, slots=True)
class Imagine:
    text: str  # for prompt.parse
    options: Mapping[str, object] = field(default_factory=dict)  # those beside it beat its flags
    by_every_model: bool = False  # to be compared


@dataclass(frozen=True, slots=True)
class Ask:
    verb: str  # a key of ASKS
    args: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)  # beside what was typed


@dataclass(frozen=True, slots=True)
class Form:
    usage: str
    meaning: str
    fewest: int = 0  # arguments
    most: int = 0


ASKS = {
    "quota": Form("quota", "what you have left today"),
    "queue": Form("queue", "what waits, yours in detail"),
    "history": Form("history", "your last pictures"),
    "show": Form("show JOB", "a job once more", 1, 1),
    "cancel": Form("cancel [JOB]", "stop a job, or your newest", 0, 1),
    "reroll": Form("reroll JOB [seed]", "draw it again with another seed", 1, 2),
    "compare": Form("compare PROMPT", "one prompt and seed, drawn by every model here", 1, 1),
    "models": Form("models", "what can draw here"),
    "settings": Form("settings [flags | reset]", "your own defaults for /imagine"),
    "privacy": Form("privacy show|export|erase", "what is kept of you", 1, 2),
    "help": Form("help", "every command and flag"),
}
PRIVACY = ("show", "export", "erase")
_WHAT = "show, export, erase"
_COMMANDS = ("/imagine", "/limner")


def read_command(text: str) -> Imagine | Ask:
    """What was typed: `/imagine …`, `/limner …`, or a bare sentence, which is a prompt.

    Raises BadOption, naming the nearest command, if there is no such one or its arguments do not fit.
    """
    if not text.lstrip().startswith("/"):
        return Imagine(text)
    command, *rest = text.split(maxsplit=1)
    if command.lower() == "/imagine":
        return Imagine("".join(rest))
    if command.lower() == "/limner":
        return _asked("".join(rest))
    raise BadOption(command, "unknown", nearest=flags.nearest(command, _COMMANDS), allowed=" ".join(_COMMANDS))


def _asked(text: str) -> Ask | Imagine:
    words = text.split() or ["help"]
    rest = "".join(text.split(maxsplit=1)[1:])
    if words[0].lower() == "compare":
        return Imagine(rest, by_every_model=True)
    if words[0].lower() == "settings":
        return Ask("settings", (rest,) if rest else ())
    verb, *args = words
    form = ASKS.get(verb.lower())
    if form is None:
        nearest = flags.nearest(verb, tuple(ASKS))
        known = " ".join(ASKS)
        raise BadOption(f"/limner {verb}", "unknown", nearest=nearest and f"/limner {nearest}", allowed=known)
    if len(args) < form.fewest:
        example = ", with an id like k7q2" if "JOB" in form.usage else ""
        needs = "a job" if example else "one more word"
        raise BadOption(f"/limner {verb}", f"needs {needs}", allowed=f"/limner {form.usage}{example}")
    if len(args) > form.most:
        raise BadOption(f"/limner {' '.join(words)}", "has too many words", allowed=f"/limner {form.usage}")
    if verb.lower() == "privacy":
        return _privacy(args)
    if len(args) == 2:
        flags.whole("seed", args[1], 0, MAX_SEED)
    return Ask(verb.lower(), tuple(arg.strip("`#").lower() for arg in args))


def _privacy(args: list[str]) -> Ask:
    what = args[0].lower()
    if what not in PRIVACY or (args[1:] and [what, args[1].lower()] != ["erase", "yes"]):
        near = flags.nearest(what, PRIVACY)
        raise BadOption(f"/limner privacy {what}", "unknown", nearest=near and f"/limner privacy {near}", allowed=_WHAT)
    return Ask("privacy", (what, *(arg.lower() for arg in args[1:])))
