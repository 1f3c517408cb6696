"""Who and what is there: people, guilds, channels and messages, and how Discord writes them as JSON."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntFlag
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
            "public_flags": 0,
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


def walk(components: list[dict[str, Any]]):
    for part in components:
        yield part
        nested = [part[key] for key in ("accessory", "component") if part.get(key)]
        yield from walk([*part.get("components", []), *nested])


class World:
    """The state behind the stand-in. What changes here is announced with `emit`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.url_root = ""
        self.shards = 1
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.files: dict[str, Attachment] = {}
        self.reads_all_messages = False
        self._last_id = 0
        self.bot = self.add_user("limner", bot=True)
        self.application_id = self.bot.id
        self.owner, self.ada, self.bob = self.add_user("olga"), self.add_user("ada"), self.add_user("bob")

    def furnish(self) -> None:
        """One guild with an ordinary and an age-restricted channel; `owner` owns it, `ada` and `bob` are members."""
        self.guild = self.add_guild("The Studio")
        self.channel = self.add_channel("pictures")
        self.nsfw_channel = self.add_channel("after-dark", nsfw=True)

    def emit(self, event: str, data: dict[str, Any], *, guild: Guild | None, needs: str = "") -> None:
        raise NotImplementedError

    def new_id(self) -> int:
        self._last_id = max(self._last_id + 1, (int(self.clock() * 1000) - DISCORD_EPOCH_MS) << 22)
        return self._last_id

    def add_user(self, name: str, *, bot: bool = False, locale: str = "en-US") -> User:
        user = User(self.new_id(), name, bot, locale)
        self.users[user.id] = user
        for guild in self.guilds.values():
            guild.members.setdefault(user.id, [])
        return user

    def add_guild(self, name: str, *, owner: User | None = None, locale: str = "en-US", premium_tier: int = 0) -> Guild:
        """With everybody in it; guilds take the shards in turn."""
        shift = (len(self.guilds) - (self.new_id() >> 22)) % self.shards
        guild = Guild(self._last_id + (shift << 22), name, owner or self.owner, locale, premium_tier)
        guild.roles[guild.id] = Role(guild.id, "@everyone", EVERYONE)
        guild.members = {user.id: [] for user in self.users.values()}
        self.guilds[guild.id] = guild
        self.emit("GUILD_CREATE", self.guild_json(guild, whole=True), guild=guild, needs="guilds")
        return guild

    def remove_bot(self, guild: Guild) -> None:
        guild.has_bot = False
        guild.members.pop(self.bot.id, None)
        self.emit("GUILD_DELETE", {"id": str(guild.id)}, guild=guild, needs="guilds")

    def add_channel(self, name: str, *, guild: Guild | None = None, type: int = TEXT, nsfw: bool = False) -> Channel:
        channel = Channel(self.new_id(), type, name, guild or self.guild, nsfw=nsfw, created_at=self.clock())
        self.channels[channel.id] = channel
        self.emit("CHANNEL_CREATE", self.channel_json(channel), guild=channel.guild, needs="guilds")
        return channel

    def add_thread(
        self, parent: Channel, name: str, *, of: Message | None = None, owner: User | None = None
    ) -> Channel:
        """A public thread; of a message, it has that message's id."""
        thread = Channel(of.id if of else self.new_id(), PUBLIC_THREAD, name, parent.guild, parent)
        thread.owner_id, thread.created_at = (owner or self.bot).id, self.clock()
        thread.thread_members.add(thread.owner_id)
        self.channels[thread.id] = thread
        if of:
            of.thread, of.flags = thread, of.flags | HAS_THREAD
        found = self.channel_json(thread) | {"newly_created": True}
        self.emit("THREAD_CREATE", found, guild=thread.guild, needs="guilds")
        if of:
            self.announce("MESSAGE_UPDATE", of)
        return thread

    def dm(self, user: User) -> Channel:
        """The channel between a person and the bot."""
        for channel in self.channels.values():
            if channel.recipient is user:
                return channel
        channel = Channel(self.new_id(), DM, recipient=user, created_at=self.clock())
        self.channels[channel.id] = channel
        return channel

    def set_nsfw(self, channel: Channel, nsfw: bool) -> None:
        channel.nsfw = nsfw
        self.emit("CHANNEL_UPDATE", self.channel_json(channel), guild=channel.guild, needs="guilds")

    def archive(self, thread: Channel, *, archived: bool = True, locked: bool | None = None) -> None:
        thread.archived = archived
        thread.locked = thread.locked if locked is None else locked
        self.emit("THREAD_UPDATE", self.channel_json(thread), guild=thread.guild, needs="guilds")

    def permit(self, where: Guild | Channel, who: User, *permissions: Permission) -> None:
        self._change_permissions(where, who, granted=Permission(sum(permissions)))

    def forbid(self, where: Guild | Channel, who: User, *permissions: Permission) -> None:
        self._change_permissions(where, who, taken=Permission(sum(permissions)))

    def _change_permissions(
        self, where: Guild | Channel, who: User, granted: Permission = NONE, taken: Permission = NONE
    ) -> None:
        if isinstance(where, Guild):
            role = next((r for r in where.roles.values() if r.name == f"own:{who.id}"), None)
            if role is None:
                role = where.roles.setdefault((new := self.new_id()), Role(new, f"own:{who.id}", Permission(0)))
                where.members[who.id].append(role.id)
            role.permissions = (role.permissions | granted) & ~taken
            self.emit(
                "GUILD_ROLE_UPDATE", {"guild_id": str(where.id), "role": role.json()}, guild=where, needs="guilds"
            )
            self.emit("GUILD_UPDATE", self.guild_json(where), guild=where, needs="guilds")
        channels = [where] if isinstance(where, Channel) else [c for c in self.channels.values() if c.guild is where]
        for channel in channels:
            channel = channel.parent if channel.is_thread else channel
            allowed, denied = channel.overwrites.get(who.id, (NONE, NONE))
            if isinstance(where, Channel):
                allowed |= granted
            channel.overwrites[who.id] = (allowed & ~taken, (denied & ~granted) | taken)
            self.emit("CHANNEL_UPDATE", self.channel_json(channel), guild=channel.guild, needs="guilds")

    def permissions(self, user: User, channel: Channel) -> Permission:
        """What Discord computes: roles, then overwrites; without VIEW_CHANNEL nothing."""
        if channel.guild is None:
            return EVERYONE
        guild, place = channel.guild, channel.parent if channel.is_thread else channel
        if user.id not in guild.members:
            return NONE
        roles = guild.members[user.id]
        held = guild.everyone.permissions
        for role in roles:
            held |= guild.roles[role].permissions
        if user is guild.owner or Permission.ADMINISTRATOR in held:
            return ALL
        for group in ([guild.id], roles, [user.id]):
            pairs = [place.overwrites[key] for key in group if key in place.overwrites]
            for _, denied in pairs:
                held &= ~denied
            for allowed, _ in pairs:
                held |= allowed
        return held if Permission.VIEW_CHANNEL in held else NONE

    def upload_limit(self, channel: Channel, user: User | None = None) -> int:
        """Bytes per file: the guild's tier or the person's own limit."""
        tier = channel.guild.premium_tier if channel.guild else 0
        return max(TIER_LIMITS[tier], user.upload_limit if user else 0)

    # JSON as Discord writes it

    def member_json(self, guild: Guild, user: User, *, with_user: bool = True) -> dict[str, Any]:
        member = {
            "roles": [str(role) for role in guild.members.get(user.id, [])],
            "joined_at": timestamp(1_700_000_000),
            "nick": None,
            "avatar": None,
            "banner": None,
            "premium_since": None,
            "communication_disabled_until": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
        }
        return member | {"user": user.json()} if with_user else member

    def guild_json(self, guild: Guild, *, whole: bool = False) -> dict[str, Any]:
        found = {
            "id": str(guild.id),
            "name": guild.name,
            "owner_id": str(guild.owner.id),
            "preferred_locale": guild.locale,
            "premium_tier": guild.premium_tier,
            "features": [],
            "roles": [role.json() for role in guild.roles.values()],
            "emojis": [],
            "stickers": [],
            **dict.fromkeys(("icon", "splash", "discovery_splash", "banner", "description", "afk_channel_id"), None),
            **dict.fromkeys(("application_id", "system_channel_id", "rules_channel_id", "vanity_url_code"), None),
            **dict.fromkeys(("public_updates_channel_id", "safety_alerts_channel_id"), None),
            **dict.fromkeys(("verification_level", "default_message_notifications", "explicit_content_filter"), 0),
            **dict.fromkeys(("mfa_level", "nsfw_level", "system_channel_flags", "premium_subscription_count"), 0),
            "afk_timeout": 300,
            "region": "us-central",
            "premium_progress_bar_enabled": False,
        }
        if not whole:
            return found
        channels = [c for c in self.channels.values() if c.guild is guild]
        threads = [c for c in channels if c.is_thread and not c.archived]
        return found | {
            "unavailable": False,
            "large": False,
            "member_count": len(guild.members),
            "joined_at": timestamp(1_700_000_000),
            "members": [self.member_json(guild, self.bot)],
            "channels": [self.channel_json(c) for c in channels if not c.is_thread],
            "threads": [self.channel_json(c) for c in threads],
            **{key: [] for key in ("voice_states", "presences", "stage_instances", "guild_scheduled_events")},
            "soundboard_sounds": [],
        }

    def channel_json(self, channel: Channel, *, viewer: User | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {"id": str(channel.id), "type": channel.type, "flags": 0}
        found["last_message_id"] = str(channel.last.id) if channel.messages else None
        if channel.guild is None:
            return found | {"recipients": [channel.recipient.json()]}
        found |= {"guild_id": str(channel.guild.id), "name": channel.name, "rate_limit_per_user": 0}
        found["parent_id"] = str(channel.parent.id) if channel.parent else None
        if viewer:
            found["permissions"] = str(int(self.permissions(viewer, channel)) & ((1 << 53) - 1))
        if not channel.is_thread:
            return found | {
                "position": 0,
                "topic": None,
                "nsfw": channel.nsfw,
                "permission_overwrites": [
                    {
                        "id": str(key),
                        "type": int(key not in channel.guild.roles),
                        "allow": str(int(a)),
                        "deny": str(int(d)),
                    }
                    for key, (a, d) in channel.overwrites.items()
                ],
                **({"available_tags": []} if channel.type == FORUM else {}),
            }
        member = {"id": str(channel.id), "user_id": str(self.bot.id), "join_timestamp": timestamp(channel.created_at)}
        return found | {
            "owner_id": str(channel.owner_id),
            "message_count": len(channel.messages),
            "total_message_sent": len(channel.messages),
            "member_count": len(channel.thread_members),
            "thread_metadata": {
                "archived": channel.archived,
                "locked": channel.locked,
                "auto_archive_duration": channel.auto_archive_minutes,
                "archive_timestamp": timestamp(channel.created_at),
                "create_timestamp": timestamp(channel.created_at),
            },
            **({"member": member | {"flags": 1}} if self.bot.id in channel.thread_members else {}),
        }

    def is_readable(self, message: Message) -> bool:
        """May the bot read the content without the privileged intent?"""
        if self.reads_all_messages or message.author is self.bot or message.channel.type == DM:
            return True
        answers_bot = message.reply_to is not None and message.reply_to.author is self.bot
        return answers_bot or str(self.bot.id) in message.mentions

    def message_json(self, message: Message, *, readable: bool | None = None, quoted: bool = True) -> dict[str, Any]:
        readable = self.is_readable(message) if readable is None else readable
        named = [self.users[int(m)] for m in sorted(message.mentions) if m.isdigit() and int(m) in self.users]
        found: dict[str, Any] = {
            "id": str(message.id),
            "channel_id": str(message.channel.id),
            "author": message.author.json(),
            "content": message.content if readable else "",
            "embeds": message.embeds if readable else [],
            "components": message.components if readable else [],
            "attachments": [
                a.json(**({"ephemeral": True} if message.is_ephemeral else {})) for a in message.attachments
            ]
            if readable
            else [],
            "timestamp": timestamp(message.created_at),
            "edited_timestamp": timestamp(message.edited_at) if message.edited_at else None,
            "flags": message.flags,
            "type": message.type,
            "mentions": [user.json() for user in named],
            "mention_roles": [m.removeprefix("role:") for m in sorted(message.mentions) if m.startswith("role:")],
            "mention_everyone": bool(message.mentions & {"@everyone", "@here"}),
            "pinned": False,
            "tts": False,
        }
        if message.author is self.bot:
            found["application_id"] = str(self.application_id)
        if message.nonce is not None:
            found["nonce"] = message.nonce
        if message.interaction is not None:
            found |= {"webhook_id": str(self.application_id), "interaction_metadata": message.interaction.metadata()}
        if message.thread is not None:
            found["thread"] = self.channel_json(message.thread)
        if message.reply_to is not None:
            target = message.reply_to
            found["message_reference"] = {"type": 0, "message_id": str(target.id), "channel_id": str(target.channel.id)}
            if target.channel.guild:
                found["message_reference"]["guild_id"] = str(target.channel.guild.id)
            if quoted:
                found["referenced_message"] = None if target.is_deleted else self.message_json(target, quoted=False)
        return found

    def announce(self, event: str, message: Message) -> None:
        """Tells the bot about a message, where it may know of it."""
        channel = message.channel
        if message.is_ephemeral or Permission.VIEW_CHANNEL not in self.permissions(self.bot, channel):
            return
        guild, needs = channel.guild, "guild_messages" if channel.guild else "direct_messages"
        if event == "MESSAGE_DELETE":
            found = {"id": str(message.id), "channel_id": str(channel.id)}
        else:
            found = self.message_json(message) | {"channel_type": channel.type}
            if guild and not message.author.bot:
                found["member"] = self.member_json(guild, message.author, with_user=False)
        self.emit(event, found | ({"guild_id": str(guild.id)} if guild else {}), guild=guild, needs=needs)

    def delete_message(self, message: Message) -> None:
        message.is_deleted = True
        message.channel.by_id.pop(message.id, None)
        self.announce("MESSAGE_DELETE", message)

    def delete_thread(self, thread: Channel) -> None:
        self._remove_channel(thread, "THREAD_DELETE")

    def delete_channel(self, channel: Channel) -> None:
        self._remove_channel(channel, "CHANNEL_DELETE")

    def _remove_channel(self, channel: Channel, event: str) -> None:
        del self.channels[channel.id]
        for message in channel.by_id.values():
            message.is_deleted = True
        for inner in [c for c in self.channels.values() if c.parent is channel]:
            self.delete_thread(inner)
        self.emit(event, self.channel_json(channel), guild=channel.guild, needs="guilds")
