"""A job as a Discord message: its text and its buttons."""

import re
from collections.abc import Iterable

import discord

from bot import wording
from bot.controls import Control, under
from bot.feed import Live
from bot.jobs import Job, Status
from bot.phrases import clip

MAX_CONTENT = 2000  # characters
MAX_LINE = 400  # of what stands under the first line
MAX_ALT_TEXT = 1024
MAX_LABEL = 80
STYLES = {"cancel": discord.ButtonStyle.danger, "delete": discord.ButtonStyle.danger}
_MARKED = ("Job", "Asked")  # facts that nobody typed, an id and a time
_LINK = re.compile(r":(?=//)")
_MENTION = re.compile(r"<(?=\S)")
_MARK = re.compile(r"[\\*_~|`\[\]]|^[>#-]")


class Button(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"v\d{1,3}:.{0,90}"):
    """A button of ours, of whatever release: pressed after any restart, it reaches the desk."""

    def __init__(self, button: discord.ui.Button[discord.ui.View]):
        super().__init__(button)

    @classmethod
    async def from_custom_id(  # type: ignore[override]  # discord.py declares the item wider
        cls, interaction: discord.Interaction, item: discord.ui.Button[discord.ui.View], match: re.Match[str], /
    ) -> "Button":
        return cls(item)

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.client.desk.pressed(interaction)  # type: ignore[attr-defined]  # our own client


def view(controls: Iterable[Control]) -> discord.ui.View:
    it = discord.ui.View(timeout=None)
    for each in controls:
        style = STYLES.get(each.press.verb, discord.ButtonStyle.secondary)
        label, row = each.label[:MAX_LABEL], each.row
        it.add_item(Button(discord.ui.Button(label=label, custom_id=each.press.id, style=style, row=row)))
    it.stop()  # `Button` hears presses, and discord.py need not keep the view
    return it


def controls(job: Job) -> discord.ui.View:
    return view(under(job))


def is_of(message: discord.Message, job_id: str) -> bool:
    """Whether it has the buttons of this job."""
    return any(f":{job_id}:" in getattr(it, "custom_id", "") for it in discord.ui.View.from_message(message).children)


def plain(text: str) -> str:
    """Text of a person's as it stands: no mention, link or formatting comes of it."""
    one_line = " ".join(text.split())
    unlinked = _LINK.sub("\u200b:", _MENTION.sub("<\u200b", one_line))
    return discord.utils.escape_mentions(_MARK.sub(r"\\\g<0>", unlinked))


def content(job: Job, live: Live | None, mention: str, *, lineage: str = "", remark: str = "") -> str:
    """The one line that says where the job stands; what it came of, and a remark, under it."""
    status = wording.status_line(job, live, moment)
    if job.status == Status.RENDERED and live is None:
        status = wording.done_line(job)
    ends = f" — {mention} · {status}" + "".join(f"\n-# {clip(line, MAX_LINE)}" for line in (lineage, remark) if line)
    return f"**{clip(plain(wording.title(job)), MAX_CONTENT - len(ends) - 4)}**{ends}"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and values of `answers.info`, a line each; the command to copy is in a code span that it cannot end."""
    shown = []
    for label, value in rows:
        if label == "Again":
            code = value.strip("`").replace("`", "'").replace("/imagine ", "/imagine prompt:", 1)  # as Discord reads it
            value = f"`{clip(code, 900)}`"
        elif label not in _MARKED:
            value = clip(plain(value), 700)
        shown.append(f"**{label}** {value}")
    return clip("\n".join(shown), MAX_CONTENT)


def sentence(it: wording.Sentence) -> str:
    return clip(f"**{it.title}**" + (f"\n{it.body}" if it.body else ""), MAX_CONTENT)


def moment(ms: int) -> str:
    """Discord counts it down for each reader."""
    return f"<t:{ms // 1000}:R>"
