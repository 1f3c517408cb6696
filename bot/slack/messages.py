"""A job as a Slack message: rich text, in which nothing that a person typed can be a mention, a link or formatting."""

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bot import wording
from bot.controls import Control, under
from bot.feed import Live
from bot.jobs import Job, Status
from bot.phrases import clip, utc

MAX_TEXT = 3000  # characters of an answer
MAX_FALLBACK = 700  # of what notifications and screen readers have; escaped, it can be five times that
SOON_SECONDS = 12 * 3600
MAX_LINE, MAX_ALT_TEXT, MAX_LABEL = 400, 2000, 75
EVENT = "limner_job"
UNFURLED: Mapping[str, Any] = {"unfurl_links": False, "unfurl_media": False}
_MARK = re.compile("`([^`]+)`|\ue000([dt])(\\d{1,12})\ue001")
_MARKED = ("Job", "Asked")  # facts of ours, with marks; in the others stands what people typed
_FORMATS = {"t": "at {time}", "d": "{date_short_pretty} at {time}"}

Block = dict[str, Any]


def moment(ms: int) -> str:
    """In a text: Slack shows each reader the day and the time of their own clock."""
    return f"\ue000d{ms // 1000}\ue001"


def clock(ms: int) -> str:
    """The same for what is soon, without the day; what is not has it."""
    return f"\ue000t{ms // 1000}\ue001" if ms / 1000 - time.time() < SOON_SECONDS else moment(ms)


def plain(text: str) -> str:
    """A person's text inside one of ours: nothing in it is read as a mark."""
    return re.sub("[\ue000\ue001]", "", " ".join(text.split())).replace("`", "'")


def runs(text: str) -> list[Block]:
    """Our own text as the elements of a rich text: `code`, and times."""
    elements, end = [], 0
    for mark in _MARK.finditer(text):
        code, form, seconds = mark.groups()
        elements += literal(text[end : mark.start()]) + literal(code or "", code=True)
        if form:
            at = {"timestamp": int(seconds), "format": _FORMATS[form], "fallback": _read(mark)}
            elements.append({"type": "date"} | at)
        end = mark.end()
    return elements + literal(text[end:])


def literal(text: str, **style: bool) -> list[Block]:
    return [{"type": "text", "text": text} | ({"style": style} if style else {})] if text else []


def rich(*elements: Block) -> Block:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def spoken(text: str) -> str:
    """Our own text where there is no rich text: at a form's field, in a notification."""
    return _MARK.sub(_read, text)


def _read(mark: re.Match[str]) -> str:
    code, form, seconds = mark.groups()
    if code:
        return str(code)
    then = datetime.fromtimestamp(int(seconds), UTC)
    return (f"{then.day} {then:%b} " if form == "d" else "") + utc(int(seconds) * 1000)


def fallback(text: str) -> str:
    """What is read where no blocks are: with the characters escaped or parted that could make something of it."""
    escaped = clip(spoken(text), MAX_FALLBACK).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("://", ":\u200b//").replace("@", "@\u200b") or " "


def status(job: Job, live: Live | None) -> str:
    """Where the job stands; of one whose pictures are shown just now, what will stand there for good."""
    is_shown = job.status == Status.RENDERED and live is None
    return wording.done_line(job) if is_shown else wording.status_line(job, live, clock)


def message(
    job: Job, status: str, name: str, *, lineage: str = "", remark: str = "", files: Mapping[int, str] | None = None
) -> dict[str, Any]:
    """The one message of a job. `files`: what Slack keeps of its images, by index."""
    below = "".join(f"\n{clip(line, MAX_LINE)}" for line in (lineage, remark) if line)
    title = " ".join(wording.title(job).split())
    text = rich(*literal(title, bold=True), *literal(f" — @{name} · "), *runs(status), *literal(below, italic=True))
    shown = [image(job, file_id) for _, file_id in sorted((files or {}).items())]
    said = _said(f"{plain(title)} — @{name} · {status}", text, *shown, *actions(under(job)))
    return said | {"metadata": {"event_type": EVENT, "event_payload": {"job": job.id}}}


def job_of(message: Mapping[str, Any]) -> str:
    """The job that a message says it is the one of."""
    metadata = message.get("metadata") or {}
    return str((metadata.get("event_payload") or {}).get("job", "")) if metadata.get("event_type") == EVENT else ""


def image(job: Job, file_id: str) -> Block:
    return {"type": "image", "slack_file": {"id": file_id}, "alt_text": wording.alt_text(job)[:MAX_ALT_TEXT]}


def actions(controls: Iterable[Control]) -> list[Block]:
    """The rows of buttons; none, where there are none."""
    rows: dict[int | None, list[Block]] = {}
    for each in controls:
        rows.setdefault(each.row, []).append(_button(each))
    return [{"type": "actions", "elements": row} for row in rows.values()]


def _button(control: Control) -> Block:
    press = control.press
    text = {"type": "plain_text", "text": control.label[:MAX_LABEL], "emoji": False}
    name = f"{press.verb}:{press.job_id}:{press.index}"
    made: Block = {"type": "button", "action_id": name, "value": press.id, "text": text}
    if press.verb in ("cancel", "delete"):
        made["style"] = "danger"
    if press.verb == "delete":
        asked = zip(("title", "text", "confirm", "deny"), wording.DELETE_CONFIRM, strict=True)
        made["confirm"] = {"style": "danger"} | {key: {"type": "plain_text", "text": text} for key, text in asked}
    return made


def answer(text: str, controls: Iterable[Control] = ()) -> dict[str, Any]:
    """One of our own texts with what stands under it."""
    said = clip(text, MAX_TEXT)
    return _said(said, rich(*runs(said)), *actions(controls))


def sentence(it: wording.Sentence, controls: Iterable[Control] = ()) -> dict[str, Any]:
    head = [part | {"style": part.get("style", {}) | {"bold": True}} for part in runs(it.title)]
    text = rich(*head, *runs(f"\n{it.body}" if it.body else ""))
    return _said(f"{it.title}. {it.body}".strip(), text, *actions(controls))


def facts(rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Labels and values of `answers.info`, a line each; the command to draw it again is there to be copied."""
    elements: list[Block] = []
    for label, value in rows:
        elements += literal(f"{label} ", bold=True)
        if label == "Again":
            elements += literal(clip(value.strip("`"), 1600), code=True)
        else:
            elements += runs(value) if label in _MARKED else literal(clip(value, 1600))
        elements += literal("\n")
    return _said(" · ".join(f"{label} {plain(value)}" for label, value in rows), rich(*elements))


def _said(text: str, *blocks: Block) -> dict[str, Any]:
    return {"text": fallback(text), "blocks": list(blocks), "parse": "none", "link_names": False}
