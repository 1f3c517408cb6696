"""The state behind the stand-in, and what changes in it without anybody asking the API."""

from typing import Any

from tests.discord_api.documents import Documents
from tests.discord_api.things import (
    ALL,
    DISCORD_EPOCH_MS,
    DM,
    EVERYONE,
    HAS_THREAD,
    NONE,
    PUBLIC_THREAD,
    TEXT,
    TIER_LIMITS,
    Attachment,
    Channel,
    Clock,
    Guild,
    Message,
    Permission,
    Role,
    User,
)


class World(Documents):
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

    def invite_bot(self, guild: Guild) -> None:
        guild.has_bot = True
        guild.members[self.bot.id] = []
        self.emit("GUILD_CREATE", self.guild_json(guild, whole=True), guild=guild, needs="guilds")

    def add_channel(self, name: str, *, guild: Guild | None = None, type: int = TEXT, nsfw: bool = False) -> Channel:
        channel = Channel(self.new_id(), type, name, guild or self.guild, nsfw=nsfw, created_at=self.clock())
        self.channels[channel.id] = channel
        self.emit("CHANNEL_CREATE", self.channel_json(channel), guild=channel.guild, needs="guilds")
        return channel

    def add_thread(
        self,
        parent: Channel,
        name: str,
        *,
        of: Message | None = None,
        owner: User | None = None,
        type: int = PUBLIC_THREAD,
    ) -> Channel:
        """A thread; of a message, it has that message's id."""
        thread = Channel(of.id if of else self.new_id(), type, name, parent.guild, parent)
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

    def boost(self, guild: Guild, tier: int) -> None:
        """Files may be larger: 50 MiB from tier 2, 100 MiB from tier 3."""
        guild.premium_tier = tier
        self.emit("GUILD_UPDATE", self.guild_json(guild), guild=guild, needs="guilds")

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
