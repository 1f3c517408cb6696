"""The sentences of a job's life, of refusals and of failures. Plain text; what is typed stands in backticks."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot import errors
from bot.feed import Live
from bot.jobs import Image, Job, Status
from bot.phrases import When, begun, clip, code, counted, duration, quoted, said, units, utc
from bot.prompt import MAX_PROMPT
from bot.quota import bar
from engine.given import LONGEST_PX, MAX_BYTES, MAX_PIXELS, SHORTEST_PX
from engine.protocol import MAX_SEED, Draw, FailureKind

LABELS: Mapping[str, str] = {
    "reroll": "Re-roll",
    "remix": "Remix",
    "vary": "Vary",
    "vary_slightly": "Vary slightly",
    "four_more": "Four more seeds",
    "full_size": "Full size",
    "again": "Run again",
    "cancel": "Cancel",
    "info": "Info",
    "how": "How it was made",
    "original": "Original file",
    "report": "Report",
    "delete": "Delete",
}
LINEAGE: Mapping[str, str] = {
    "reroll": "re-roll of",
    "remix": "remix of",
    "vary": "variation of",
    "vary_slightly": "slight variation of",
    "four_more": "four more of",
    "full_size": "full size of",
    "again": "again from the recipe of",
}


DELETE_CONFIRM = ("Delete this picture?", "It is removed here and on disk; its recipe stays.", "Delete", "Keep")
IN_THREAD = "the picture is in this message's thread"
IN_MESSAGES = "It is in your direct messages with me."


@dataclass(frozen=True, slots=True)
class Action:
    """A button: `verb` is pressed on the job, with `command` as its text; without a verb, `command` is typed."""

    label: str
    verb: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    title: str
    body: str = ""
    actions: tuple[Action, ...] = ()


EXPORT_NAME = "limner-export.zip"
CALLED_AFTER_MS = 30_000  # of waiting


def title(job: Job) -> str:
    """The prompt as messages show it."""
    if job.forgotten:
        return "forgotten"
    return clip(job.draw.prompt) or "a scene of its own"


def alt_text(job: Job) -> str:
    return job.draw.prompt or "a scene of its own"


def file_name(job_id: str, index: int, suffix: str) -> str:
    """Never made from a prompt."""
    return f"limner-{job_id}-{index}.{suffix}"


def refusal(error: errors.Refused, when: When = utc) -> Sentence:
    """What was refused, why, and what to do; nothing was written or charged."""
    match error:
        case errors.BadPrompt():
            return _bad_prompt(error)
        case errors.BadOption():
            return _bad_option(error)
        case errors.BadDefault():
            heading = f"Your default {code(error.option)} can't be used any more"
            body = f"{begun(error.allowed or 'change it')}. Or forget your defaults: `/limner settings reset`."
            return Sentence(heading, body, (Action("Show my defaults", command="/limner settings"),))
        case errors.BadImage():
            return _bad_image(error)
        case errors.QuotaExceeded():
            return _over_quota(error, when)
        case errors.QueueFull():
            return _queue_full(error, when)
        case errors.Unconfirmed():
            heading = f"That is {counted(error.jobs, 'job')} for {units(error.units)}"
            if error.allowance is not None:
                heading = f"That costs {error.units} of your {units(error.allowance)}"
            return Sentence(
                heading,
                "Nothing is drawn or charged yet.",
                (Action("Draw them" if error.jobs > 1 else "Draw it", verb="confirm"),),
            )
        case errors.EraseUnconfirmed():
            what = f"{counted(error.jobs, 'job')}, {counted(error.images, 'picture')}, settings, messages"
            body = f"{what}, and what others made of those words go for good."
            body += " What was used stays counted, under a random number."
            heading, command = "That erases all that is kept of you", "/limner privacy erase yes"
            if error.named:
                heading = f"That erases all that is kept of {error.named}"
                command = f"/limner-admin privacy erase {error.named} yes"
                body += " Say so with yes after the name."
            return Sentence(heading, body, (Action("Erase everything", command=command),))
        case errors.NotAllowed():
            return Sentence(f"Only its owner or a moderator can {error.action} this")
        case errors.AgeRestricted():
            return Sentence("That is drawn in age-restricted channels only", "Nothing was charged.")
        case errors.BadWords(is_final=True):
            reference = f" ({error.reference})" if error.reference else ""
            body = f"That is drawn nowhere: {error.rule}{reference}. Say woman or man where you mean adults."
            return Sentence("That prompt is not allowed", body)
        case errors.BadWords():
            asking = f"Ask a moderator if that is wrong ({error.reference}). Nothing was charged."
            return Sentence("That prompt is not allowed here", f"Rule {quoted(error.rule)}. {asking}")
        case errors.SwitchedOff():
            return Sentence("Nothing is drawn in this channel", "A moderator has switched it off. Nothing was charged.")
        case errors.TooLarge():
            smaller = (Action("Run as draft", command=error.as_draft),) if error.as_draft else ()
            heading = f"{error.longest_px} px is not allowed in this channel"
            return Sentence(heading, "Drafts are. Nothing was charged.", smaller)
        case errors.NoAuthority(least="operator"):
            return Sentence("That is for the operator", "They run this bot. Nothing was changed.")
        case errors.NoAuthority():
            return Sentence(f"That is for {_WHO[error.least]} of this place", "Nothing was changed.")
        case errors.AboveCap():
            body = f"At most {units(error.cap)} for one person. The operator can raise it. Nothing was changed."
            return Sentence("That is more than this place may give", body)
        case errors.NothingToRetry():
            return Sentence(
                f"{code(error.job_id)} did not fail", "Only one that brought no picture can be tried again."
            )
        case errors.NotForOwner():
            return Sentence("That can't be drawn for its owner now", f"{_owners(error.why, when)} Nothing was charged.")
        case errors.Blocked():
            until = f"That ends {when(error.ends_ms)}. " if error.ends_ms else ""
            reason = f"Reason: {said(error.reason)}" if error.reason else "Ask a moderator if that is wrong."
            return Sentence("You can't use this bot here", f"{until}{reason}")
        case errors.NoPermission():
            return Sentence("I can't post here", f"An admin must give me *{error.permission}* in this channel.")
        case errors.NotServed():
            return Sentence("You can't draw here", f"{_NOT_SERVED[error.reason]} Nothing was charged.")
        case errors.CannotPost():
            body = _CANNOT_POST[error.reason].format(invitation=error.invitation)
            return Sentence("I can't post here", f"{body} Nothing was charged.")
        case errors.Unknown(kind="job"):
            what = f"There is no {code(error.name)} here" if error.name else "That is not here"
            return Sentence(what, "It may have been deleted.", (Action("Show my pictures", command="/limner history"),))
        case errors.Unknown():
            return Sentence(f"There is no {error.kind} {code(error.name)} here", _UNKNOWN[error.kind])
        case errors.Forgotten():
            return Sentence("Its words are no longer kept", "What was typed is forgotten after a while.")
        case errors.Gone():
            again = Action("Run again from its recipe", verb="again")
            return Sentence("That image is no longer stored", "Its recipe is kept.", (again,))
        case errors.Expired():
            body = "It was made before the bot restarted, or used already. Nothing was charged: send the command again."
            return Sentence("That offer has expired", body)
        case errors.Unavailable():
            return Sentence("Nothing can be accepted right now", f"{begun(error.reason)}. Nothing was charged.")
    return Sentence("That can't be done", f"{begun(str(error))}. Nothing was charged.")


_NOT_SERVED = {
    "guest": "Whoever runs me does not let guests of this workspace draw.",
    "stranger": "Whoever runs me does not let people of other workspaces draw.",
    "deactivated": "This account is deactivated.",
    "team": "I am not set up for this workspace.",
    "unseen": "I could not look up who you are: try again in a minute.",
}
_CANNOT_POST = {
    "not_invited": "I'm not in this channel: type `{invitation}`, or let me send it to you.",
    "archived": "This channel is archived: use another one, or let me send it to you.",
    "closed": "Somebody forbids me to post or to share files here: let me send it to you.",
}
_UNKNOWN = {
    "person": "Mention them, or give an id like `discord:1234` or `slack:T1:U1`; who drew here is known by name too. "
    "Nothing was changed.",
    "role": "Give its name, or its id while its platform is not connected. Nothing was changed.",
    "model": "`/limner models` lists those that are here. Nothing was changed.",
}
_WHO = {"moderator": "moderators", "admin": "admins"}
_POOLS = {"person": "{} have", "model": "of this model {} have", "place": "all people of this place together have"}


def failure(job: Job) -> str:
    """Why an accepted job was lost."""
    return _FAILURES[job.failure or "internal"].format(longest_px=max(job.request.width, job.request.height))


_FAILURES: Mapping[FailureKind, str] = {
    "out_of_memory": "Not enough GPU memory for {longest_px} px",
    "timed_out": "Stopped: it took too long",
    "unsafe": "Image withheld by the safety check",
    "bad_model": "The model's files are missing or damaged; tell the operator",
    "bad_request": "The engine can't draw this; change a value and try again",
    "internal": "Something broke while drawing",
}


def broken(reference: str) -> Sentence:
    """A fault of ours; `reference` stands in the log."""
    return Sentence("Something broke", f"Where you see no job, nothing was charged. Ref {reference}.")


def actions(job: Job) -> tuple[Action, ...]:
    """The first row of buttons under a job."""
    match job.status:
        case Status.DELIVERED:
            verbs = ["reroll", "remix", "vary"] + ["full_size"] * (job.request.quality == "draft")
        case Status.CANCELLED | Status.UNDELIVERABLE:
            verbs = ["again"]
        case Status.FAILED if job.failure in ("out_of_memory", "timed_out"):
            return (Action("Try as draft", verb="remix", command="--quality draft"),)
        case Status.FAILED:
            verbs = ["again"] if job.failure in ("internal", None) else []
        case Status.RENDERED:
            verbs = []
        case _:
            verbs = ["cancel"]
    return tuple(Action(LABELS[verb], verb=verb) for verb in verbs)


def status_line(job: Job, live: Live | None, when: When) -> str:
    """Where a job stands, as it follows "**prompt** — @you · "."""
    match job.status:
        case Status.DELIVERED:
            return done_line(job)
        case Status.CANCELLED:
            return f"cancelled, {units(job.units)} returned"
        case Status.FAILED:
            return f"{begun(failure(job), small=True)}, {units(job.units)} returned"
        case Status.UNDELIVERABLE:
            return f"could not be shown here, {units(job.units)} returned; `/limner show {job.id}`"
        case Status.RENDERED:
            return "sending"
    return _waiting(live, when)


_KEPT = {
    None: "queued",
    "bot": "the bot restarted; your job is kept",
    "engine": "the image engine is restarting; your job is kept",
}


def _waiting(live: Live | None, when: When) -> str:
    if live is None or live.stage == "queued":
        if live and live.paused:
            return _paused(*live.paused, live.position, when)
        joint = "," if live and live.kept_after else ""
        place = f"{joint} #{live.position}" if live and live.position else ""
        later = " or later" if live and live.can_be_passed else ""
        starts = f", starts {when(live.starts_at_ms)}{later}" if live and live.starts_at_ms else ""
        return f"{_KEPT[live.kept_after] if live else 'queued'}{place}{starts}"
    done = f" · done {when(live.done_at_ms)}" if live.done_at_ms else ""
    match live.stage:
        case "loading":
            return f"loading model (first use){done}"
        case "drawing":
            return f"{live.percent} % {bar(live.percent, 100)}{done}"
        case "enlarging":
            return f"enlarging to 2048{done}"
    return "sending"


def _paused(reason: str, ends_ms: int | None, position: int | None, when: When) -> str:
    parts = [f" {said(reason)}" if reason else "", f", back {when(ends_ms)}" if ends_ms else ""]
    return f"paused by the operator{''.join(parts)} · queued{f' #{position}' if position else ''}"


def done_line(job: Job) -> str:
    """What stands under a picture for good."""
    shown = [image for image in job.images if image.status != "withheld"]
    size = shown[0] if shown else job.request
    facts = [f"`{job.id}`", _seeds(shown) or f"seed {job.draw.seed}", job.draw.model, f"{size.width}×{size.height}"]
    if job.seconds is not None:
        facts.append(duration(job.seconds))
    if withheld := len(job.images) - len(shown):
        facts.append(f"{withheld} withheld by the safety check")
    return " · ".join([*facts, units(job.units * len(shown) // max(1, len(job.images)))])


def ready(job: Job, user_id: str | None) -> str:
    """What calls its person once it is there; empty where the wait was not long."""
    waited_ms = (job.finished_ms or 0) - job.created_ms
    return f"<@{user_id}> `{job.id}` is ready" if user_id and waited_ms > CALLED_AFTER_MS else ""


def _seeds(images: list[Image]) -> str:
    seeds = [image.seed for image in images]
    if len(seeds) > 1 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"seeds {seeds[0]}–{seeds[-1]}"
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" if seeds else ""


def lineage_line(job: Job, parent: Job) -> str:
    """What changed: `re-roll of k7q2 · seed 4182 → 9031`; empty for a job that came of none."""
    if job.lineage is None:
        return ""
    index = f" #{job.lineage.index + 1}" if parent.draw.count > 1 else ""
    before = (parent.draw.seed + job.lineage.index) % (MAX_SEED + 1)
    head, now = f"{LINEAGE.get(job.lineage.verb, 'from')} {parent.id}{index}", job.draw
    if not isinstance(job.request, Draw):
        return f"{head} · seed kept"
    seed = "seed kept" if now.seed == before else f"seed {before} → {now.seed}"
    return " · ".join([head, *_differences(parent.draw, now), seed])


def _differences(before: Draw, now: Draw) -> list[str]:
    found = []
    if now.prompt != before.prompt:
        added = now.prompt.removeprefix(f"{before.prompt}, ")
        found.append(f'{"+" * (added != now.prompt)}"{clip(added, 80)}"')
    if now.negative_prompt != before.negative_prompt:
        found.append(f'without "{clip(now.negative_prompt, 80)}"' if now.negative_prompt else "nothing kept out")
    if now.quality != before.quality:
        found.append(now.quality)
    elif (now.width, now.height) != (before.width, before.height):
        found.append(f"{before.width}×{before.height} → {now.width}×{now.height}")
    for name in ("model", "steps", "guidance_scale", "scheduler"):
        old, new = getattr(before, name), getattr(now, name)
        if old != new and (name == "model" or (now.model, now.quality) == (before.model, before.quality)):
            found.append(f"{name.removesuffix('_scale')} {old} → {new}")
    return found


def _bad_prompt(error: errors.BadPrompt) -> Sentence:
    edit = (Action("Edit", verb="edit"),)
    limit, amount = error.limit or MAX_PROMPT, error.amount or 0
    match error.problem:
        case "empty":
            example = "Try `/imagine a red car on a mountain road`."
            return Sentence("Say what to draw", example)
        case "too_long":
            return Sentence("That prompt is too long", f"{amount:,} characters; at most {limit:,} fit.", edit)
        case "unclosed":
            return Sentence("A `{` is never closed", "Write `{red, blue}`, or `\\{` for the brace itself.", edit)
        case "too_many_jobs":
            many = str(amount) if amount < 1000 else "over 999"
            return Sentence(f"That would be {many} jobs", f"At most {limit} fit in one command: drop a choice.", edit)


def _bad_option(error: errors.BadOption) -> Sentence:
    edit, is_command = (Action("Edit", verb="edit"),), error.option.startswith("/")
    name = code(error.option)
    heading = f"Unknown {'command' if is_command else 'option'} {name}" if error.problem == "unknown" else ""
    if error.nearest:
        body = f"Did you mean `{error.nearest}`?"
    elif error.problem == "unknown":
        body = f"Known are: {error.allowed}." + (" Write `\\--` for dashes in a prompt." if not is_command else "")
    else:
        body = f"{begun(error.allowed)}." if error.allowed else ""
    return Sentence(heading or f"{name} {error.problem}", body, edit)


_BAD_IMAGES: Mapping[errors.ImageProblem, tuple[str, str]] = {
    "not_an_image": ("That file is not a picture", "Attach one"),
    "unsupported_kind": ("That kind of picture can't be used", "Attach another"),
    "too_big": ("That picture is too big", "Attach a smaller one"),
    "too_many_pixels": ("That picture has too many pixels", "Attach a smaller one"),
    "bad_shape": (f"Each side of a picture must have {SHORTEST_PX} to {LONGEST_PX:,} pixels", "Attach another"),
    "animated": ("A moving picture can't be used", "Attach a still one"),
    "damaged": ("That picture is damaged", "Save it again, or attach another"),
    "too_slow": ("That picture took too long", "Attach it again, or a smaller one"),
    "other_host": ("A picture can't be fetched from there", "Attach it here"),
    "unreachable": ("That picture could not be fetched", "Attach it again"),
}


def _bad_image(error: errors.BadImage) -> Sentence:
    heading, doing = _BAD_IMAGES[error.problem]
    amount = f" ({error.amount / 1e6:,.4g} million)" if error.problem == "too_many_pixels" and error.amount else ""
    if error.problem == "too_big" and error.amount:
        amount = f" ({error.amount / 1e6:,.4g} MB)"
    usable = f"PNG, JPEG or WebP up to {MAX_BYTES / 1e6:g} MB and {MAX_PIXELS / 1e6:g} megapixels"
    return Sentence(heading + amount, f"{doing}: {usable}. Nothing was charged.")


def _over_quota(error: errors.QuotaExceeded, when: When) -> Sentence:
    body = f"{_missing(error, when)} Nothing was charged."
    if error.smaller is None:
        return Sentence("Not enough units", body)
    command, cost = error.smaller
    return Sentence("Not enough units", body, (Action(f"Run as draft ({cost})", command=command),))


def _missing(error: errors.QuotaExceeded, when: When, who: str = "you") -> str:
    free = f" The next {error.needed} are free {when(error.free_at_ms)}." if error.free_at_ms else ""
    return f"Needs {error.needed}, {_POOLS[error.whose].format(who)} {error.left}.{free}"


def _owners(why: errors.Refused, when: When) -> str:
    """The same refusal, told to somebody else."""
    match why:
        case errors.QuotaExceeded():
            return _missing(why, when, "they")
        case errors.QueueFull(own=True):
            return f"They have {counted(why.waiting, 'job')} waiting."
        case errors.QueueFull():
            return f"The queue is full ({why.limit})."
    return "They are blocked here."


def _queue_full(error: errors.QueueFull, when: When) -> Sentence:
    if error.own:
        starts = f"The oldest starts {when(error.starts_at_ms)}. " if error.starts_at_ms else ""
        jobs = Action("Show my jobs", command="/limner queue")
        heading = f"You already have {counted(error.waiting, 'job')} waiting"
        return Sentence(heading, f"{starts}Nothing was charged.", (jobs,))
    work = f"About {duration(error.wait_seconds)} of work. " if error.wait_seconds else ""
    return Sentence(f"The queue is full ({error.limit})", f"{work}Nothing was charged.")
