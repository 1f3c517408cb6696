"""
LimnerError
├─ Refused           the person can act on it; its sentence is shown; no job, nothing reserved
│   BadPrompt · BadOption · BadDefault · BadImage · QuotaExceeded · QueueFull · Unconfirmed · EraseUnconfirmed
│   NotAllowed · NoPermission
│   NoAuthority · AboveCap · Blocked · NothingToRetry
│   NotServed · CannotPost · BadWords · AgeRestricted · SwitchedOff · TooLarge
│   Unknown · Gone · Forgotten · Expired · Unavailable
├─ JobFailed(kind)   one job is lost and released; the engine lives
├─ EngineDied        restart with back-off; its jobs are queued again once, then failed
└─ CannotStart       the process leaves with `exit_code`; the sentence says what to do
"""

from typing import Literal

from engine import given
from engine.protocol import FailureKind

PromptProblem = Literal["empty", "too_long", "unclosed", "too_many_jobs"]
ImageProblem = Literal[given.Problem, "too_slow", "other_host", "unreachable"]


class LimnerError(Exception): ...


class Refused(LimnerError):
    """Carries facts, not sentences: `wording.refusal` makes the title, body and next steps."""

    code = "refused"


class BadPrompt(Refused):
    """`amount` is what the text has of what `limit` limits: characters, or jobs."""

    code = "bad_prompt"

    def __init__(self, problem: PromptProblem, *, limit: int | None = None, amount: int | None = None):
        super().__init__(problem)
        self.problem, self.limit, self.amount = problem, limit, amount


class BadOption(Refused):
    """`option` is as the person wrote it, with its value; `problem` is "unknown" or what is said of it."""

    code = "bad_option"

    def __init__(self, option: str, problem: str, *, nearest: str | None = None, allowed: str | None = None):
        super().__init__(f"{option}: {problem}")
        self.option, self.problem, self.nearest, self.allowed = option, problem, nearest, allowed


class BadDefault(Refused):
    """One of the person's own defaults is no longer possible; `option` is it as a flag, with its value."""

    code = "bad_default"

    def __init__(self, option: str, allowed: str | None):
        super().__init__(option)
        self.option, self.allowed = option, allowed


class BadImage(Refused):
    """A picture that was given; `amount` is what it has of what `limit` limits: bytes, or pixels."""

    code = "bad_image"

    def __init__(self, problem: ImageProblem, *, limit: int | None = None, amount: int | None = None):
        super().__init__(problem)
        self.problem, self.limit, self.amount = problem, limit, amount


class QuotaExceeded(Refused):
    """`smaller` is a command that fits into what is left, and its units (`quota.smaller`, `prompt.to_text`)."""

    code = "quota"

    def __init__(
        self,
        *,
        needed: int,
        left: int,
        free_at_ms: int | None = None,
        smaller: tuple[str, int] | None = None,
        whose: Literal["person", "model", "place"] = "person",
    ):
        super().__init__(f"needs {needed} units, {left} left")
        self.needed, self.left, self.free_at_ms, self.smaller, self.whose = needed, left, free_at_ms, smaller, whose


class QueueFull(Refused):
    """`own`: the limit of one person, not of the whole queue."""

    code = "queue_full"

    def __init__(
        self,
        *,
        waiting: int,
        limit: int,
        own: bool,
        wait_seconds: float | None = None,  # of everybody's work
        starts_at_ms: int | None = None,  # the first of one's own
    ):
        super().__init__(f"{waiting} of {limit} jobs wait")
        self.waiting, self.limit, self.own = waiting, limit, own
        self.wait_seconds, self.starts_at_ms = wait_seconds, starts_at_ms


class Unconfirmed(Refused):
    """Several jobs at once, or much of an allowance: asked again with the price agreed to, it is accepted."""

    code = "unconfirmed"

    def __init__(self, *, jobs: int, units: int, allowance: int | None = None):
        super().__init__(f"{jobs} jobs, {units} units")
        self.jobs, self.units, self.allowance = jobs, units, allowance


class EraseUnconfirmed(Refused):
    """Erasing cannot be undone: asked again, it is done. What would go with the person."""

    code = "unconfirmed"

    def __init__(self, *, jobs: int, images: int):
        super().__init__(f"{jobs} jobs, {images} images")
        self.jobs, self.images = jobs, images


class NotAllowed(Refused):
    """Somebody else's job; `action` is the verb: "cancel", "delete"."""

    code = "not_allowed"

    def __init__(self, action: str = "do"):
        super().__init__(action)
        self.action = action


class NoAuthority(Refused):
    """An order of an admin's; `least` is who may give it: "moderator", "admin", "operator"."""

    code = "no_authority"

    def __init__(self, least: str):
        super().__init__(least)
        self.least = least


class AboveCap(Refused):
    """An admin would let somebody have more than the place may give to one person: `cap` units."""

    code = "above_cap"

    def __init__(self, cap: int):
        super().__init__(f"at most {cap} units")
        self.cap = cap


class NothingToRetry(Refused):
    """The job still goes on, or was delivered."""

    code = "nothing_to_retry"

    def __init__(self, job_id: str):
        super().__init__(job_id)
        self.job_id = job_id


class Blocked(Refused):
    """The person may not draw here."""

    code = "blocked"

    def __init__(self, *, ends_ms: int | None, reason: str):
        super().__init__(reason)
        self.ends_ms, self.reason = ends_ms, reason


class NoPermission(Refused):
    """`who`, the bot or the person, lacks what the platform calls `permission`."""

    code = "no_permission"

    def __init__(self, who: Literal["the bot", "you"], permission: str):
        super().__init__(f"{who}: {permission}")
        self.who, self.permission = who, permission


class NotServed(Refused):
    """Somebody whom the operator does not serve; "unseen": the platform does not say who they are."""

    code = "not_served"

    def __init__(self, reason: Literal["guest", "stranger", "deactivated", "team", "unseen"]):
        super().__init__(reason)
        self.reason = reason


class CannotPost(Refused):
    """A channel where the bot may say nothing; `invitation` is what brings it in, `job_ids` what was to stand there."""

    code = "cannot_post"

    def __init__(self, reason: Literal["not_invited", "archived", "closed"], invitation: str, job_ids: tuple[str, ...]):
        super().__init__(reason)
        self.reason, self.invitation, self.job_ids = reason, invitation, job_ids


class AgeRestricted(Refused):
    """What it asks for is drawn only where the platform keeps minors out."""

    code = "nsfw"


class BadWords(Refused):
    """`rule` is the name of what forbids it; `is_final`: no moderator can allow it. `reference` is its incident's."""

    code = "bad_words"

    def __init__(self, rule: str, reference: str = "", *, is_final: bool = False):
        super().__init__(rule)
        self.rule, self.reference, self.is_final = rule, reference, is_final


class SwitchedOff(Refused):
    """Nothing is drawn in this channel."""

    code = "switched_off"


class TooLarge(Refused):
    """Only drafts are drawn in this channel; `as_draft` is the command of one, or empty."""

    code = "only_drafts"

    def __init__(self, width: int, height: int, *, as_draft: str = ""):
        super().__init__(f"{width}×{height}")
        self.longest_px, self.as_draft = max(width, height), as_draft


class Unknown(Refused):
    """No such job, image or command, or one of another place: the two are answered alike."""

    code = "unknown"

    def __init__(self, name: str = "", kind: Literal["job", "person", "role", "model"] = "job"):
        super().__init__(name)
        self.name, self.kind = name, kind


class Gone(Refused):
    """The file was deleted; its recipe can be run again."""

    code = "gone"


class Forgotten(Refused):
    """The words of this job are no longer kept, so nothing can come of it."""

    code = "forgotten"


class Expired(Refused):
    """An offer, such as a price to agree to, that nobody remembers any more."""

    code = "expired"


class Unavailable(Refused):
    """Nothing can be accepted now: the disk is full, the database is locked."""

    code = "unavailable"

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class JobFailed(LimnerError):
    def __init__(self, kind: FailureKind, detail: str = ""):
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail = kind, detail


class EngineDied(LimnerError): ...


class CannotStart(LimnerError):
    def __init__(self, sentence: str, *, exit_code: int = 78):
        super().__init__(sentence)
        self.exit_code = exit_code


class InUse(CannotStart):
    """Another process has the data directory."""
