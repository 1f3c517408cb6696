"""The state behind the stand-in, and what changes in it without anybody asking the API."""

import asyncio
import mimetypes
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from tests.discord_api.posts import picture_size
from tests.discord_api.things import Clock
from tests.slack_api.things import IM, PRIVATE, PUBLIC, Channel, File, Message, Trigger, User, View

LEAST_SCOPES = (
    "commands", "chat:write", "files:write", "files:read", "app_mentions:read", "users:read", "im:write",
)  # fmt: skip
EVENTS = ("app_mention", "app_home_opened", "message.im", "app_uninstalled", "tokens_revoked")


class World:
    """One workspace with one app in it. What changes here wakes whoever waits with `until`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.url_root = ""
        self.team_id, self.app_id, self.bot_id = "T0STUDIO01", "A0LIMNER01", "B0LIMNER01"
        self.bot_token, self.app_token = "xoxb-1-the-bot-token", "xapp-1-the-app-token"
        self.signing_secret = "8f742231b10e8888abcd99yyyzzz85a5"
        self.token_state = ""
        """The error that the bot's token is answered with, as `token_revoked`; empty while it is good."""
        self.scopes: tuple[str, ...] = LEAST_SCOPES
        self.events: tuple[str, ...] = EVENTS
        """The events that the app subscribes to."""
        self.home_tab = self.messages_tab = True
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}
        self.homes: dict[str, View] = {}
        """The Home tab of each person, by user id."""
        self.triggers: dict[str, Trigger] = {}
        self._ids = count(1)
        self._last_ts = 0
        self._changed = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        super().__init__()
        self.bot = self.add_user("limner", is_bot=True)
        self.ada, self.bob = self.add_user("ada"), self.add_user("bob")
        self.olga = self.add_user("olga", is_admin=True, is_owner=True, is_primary_owner=True)
        self.adam = self.add_user("adam", is_admin=True)
        self.guest = self.add_user("gus", is_restricted=True)
        self.stranger = self.add_user("zoe", is_stranger=True)

    def furnish(self) -> None:
        """`channel` and `private_channel`, which the app is in; `elsewhere`, which it is not in; all hold everybody."""
        self.channel = self.add_channel("pictures")
        self.private_channel = self.add_channel("secrets", kind=PRIVATE)
        self.elsewhere = self.add_channel("elsewhere", bot=False)

    # waiting

    def touch(self) -> None:
        """Wakes whoever waits for something to change."""
        self._changed.set()
        self._changed = asyncio.Event()

    def advance(self, seconds: float) -> None:
        """Moves the clock of this server: triggers and response URLs age, retries come due."""
        self.clock.advance(seconds)
        self.touch()

    async def changed(self, seconds: float) -> None:
        """Something changed here, or that time went by."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def until(self, found: Callable[[], Any], timeout: float = 10.0) -> Any:
        """What `found` answers as soon as it is true; asked whenever something changed here, and now and then."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while not (answer := found()):
            left = end - loop.time()
            assert left > 0, f"did not come within {timeout:g} s; the last requests:\n{self.transcript()}"
            await self.changed(min(left, 0.25))
        return answer

    async def wait_until(self, at: float) -> None:
        """Until this server's clock shows that time."""
        while (left := at - self.clock()) > 0:
            await self.changed(min(left, 0.25))

    def transcript(self) -> str:
        return ""

    def go_on(self, coroutine: Any) -> asyncio.Task[Any]:
        """Runs beside; ends with the server."""
        task = asyncio.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    # ids

    def new_id(self, prefix: str) -> str:
        return f"{prefix}0{next(self._ids):08X}"

    def new_ts(self) -> str:
        self._last_ts = max(self._last_ts + 1, int(self.clock() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    # people and places

    def add_user(self, name: str, **flags: Any) -> User:
        team = "T0ELSEWHERE" if flags.get("is_stranger") else self.team_id
        user = User(self.new_id("U"), name, team, **flags)
        self.users[user.id] = user
        for channel in self.channels.values():
            if channel.kind != IM:
                channel.members.add(user.id)
        return user

    def add_channel(self, name: str, *, kind: str = PUBLIC, bot: bool = True, archived: bool = False) -> Channel:
        """With everybody in it, and with `bot` the app."""
        channel = Channel(self.new_id("C"), name, kind, set(self.users), archived)
        if not bot:
            channel.members.discard(self.bot.id)
        self.channels[channel.id] = channel
        return channel

    def dm(self, user: User) -> Channel:
        """The conversation between a person and the app."""
        for channel in self.channels.values():
            if channel.kind == IM and channel.members == {user.id, self.bot.id}:
                return channel
        channel = Channel(self.new_id("D"), "directmessage", IM, {user.id, self.bot.id})
        self.channels[channel.id] = channel
        return channel

    def invite_bot(self, channel: Channel) -> None:
        channel.members.add(self.bot.id)

    def kick_bot(self, channel: Channel) -> None:
        channel.members.discard(self.bot.id)

    def archive(self, channel: Channel, *, archived: bool = True) -> None:
        channel.is_archived = archived
        self.touch()

    def deactivate(self, user: User) -> None:
        user.deleted = True
        self.touch()

    def delete_channel(self, channel: Channel) -> None:
        del self.channels[channel.id]
        for message in channel.by_ts.values():
            message.is_deleted = True
        self.touch()

    # messages

    def show(self, message: Message) -> Message:
        """Notes the state that is now seen."""
        message.channel.by_ts[message.ts] = message
        message.remember(self.clock())
        self.touch()
        return message

    def delete_message(self, message: Message) -> None:
        """A parent with replies leaves a tombstone, under which the thread goes on."""
        message.is_deleted = True
        if message.channel.thread(message):
            message.subtype, message.fallback = "tombstone", "This message was deleted."
            message.blocks, message.files = [], []
            self.show(message)
        else:
            message.channel.by_ts.pop(message.ts, None)
            self.touch()

    def shown_to(self, user: User, channel: Channel) -> list[Message]:
        """The messages that this person sees there, their ephemeral ones included."""
        return [m for m in channel.by_ts.values() if not m.is_ephemeral or m.seen_by is user]

    def ephemerals(self, user: User, channel: Channel | None = None) -> list[Message]:
        """What only this person sees, oldest first."""
        places = [channel] if channel else list(self.channels.values())
        return sorted((m for c in places for m in c.by_ts.values() if m.seen_by is user), key=lambda m: m.ts)

    # files

    def add_file(self, name: str, data: bytes, user: User, *, mimetype: str | None = None) -> File:
        """A file that is there and can be fetched."""
        file = File(self.new_id("F"), name, len(data), user.id, int(self.clock()), data)
        file.url = f"{self.url_root}/files-pri/{self.team_id}-{file.id}/{name}"
        file.mimetype = mimetype or mimetypes.guess_type(name)[0] or "application/octet-stream"
        file.width, file.height = picture_size(data)
        file.state = "processed"
        self.files[file.id] = file
        return file

    def share(self, file: File, message: Message) -> None:
        channel = message.channel
        group = "public" if channel.kind == PUBLIC else "private"
        entry: dict[str, Any] = {"ts": message.ts, "channel_name": channel.name, "team_id": self.team_id}
        entry |= {"reply_users": [], "reply_users_count": 0, "reply_count": 0, "share_user_id": message.author.id}
        if message.thread_ts:
            entry["thread_ts"] = message.thread_ts
        file.shares.setdefault(group, {}).setdefault(channel.id, []).append(entry)

    def delete_file(self, file: File) -> None:
        """It leaves a tombstone in the messages that showed it."""
        file.state = "deleted"
        self.touch()
