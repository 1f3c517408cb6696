"""
LimnerError
├─ Refused           the person can act on it; its sentence is shown; no job, nothing reserved
│   BadPrompt · BadOption · BadDefault · BadImage · QuotaExceeded · QueueFull · Unconfirmed · EraseUnconfirmed
│   NotAllowed · NoPermission
│   NoAuthority · AboveCap · Blocked · NothingToRetry · NotForOwner
│   NotServed · CannotPost · BadWords · AgeRestricted · SwitchedOff · TooLarge
│   Unknown · Gone · Forgotten · Expired · Unavailable
└─ CannotStart       the process leaves with `exit_code`; the sentence says what to do

What fails after it was accepted is no exception here: `engine.protocol.Failed` and `engine.client.Died` say it.
"""

from dataclasses import dataclass
from typing import Literal

from engine import given

PromptProblem = Literal["empty", "too_long", "unclosed", "too_many_jobs"]
ImageProblem = Literal[given.Problem, "too_slow", "other_host", "unreachable"]


class LimnerError(Exception): ...


class Refused(LimnerError):
    """Carries facts, not sentences: `wording.refusal` makes the title, body and next steps."""

    code = "refused"


@dataclass(eq=False)
class BadPrompt(Refused):
    """`amount` is what the text has of what `limit` limits: characters, or jobs."""

    code = "bad_prompt"
    problem: PromptProblem
    limit: int | None = None
    amount: int | None = None


@dataclass(eq=False)
class BadOption(Refused):
    """`option` is as the person wrote it, with its value; `problem` is "unknown" or what is said of it."""

    code = "bad_option"
    option: str
    problem: str
    nearest: str | None = None
    allowed: str | None = None


@dataclass(eq=False)
class BadDefault(Refused):
    """One of the person's own defaults is no longer possible; `option` is it as a flag, with its value."""

    code = "bad_default"
    option: str
    allowed: str | None


@dataclass(eq=False)
class BadImage(Refused):
    """A picture that was given; `amount` is what it has of what `limit` limits: bytes, or pixels."""

    code = "bad_image"
    problem: ImageProblem
    limit: int | None = None
    amount: int | None = None


@dataclass(eq=False)
class QuotaExceeded(Refused):
    """`smaller` is a command that fits into what is left, and its units (`quota.smaller`, `prompt.to_text`)."""

    code = "quota"
    needed: int
    left: int
    free_at_ms: int | None = None
    smaller: tuple[str, int] | None = None
    whose: Literal["person", "model", "place"] = "person"


@dataclass(eq=False)
class QueueFull(Refused):
    """`own`: the limit of one person, not of the whole queue."""

    code = "queue_full"
    waiting: int
    limit: int
    own: bool
    wait_seconds: float | None = None  # of everybody's work
    starts_at_ms: int | None = None  # the first of one's own


@dataclass(eq=False)
class Unconfirmed(Refused):
    """Several jobs at once, or much of an allowance: asked again with the price agreed to, it is accepted."""

    code = "unconfirmed"
    jobs: int
    units: int
    allowance: int | None = None


@dataclass(eq=False)
class EraseUnconfirmed(Refused):
    """Erasing cannot be undone: asked again, it is done. What would go with the person."""

    code = "unconfirmed"
    jobs: int
    images: int
    named: str = ""  # empty: who asks


@dataclass(eq=False)
class NotAllowed(Refused):
    """Somebody else's job; `action` is the verb: "cancel", "delete"."""

    code = "not_allowed"
    action: str


@dataclass(eq=False)
class NoAuthority(Refused):
    """An order of an admin's; `least` is who may give it: "moderator", "admin", "operator"."""

    code = "no_authority"
    least: str


@dataclass(eq=False)
class AboveCap(Refused):
    """An admin would let somebody have more than the place may give to one person: `cap` units."""

    code = "above_cap"
    cap: int


@dataclass(eq=False)
class NothingToRetry(Refused):
    """The job still goes on, or was delivered."""

    code = "nothing_to_retry"
    job_id: str


@dataclass(eq=False)
class NotForOwner(Refused):
    """An admin tried a job again, and its owner may not have it now; `why` is what they would be told."""

    code = "not_for_owner"
    why: Refused


@dataclass(eq=False)
class Blocked(Refused):
    """The person may not draw here."""

    code = "blocked"
    ends_ms: int | None
    reason: str


@dataclass(eq=False)
class NoPermission(Refused):
    """The bot lacks what the platform calls `permission`."""

    code = "no_permission"
    permission: str


@dataclass(eq=False)
class NotServed(Refused):
    """Somebody whom the operator does not serve; "unseen": the platform does not say who they are."""

    code = "not_served"
    reason: Literal["guest", "stranger", "deactivated", "team", "unseen"]


@dataclass(eq=False)
class CannotPost(Refused):
    """A channel where the bot may say nothing; `invitation` is what brings it in, `job_ids` what was to stand there."""

    code = "cannot_post"
    reason: Literal["not_invited", "archived", "closed"]
    invitation: str
    job_ids: tuple[str, ...]


class AgeRestricted(Refused):
    """What it asks for is drawn only where the platform keeps minors out."""

    code = "nsfw"


@dataclass(eq=False)
class BadWords(Refused):
    """`rule` is the name of what forbids it; `is_final`: no moderator can allow it. `reference` is its incident's."""

    code = "bad_words"
    rule: str
    reference: str = ""
    is_final: bool = False


class SwitchedOff(Refused):
    """Nothing is drawn in this channel."""

    code = "switched_off"


@dataclass(eq=False)
class TooLarge(Refused):
    """Only drafts are drawn in this channel; `as_draft` is the command of one, or empty."""

    code = "only_drafts"
    longest_px: int
    as_draft: str = ""


@dataclass(eq=False)
class Unknown(Refused):
    """No such job, image or command, or one of another place: the two are answered alike."""

    code = "unknown"
    name: str = ""
    kind: Literal["job", "person", "role", "model"] = "job"


class Gone(Refused):
    """The file was deleted; its recipe can be run again."""

    code = "gone"


class Forgotten(Refused):
    """The words of this job are no longer kept, so nothing can come of it."""

    code = "forgotten"


class Expired(Refused):
    """An offer, such as a price to agree to, that nobody remembers any more."""

    code = "expired"


@dataclass(eq=False)
class Unavailable(Refused):
    """Nothing can be accepted now: the disk is full, the database is locked."""

    code = "unavailable"
    reason: str


class CannotStart(LimnerError):
    def __init__(self, sentence: str, *, exit_code: int = 78):
        super().__init__(sentence)
        self.exit_code = exit_code


class InUse(CannotStart):
    """Another process has the data directory."""
