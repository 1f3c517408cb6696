"""The things of the stand-in: permissions, people, guilds, channels, messages, and each state they were seen in."""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntFlag
from itertools import count
from typing import Any

MEBIBYTE = 1 << 20
TIER_LIMITS = {0: 10 * MEBIBYTE, 1: 10 * MEBIBYTE, 2: 50 * MEBIBYTE, 3: 100 * MEBIBYTE}
DISCORD_EPOCH_MS = 1420070400000
TEXT, DM, NEWS, PUBLIC_THREAD, PRIVATE_THREAD, FORUM = 0, 1, 5, 11, 12, 15
EPHEMERAL, LOADING, HAS_THREAD, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 5, 1 << 15
BUTTON = 2


class Permission(IntFlag):
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38


NONE = Permission(0)
ALL = ~NONE
EVERYONE = (
    Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.ADD_REACTIONS
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)


class Clock:
    """Seconds since 1970: the machine's, moved on by hand; once stopped only `advance` moves it."""

    def __init__(self) -> None:
        self._ahead, self._stopped = 0.0, None

    def __call__(self) -> float:
        return (time.time() if self._stopped is None else self._stopped) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds

    def stop(self) -> None:
        self._stopped = time.time()


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@dataclass(eq=False)
class User:
    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"
    upload_limit: int = 10 * MEBIBYTE
    accepts_dms: bool = True

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    def json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": None if self.bot else self.name.title(),
            "discriminator": "0",
            "avatar": None,
            "bot": self.bot,
            "flags": 0,
            "public_flags": 0,
            "primary_guild": None,
        }


@dataclass(eq=False)
class Role:
    id: int
    name: str
    permissions: Permission

    def json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "name": self.name,
            "permissions": str(int(self.permissions)),
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "icon": None,
            "unicode_emoji": None,
            "position": 0 if self.name == "@everyone" else 1,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }


@dataclass(eq=False)
class Guild:
    id: int
    name: str
    owner: User
    locale: str = "en-US"
    premium_tier: int = 0
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, list[int]] = field(default_factory=dict)
    """The ids of each member's roles, by the member's id."""
    has_bot: bool = True

    @property
    def everyone(self) -> Role:
        return self.roles[self.id]


@dataclass(eq=False)
class Channel:
    id: int
    type: int
    name: str = ""
    guild: Guild | None = None
    parent: "Channel | None" = None
    nsfw: bool = False
    overwrites: dict[int, tuple[Permission, Permission]] = field(default_factory=dict)
    """(allowed, denied) by the id of a role or a member."""
    recipient: User | None = None
    owner_id: int = 0
    archived: bool = False
    locked: bool = False
    auto_archive_minutes: int = 1440
    thread_members: set[int] = field(default_factory=set)
    by_id: "dict[int, Message]" = field(default_factory=dict)
    created_at: float = 0.0

    @property
    def is_thread(self) -> bool:
        return self.type in (PUBLIC_THREAD, PRIVATE_THREAD)

    @property
    def is_age_restricted(self) -> bool:
        return (self.parent if self.is_thread else self).nsfw

    @property
    def messages(self) -> "list[Message]":
        """What everybody sees here, oldest first; private answers are not among them."""
        return [m for m in self.by_id.values() if not m.is_ephemeral]

    @property
    def last(self) -> "Message":
        return self.messages[-1]


@dataclass(eq=False)
class Attachment:
    id: int
    filename: str
    data: bytes = field(repr=False)
    content_type: str
    url: str
    description: str | None = None
    width: int | None = None
    height: int | None = None
    is_spoiler: bool = False

    @property
    def size(self) -> int:
        return len(self.data)

    def json(self, **more: Any) -> dict[str, Any]:
        found = {
            "id": str(self.id),
            "filename": self.filename,
            "size": self.size,
            "url": self.url,
            "proxy_url": self.url,
            "content_type": self.content_type,
            **more,
        }
        if self.width and self.height:
            found |= {"width": self.width, "height": self.height}
        if self.description is not None:
            found["description"] = self.description
        return found


class Readable:
    """What a person sees of a message, whether now or at some time before."""

    content: str
    components: list[dict[str, Any]]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Every component at any depth, in the order in which it is shown."""
        return list(walk(self.components))

    @property
    def buttons(self) -> list[dict[str, Any]]:
        return [part for part in self.parts if part["type"] == BUTTON]

    @property
    def labels(self) -> list[str]:
        return [button.get("label") or (button.get("emoji") or {}).get("name", "") for button in self.buttons]

    @property
    def text(self) -> str:
        """The content and every text display."""
        return "\n".join([self.content, *(part["content"] for part in self.parts if part["type"] == 10)]).strip()


@dataclass(frozen=True)
class Shown(Readable):
    """One state of a message."""

    at: float
    content: str
    embeds: list[dict[str, Any]]
    components: list[dict[str, Any]]
    attachments: tuple[Attachment, ...]
    flags: int

    @property
    def is_loading(self) -> bool:
        return bool(self.flags & LOADING)


def numbered(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A copy in which every component has an id, as Discord gives them."""
    components = copy.deepcopy(components)
    taken = {part["id"] for part in walk(components) if part.get("id")}
    free = (number for number in count(1) if number not in taken)
    for part in walk(components):
        part["id"] = part.get("id") or next(free)
    return components


@dataclass(eq=False)
class Message(Readable):
    id: int
    channel: Channel
    author: User
    created_at: float
    content: str = ""
    embeds: list[dict[str, Any]] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    type: int = 0
    nonce: str | None = None
    reply_to: "Message | None" = None
    seen_by: User | None = None
    """The only one who sees an ephemeral message."""
    interaction: Any = None
    mentions: set[str] = field(default_factory=set)
    """Whom it names at present so that they are pinged: user ids, `role:` and an id, `@everyone`, `@here`."""
    pings: list[str] = field(default_factory=list)
    """Whom it has named in any of its states, permitted or not: what a test wants to be empty."""
    history: list[Shown] = field(default_factory=list)
    edited_at: float | None = None
    thread: Channel | None = None
    is_deleted: bool = False

    @property
    def is_ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def is_loading(self) -> bool:
        return bool(self.flags & LOADING)

    def remember(self, now: float) -> None:
        state = (self.content, self.embeds, self.components, tuple(self.attachments), self.flags)
        self.history.append(Shown(now, *state))
        self.pings += sorted(self.mentions.difference(self.pings))


def walk(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every component, and those inside it."""
    for part in components:
        yield part
        nested = [part[key] for key in ("accessory", "component") if part.get(key)]
        yield from walk([*part.get("components", []), *nested])
