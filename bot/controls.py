"""The buttons under a job, the same on every platform: what each asks for, and which stand there. Pure."""

import re
from dataclasses import dataclass, replace

from bot import wording
from bot.jobs import Job, Status

MORE = ("info", "vary_slightly", "four_more", "how", "original", "report", "delete")
_ID = re.compile(r"v1:([a-z_]{1,24}):([a-z0-9]{0,16}):(\d{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Press:
    """What a button asks for; `text` is what a remix changes."""

    verb: str
    job_id: str = ""
    index: int = 0
    text: str = ""

    @property
    def id(self) -> str:
        """Stays valid for ever, so it says no more than what it is about."""
        return f"v1:{self.verb}:{self.job_id}:{self.index}"


@dataclass(frozen=True, slots=True)
class Control:
    label: str
    press: Press
    row: int | None = None  # None: wherever there is room


def read_press(text: str) -> Press | None:
    """None for an id that no release ever made."""
    match = _ID.fullmatch(text)
    return Press(match[1], match[2], int(match[3])) if match else None


def under(job: Job) -> list[Control]:
    """What stands under a job, wherever it is."""
    shown = [image.index for image in job.stored]
    if job.status not in (Status.RENDERED, Status.DELIVERED) or not shown:
        actions = wording.actions(job)
        return [Control(each.label, Press("draft" if each.command else each.verb, job.id)) for each in actions]
    first, is_one = shown[0], len(shown) == 1
    rows = []
    if not is_one:
        rows += [Control(str(index + 1), Press("pick", job.id, index), 0) for index in shown]
        rows += [Control(f"V{index + 1}", Press("vary", job.id, index), 1) for index in shown]
    is_draft = job.request.quality == "draft"
    below = ["reroll", "remix"] + ["vary"] * is_one + ["full_size"] * (is_one and is_draft)
    rows += [Control(wording.LABELS[verb], Press(verb, job.id, first), 2) for verb in below]
    return [*rows, Control("More…", Press("more", job.id, first), 2)]


def more(job: Job, index: int) -> list[Control]:
    return [Control(wording.LABELS[verb], Press(verb, job.id, index)) for verb in MORE]


def meant(press: Press, job: Job) -> Press:
    """Of a button whose meaning depends on its job: picking a draft enlarges it, "as a draft" is a remix."""
    if press.verb == "pick":
        return replace(press, verb="info" if job.request.quality == "full" else "full_size")
    return replace(press, verb="remix", text="--quality draft") if press.verb == "draft" else press
