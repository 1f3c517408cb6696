"""Messages as a bot makes and changes them, with everything that Discord checks on the way."""

import copy
import mimetypes
import struct
from dataclasses import dataclass, field
from typing import Any

from tests.discord_api import rules
from tests.discord_api.gateway import Gateway
from tests.discord_api.rules import File, Refusal, invalid_form, unknown
from tests.discord_api.things import (
    COMPONENTS_V2,
    FORUM,
    LOADING,
    Attachment,
    Channel,
    Message,
    Permission,
    User,
    numbered,
)

URL_LIFETIME_SECONDS = 24 * 3600
SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS = 1 << 2, 1 << 12
ALL_PINGS, USER_PINGS = ("users", "roles", "everyone"), ("users",)


@dataclass(eq=False)
class Request:
    """A request of the bot, as it came and what it got."""

    method: str
    path: str
    template: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    form: Any
    """The JSON of the body, or of a multipart form's `payload_json`."""
    files: dict[str, File]
    at: float
    status: int | None = None
    answer: Any = field(default=None, repr=False)

    @property
    def message_form(self) -> dict[str, Any]:
        return self.form or {}


def picture_size(data: bytes) -> tuple[int | None, int | None]:
    """Width and height that the header of a PNG claims."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    return None, None


class Posts(Gateway):
    def __init__(self) -> None:
        self.nonce_window_seconds = 180.0
        self._nonces: dict[tuple[int, str], tuple[float, Message]] = {}
        super().__init__()

    def keep_file(self, folder: str, filename: str, data: bytes, content_type: str | None = None) -> Attachment:
        """A file under a signed address of this server, good for a day of its clock."""
        new, (width, height) = self.new_id(), picture_size(data)
        path = f"/{folder}/{new}/{filename}"
        signature = f"ex={int(self.clock() + URL_LIFETIME_SECONDS):x}&is={int(self.clock()):x}&hm={new:064x}"
        kind = content_type or mimetypes.guess_type(filename)[0] or "application/octet-stream"
        attachment = Attachment(new, filename, data, kind, f"{self.url_root}{path}?{signature}&", None, width, height)
        self.files[path] = attachment
        return attachment

    def _uploads(self, channel: Channel, form: dict[str, Any], files: dict[str, File]) -> list[Attachment]:
        entries = {str(entry.get("id")): entry for entry in form.get("attachments") or []}
        found = []
        for name, file in files.items():
            entry = entries.get(name.removeprefix("files[").removesuffix("]"), {})
            rules.within("attachments.0.description", entry.get("description") or "", 0, 1024)
            filename = entry.get("filename") or file.filename
            attachment = self.keep_file(f"attachments/{channel.id}", filename, file.data)
            attachment.description, attachment.is_spoiler = entry.get("description"), bool(entry.get("is_spoiler"))
            found.append(attachment)
        return found

    def _kept(self, message: Message, form: dict[str, Any], files: dict[str, File]) -> list[Attachment]:
        """`attachments` names what stays and what is new; without it everything stays."""
        if form.get("attachments") is None:
            return message.attachments
        named = {str(entry["id"]) for entry in form["attachments"]}
        indexes = {name.removeprefix("files[").removesuffix("]") for name in files}
        kept = [attachment for attachment in message.attachments if str(attachment.id) in named]
        lost = named - indexes - {str(attachment.id) for attachment in kept}
        if lost:
            message_text = f"Attachment {min(lost)} is neither on the message nor in the request."
            raise invalid_form("attachments", "MESSAGE_ATTACHMENT_NOT_FOUND", message_text)
        return kept

    def write(self, message: Message, form: dict[str, Any], files: dict[str, File], *, limit_bytes: int) -> Message:
        """The message with a form applied, checked as a whole; raises without a trace of it."""
        draft = copy.copy(message)
        settable = COMPONENTS_V2 | SUPPRESS_EMBEDS | (0 if message.history else SUPPRESS_NOTIFICATIONS)
        draft.flags |= (form.get("flags") or 0) & settable
        draft.flags &= ~LOADING
        rules.check_form(form, draft.flags)
        draft.content = (form.get("content") or "").strip() if "content" in form else draft.content
        if "embeds" in form:
            draft.embeds = form["embeds"] or []
        if "components" in form:
            draft.components = numbered(form["components"] or [])
        if draft.flags & COMPONENTS_V2 and (draft.content or draft.embeds):
            raise invalid_form("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", "Still has content.")
        kept = self._kept(message, form, files)
        rules.check_files(files, kept, limit_bytes)
        draft.attachments = [*kept, *self._uploads(message.channel, form, files)]
        rules.check_references(draft)
        rules.check_is_not_empty(draft)
        return draft

    def publish(self, message: Message, draft: Message, form: dict[str, Any], *, default: tuple[str, ...]) -> Message:
        """The draft becomes what is seen: new, or in the place of what was there."""
        if "content" in form or not message.history:
            named = rules.pinged(draft.content, form.get("allowed_mentions"), default=default)
            replied = (form.get("allowed_mentions") or {"replied_user": True}).get("replied_user", False)
            if draft.reply_to and replied and "message_reference" in form:
                named.add(str(draft.reply_to.author.id))
            draft.mentions = named
        is_edit = bool(message.history) and not message.is_loading
        draft.edited_at = self.clock() if is_edit else draft.edited_at
        message.__dict__.update(draft.__dict__)
        return self.show(message, "MESSAGE_UPDATE" if message.history else "MESSAGE_CREATE")

    def show(self, message: Message, event: str) -> Message:
        """Notes the state that is now seen and tells the bot."""
        message.channel.by_id[message.id] = message
        message.remember(self.clock())
        self.announce(event, message)
        self.touch()
        return message

    def new_message(self, channel: Channel, author: User, **more: Any) -> Message:
        return Message(self.new_id(), channel, author, self.clock(), **more)

    # what the bot does with its own token

    def place(self, channel_id: int) -> Channel:
        channel = self.channels.get(channel_id)
        if channel is None:
            raise unknown("Channel")
        if channel.guild is not None and Permission.VIEW_CHANNEL not in self.permissions(self.bot, channel):
            raise Refusal(403, 50001, "Missing Access")
        return channel

    def message_at(self, channel_id: int, message_id: int) -> Message:
        message = self.place(channel_id).by_id.get(message_id)
        if message is None or message.is_ephemeral:
            raise unknown("Message")
        return message

    def need(self, channel: Channel, *permissions: Permission) -> None:
        held = self.permissions(self.bot, channel)
        if any(permission not in held for permission in permissions):
            raise Refusal(403, 50013, "Missing Permissions")

    def send_as_bot(self, channel: Channel, request: Request) -> Message:
        form, files = request.message_form, request.files
        if channel.type == FORUM:
            raise Refusal(400, 50008, "Cannot send messages in a non-text channel")
        if channel.recipient is not None and not channel.recipient.accepts_dms:
            raise Refusal(403, 50007, "Cannot send messages to this user")
        self.need(channel, Permission.SEND_MESSAGES_IN_THREADS if channel.is_thread else Permission.SEND_MESSAGES)
        if files:
            self.need(channel, Permission.ATTACH_FILES)
        if form.get("embeds"):
            self.need(channel, Permission.EMBED_LINKS)
        if channel.locked and Permission.MANAGE_THREADS not in self.permissions(self.bot, channel):
            raise Refusal(403, 160005, "Thread is locked")
        nonce = form.get("nonce")
        if nonce is not None and len(str(nonce)) > 25:
            raise invalid_form("nonce", "NONCE_TYPE_TOO_LONG", "Nonce must be 25 characters or fewer.")
        known = self._nonces.get((self.bot.id, str(nonce))) if form.get("enforce_nonce") else None
        if known is not None and known[0] > self.clock() - self.nonce_window_seconds:
            return known[1]
        message = self.new_message(channel, self.bot, nonce=None if nonce is None else str(nonce))
        message.reply_to = self._replied_to(channel, form.get("message_reference"))
        message.type = 19 if message.reply_to else 0
        draft = self.write(message, form, files, limit_bytes=self.upload_limit(channel))
        if channel.archived:
            self.archive(channel, archived=False)
        if nonce is not None:
            self._nonces[self.bot.id, str(nonce)] = (self.clock(), message)
        return self.publish(message, draft, form, default=ALL_PINGS)

    def _replied_to(self, channel: Channel, reference: dict[str, Any] | None) -> Message | None:
        if reference is None:
            return None
        self.need(channel, Permission.READ_MESSAGE_HISTORY)
        target = channel.by_id.get(int(reference["message_id"]))
        if target is not None and not target.is_ephemeral:
            return target
        if reference.get("fail_if_not_exists", True):
            raise invalid_form("message_reference", "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message")
        return None

    def edit_as_bot(self, message: Message, request: Request) -> Message:
        if message.author is not self.bot:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        if message.channel.archived:
            raise Refusal(400, 50083, "Thread is archived")
        if request.files:
            self.need(message.channel, Permission.ATTACH_FILES)
        limit_bytes = self.upload_limit(message.channel)
        draft = self.write(message, request.message_form, request.files, limit_bytes=limit_bytes)
        return self.publish(message, draft, request.message_form, default=ALL_PINGS)
