"""A job as a Discord message: its text and its buttons."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import discord

from bot import wording
from bot.feed import Live
from bot.jobs import Job, Status
from bot.phrases import clip

MAX_CONTENT = 2000  # characters
MAX_LINE = 400  # of what stands under the first line
MAX_ALT_TEXT = 1024
MAX_LABEL = 80
MORE = ("info", "vary_slightly", "four_more", "how", "original", "delete")
STYLES = {"cancel": discord.ButtonStyle.danger, "delete": discord.ButtonStyle.danger}
_LINK = re.compile(r":(?=//)")
_MENTION = re.compile(r"<(?=\S)")
_MARK = re.compile(r"[\\*_~|`\[\]]|^[>#-]")


@dataclass(frozen=True, slots=True)
class CustomId:
    """What a button means; the id stays valid for ever, so it says no more than what it is about."""

    verb: str
    job_id: str = ""
    index: int = 0

    def __str__(self) -> str:
        return f"v1:{self.verb}:{self.job_id}:{self.index}"


_CUSTOM_ID = re.compile(r"v1:([a-z_]{1,24}):([a-z0-9]{0,16}):(\d{1,2})", re.ASCII)


def read_custom_id(text: str) -> CustomId | None:
    """None for what this bot never made."""
    match = _CUSTOM_ID.fullmatch(text)
    return CustomId(match[1], match[2], int(match[3])) if match else None


class Press(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"v\d{1,3}:.{0,90}"):
    """A button of ours, of whatever release: pressed after any restart, it reaches the desk."""

    def __init__(self, button: discord.ui.Button[discord.ui.View]):
        super().__init__(button)

    @classmethod
    async def from_custom_id(  # type: ignore[override]  # discord.py declares the item wider
        cls, interaction: discord.Interaction, item: discord.ui.Button[discord.ui.View], match: re.Match[str], /
    ) -> "Press":
        return cls(item)

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.client.desk.pressed(interaction)  # type: ignore[attr-defined]  # our own client


def button(verb: str, label: str, job_id: str = "", index: int = 0, row: int | None = None) -> Press:
    style = STYLES.get(verb, discord.ButtonStyle.secondary)
    custom_id = str(CustomId(verb, job_id, index))
    return Press(discord.ui.Button(label=label[:MAX_LABEL], custom_id=custom_id, style=style, row=row))


def view(*buttons: Press) -> discord.ui.View:
    it = discord.ui.View(timeout=None)
    for each in buttons:
        it.add_item(each)
    return it


def controls(job: Job) -> discord.ui.View:
    """The buttons under a job, wherever it stands."""
    verbs = [("draft" if action.command else action.verb, action.label) for action in wording.actions(job)]
    actions = [button(verb, label, job.id) for verb, label in verbs]
    shown = [image.index for image in job.images if image.status == "done"]
    if job.status not in (Status.RENDERED, Status.DELIVERED) or not shown:
        return view(*actions)
    is_draft = wording.drawn(job).quality == "draft"
    rows = []
    if len(shown) > 1:
        rows += [button("pick", str(index + 1), job.id, index, row=0) for index in shown]
        rows += [button("vary", f"V{index + 1}", job.id, index, row=1) for index in shown]
    below = ["reroll", "remix"] + ["vary"] * (len(shown) == 1) + ["full_size"] * (len(shown) == 1 and is_draft)
    rows += [button(verb, wording.LABELS[verb], job.id, shown[0], row=2) for verb in below]
    return view(*rows, button("more", "More…", job.id, shown[0], row=2))


def more(job: Job, index: int) -> discord.ui.View:
    return view(*[button(verb, wording.LABELS[verb], job.id, index) for verb in MORE])


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
    """Labels and values, a line each; what is to be copied stands in a code span that no prompt can end."""
    shown = []
    for label, value in rows:
        code = clip(value.strip("`").replace("`", "'"), 900)
        shown.append(f"**{label}** " + (f"`{code}`" if value.startswith("`") else clip(plain(value), 700)))
    return clip("\n".join(shown), MAX_CONTENT)


def sentence(it: wording.Sentence) -> str:
    return clip(f"**{it.title}**" + (f"\n{it.body}" if it.body else ""), MAX_CONTENT)


def moment(ms: int) -> str:
    """Discord counts it down for each reader."""
    return f"<t:{ms // 1000}:R>"
