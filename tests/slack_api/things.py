"""The things of the stand-in: people, channels, files, messages with each state they were seen in, views, triggers."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PUBLIC, PRIVATE, IM = "public", "private", "im"
PICTURE_KINDS_BY_MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
MRKDWN_PING = re.compile(
    r"<!(channel|here|everyone)(?:\|[^>]*)?>|<!subteam\^(\w+)(?:\|[^>]*)?>|<@([UW]\w+)(?:\|[^>]*)?>"
)
MRKDWN_LINK = re.compile(r"<((?:https?://|mailto:|#C)[^>|]+)(?:\|[^>]*)?>")
BARE_LINK = re.compile(r"(?<![<|\w])https?://[^\s<>|]+")


@dataclass(eq=False)
class User:
    id: str
    name: str
    team_id: str
    is_bot: bool = False
    is_admin: bool = False
    is_owner: bool = False
    is_primary_owner: bool = False
    is_restricted: bool = False
    """A guest: of several channels, or with `is_ultra_restricted` of one."""
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    """From another workspace, in a channel that both share."""
    deleted: bool = False
    locale: str = "en-US"
    tz: str = "Europe/Berlin"

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    def json(self, *, with_locale: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 1_700_000_000,
            "profile": {
                "real_name": self.name.title(), "display_name": self.name, "team": self.team_id, "avatar_hash": "g0",
            },
        }  # fmt: skip
        if self.is_stranger:
            found["is_stranger"] = True
        if self.deleted:
            return found
        flags = ("is_admin", "is_owner", "is_primary_owner", "is_restricted", "is_ultra_restricted")
        found |= {flag: getattr(self, flag) for flag in flags}
        found |= {"real_name": self.name.title(), "color": "9f69e7", "is_email_confirmed": True}
        found |= {
            "tz": self.tz,
            "tz_label": "Central European Time",
            "tz_offset": 3600,
        }
        return found | ({"locale": self.locale} if with_locale else {})


@dataclass(eq=False)
class Channel:
    id: str
    name: str
    kind: str = PUBLIC
    members: set[str] = field(default_factory=set)
    is_archived: bool = False
    is_shared: bool = False
    by_ts: "dict[str, Message]" = field(default_factory=dict)

    @property
    def messages(self) -> "list[Message]":
        """What everybody sees here, thread replies included, oldest first; ephemeral ones are not among them."""
        return [m for m in self.by_ts.values() if not m.is_ephemeral]

    @property
    def top(self) -> "list[Message]":
        """What stands in the channel itself."""
        return [m for m in self.messages if m.thread_ts in (None, m.ts)]

    @property
    def last(self) -> "Message":
        return self.messages[-1]

    def thread(self, parent: "Message | str") -> "list[Message]":
        """The replies to a message."""
        ts = parent if isinstance(parent, str) else parent.ts
        return [m for m in self.messages if m.thread_ts == ts and m.ts != ts]


@dataclass(eq=False)
class File:
    """What was uploaded; `state`: empty, uploaded, processing, processed, deleted or refused."""

    id: str
    name: str
    length: int
    user_id: str
    created: int
    data: bytes = field(default=b"", repr=False)
    title: str = ""
    alt_txt: str | None = None
    mimetype: str = ""
    state: str = "empty"
    shares: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    url: str = ""
    width: int | None = None
    height: int | None = None
    external: bool = False

    @property
    def is_processed(self) -> bool:
        return self.state == "processed"

    @property
    def filename(self) -> str:
        return self.name

    def json(self) -> dict[str, Any]:
        if self.state == "deleted":
            return {"id": self.id, "mode": "tombstone"}
        found: dict[str, Any] = {
            "id": self.id,
            "created": self.created,
            "timestamp": self.created,
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": self.mimetype if self.is_processed else "",
            "filetype": self.mimetype.rpartition("/")[2] if self.is_processed else "",
            "user": self.user_id,
            "size": len(self.data),
            "mode": "external" if self.external else "hosted",
            "is_external": self.external,
            "editable": False,
            "is_public": bool(self.shares.get("public")),
            "file_access": "visible",
            "channels": list(self.shares.get("public", {})),
            "groups": [c for c in self.shares.get("private", {}) if not c.startswith("D")],
            "ims": [c for c in self.shares.get("private", {}) if c.startswith("D")],
            "comments_count": 0,
            "shares": copy.deepcopy(self.shares),
            "url_private": self.url,
            "url_private_download": self.url.replace(self.name, f"download/{self.name}"),
            "permalink": self.url.replace("files-pri", "files"),
            "has_rich_preview": False,
        }
        if self.is_processed and self.width:
            found |= {"original_w": self.width, "original_h": self.height, "thumb_360": self.url + "?thumb=360"}
        if self.alt_txt is not None:
            found["alt_txt"] = self.alt_txt
        return found


def walk(part: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in blocks, at any depth, in the order in which it is shown."""
    if isinstance(part, list):
        for one in part:
            yield from walk(one)
    elif isinstance(part, dict):
        yield part
        for one in part.values():
            yield from walk(one)


def _of_rich_text(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if kind in ("rich_text", "rich_text_list"):
        return "\n".join(_of_rich_text(one) for one in part["elements"])
    if "elements" in part:
        return "".join(_of_rich_text(one) for one in part["elements"])
    if kind == "user":
        return f"<@{part['user_id']}>"
    if kind == "broadcast":
        return f"<!{part['range']}>"
    if kind == "usergroup":
        return f"<!subteam^{part['usergroup_id']}>"
    if kind == "date":
        return str(part.get("fallback", ""))
    return str(part.get("text") or part.get("url") or "")


def readable(blocks: list[dict[str, Any]]) -> str:
    """The words that blocks show, a line for each text; buttons and fields to fill in are not among them."""
    lines = []
    for block in blocks:
        kind = block["type"]
        if kind == "rich_text":
            lines.append(_of_rich_text(block))
        elif kind == "markdown":
            lines.append(block["text"])
        elif kind in ("section", "header", "context"):
            texts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
            lines += [unescaped(t) for t in texts if t and "text" in t]
        elif kind == "image" and block.get("title"):
            lines.append(block["title"]["text"])
    return "\n".join(lines)


def unescaped(text: dict[str, Any]) -> str:
    """A text object as it is read: mrkdwn without its escapes."""
    if text.get("type") != "mrkdwn":
        return text["text"]
    return text["text"].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def active(text: str | None, blocks: list[dict[str, Any]], *, text_is_shown: bool) -> tuple[list[str], list[str]]:
    """(whom, where): who is mentioned and what is linked, as Slack reads it. The fallback text mentions, too."""
    pings, links = [], []
    sources = [text or ""]
    for part in walk(blocks):
        kind = part.get("type")
        if kind == "mrkdwn" or (kind == "markdown" and isinstance(part.get("text"), str)):
            sources.append(part["text"])
        elif kind == "user" and "user_id" in part:
            pings.append(part["user_id"])
        elif kind == "usergroup" and "usergroup_id" in part:
            pings.append(part["usergroup_id"])
        elif kind == "broadcast":
            pings.append(part["range"])
        elif kind == "link" and "url" in part:
            links.append(part["url"])
    for index, source in enumerate(sources):
        pings += [next(filter(None, found)) for found in MRKDWN_PING.findall(source)]
        if index or text_is_shown:
            links += MRKDWN_LINK.findall(source) + BARE_LINK.findall(source)
    return pings, links


class Readable:
    """What a person sees of a message or a view, whether now or at some time before."""

    blocks: list[dict[str, Any]]

    @property
    def parts(self) -> list[dict[str, Any]]:
        return list(walk(self.blocks))

    @property
    def buttons(self) -> list[dict[str, Any]]:
        return [part for part in self.parts if part.get("type") == "button"]

    @property
    def labels(self) -> list[str]:
        return [button["text"]["text"] for button in self.buttons]

    @property
    def images(self) -> list[dict[str, Any]]:
        """The pictures in it: image blocks and image elements."""
        return [part for part in self.parts if part.get("type") == "image"]

    @property
    def text(self) -> str:
        """What its blocks say, or without blocks its text."""
        return readable(self.blocks) or getattr(self, "fallback", "")


@dataclass(frozen=True)
class Shown(Readable):
    """One state of a message."""

    at: float
    fallback: str
    blocks: list[dict[str, Any]]
    files: "tuple[File, ...]"


@dataclass(eq=False)
class Message(Readable):
    ts: str
    channel: Channel
    author: User
    fallback: str = ""
    """Its `text`: what notifications and screen readers say; shown only where there are no blocks."""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    seen_by: User | None = None
    """The only one who sees an ephemeral message."""
    pings: list[str] = field(default_factory=list)
    """Whom it has mentioned in any of its states: user ids, ids of groups, `channel`, `here`, `everyone`."""
    notified: list[str] = field(default_factory=list)
    """Whom it mentioned when it was posted: changes notify nobody."""
    links: list[str] = field(default_factory=list)
    unfurls: bool = True
    history: list[Shown] = field(default_factory=list)
    edited_at: float | None = None
    subtype: str | None = None
    client_msg_id: str | None = None
    is_deleted: bool = False
    was_command: str | None = None
    """The command that everybody sees above it."""

    @property
    def is_ephemeral(self) -> bool:
        return self.seen_by is not None

    @property
    def pictures(self) -> list[str]:
        """The ids of the files that its image blocks show."""
        return [image["slack_file"].get("id", "") for image in self.images if "slack_file" in image]

    def remember(self, now: float) -> None:
        self.history.append(Shown(now, self.fallback, copy.deepcopy(self.blocks), tuple(self.files)))
        pings, links = active(self.fallback, self.blocks, text_is_shown=not self.blocks)
        if len(self.history) == 1:
            self.notified = sorted(set(pings))
        self.pings += sorted(set(pings).difference(self.pings))
        self.links += sorted(set(links).difference(self.links))

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "message", "ts": self.ts, "text": self.fallback, "user": self.author.id}
        found["team"] = self.author.team_id
        if self.blocks:
            found["blocks"] = copy.deepcopy(self.blocks)
        if self.files:
            found["files"] = [file.json() for file in self.files]
        if self.thread_ts is not None:
            found["thread_ts"] = self.thread_ts
        if self.metadata is not None:
            found["metadata"] = copy.deepcopy(self.metadata)
        if self.edited_at is not None:
            found["edited"] = {"user": self.author.id, "ts": f"{self.edited_at:.6f}"}
        if self.subtype:
            found["subtype"] = self.subtype
        if self.client_msg_id:
            found["client_msg_id"] = self.client_msg_id
        return found


@dataclass(eq=False)
class View(Readable):
    """A modal or a Home tab as one person has it before them."""

    id: str
    user: User
    form: dict[str, Any]
    hash: str
    root_id: str
    previous_id: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    """What stands at its fields, by block id."""
    is_open: bool = True
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def blocks(self) -> list[dict[str, Any]]:
        return self.form["blocks"]

    @property
    def title(self) -> str:
        return self.form["title"]["text"]

    @property
    def inputs(self) -> list[dict[str, Any]]:
        return [block for block in self.blocks if block["type"] == "input"]

    @property
    def fields(self) -> list[str]:
        """The labels of what can be filled in."""
        return [block["label"]["text"] for block in self.inputs]

    def json(self, team_id: str, app_id: str, bot_id: str) -> dict[str, Any]:
        defaults = {"private_metadata": "", "callback_id": "", "external_id": "", "close": None, "submit": None}
        flags = {"clear_on_close": False, "notify_on_close": False}
        return (
            defaults
            | flags
            | copy.deepcopy(self.form)
            | {
                "id": self.id,
                "team_id": team_id,
                "state": {"values": copy.deepcopy(self.values)},
                "hash": self.hash,
                "previous_view_id": self.previous_id,
                "root_view_id": self.root_id,
                "app_id": app_id,
                "app_installed_team_id": team_id,
                "bot_id": bot_id,
            }
        )


@dataclass(eq=False)
class Trigger:
    id: str
    user: User
    at: float
    act: Any = field(repr=False)
    view: View | None = None
    """The modal that it comes from: only such a trigger pushes another one on it."""
    is_used: bool = False
