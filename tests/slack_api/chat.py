"""Messages as the app makes and changes them, the people and places that it asks for, and response URLs."""

from dataclasses import dataclass, field
from typing import Any

from tests.slack_api import rules
from tests.slack_api.delivery import Act, Delivery
from tests.slack_api.rules import Refusal
from tests.slack_api.things import IM, PRIVATE, Channel, File, Message, User

TEXT_LIMIT, UPDATE_TEXT_LIMIT = 40_000, 4_000
URL_USES, URL_LIFETIME_SECONDS = 5, 1800.0
KEPT = object()


@dataclass(eq=False)
class Request:
    """A request of the app, as it came and what it got."""

    method: str
    """`chat.update`; `upload`, `response_url` or `download` for what is no method."""
    form: dict[str, Any]
    headers: dict[str, str] = field(repr=False)
    at: float
    path: str = ""
    status: int | None = None
    answer: Any = field(default=None, repr=False)

    @property
    def error(self) -> str | None:
        return self.answer.get("error") if isinstance(self.answer, dict) else None

    def need(self, *keys: str) -> list[Any]:
        missing = [key for key in keys if self.form.get(key) in (None, "")]
        if missing:
            messages = [f"[ERROR] missing required field: {key}" for key in missing]
            raise Refusal("invalid_arguments", response_metadata={"messages": messages})
        return [self.form[key] for key in keys]


@dataclass(eq=False)
class ResponseURL:
    path: str
    act: Act
    at: float
    original: Message | None
    uses: int = 0


class Chat(Delivery):
    def __init__(self) -> None:
        self.response_urls: dict[str, ResponseURL] = {}
        self.edit_window_seconds: float | None = None
        self.user_groups: dict[str, list[str]] = {}
        """Ids of people by the id of a group."""
        super().__init__()

    # places

    def place(self, channel_id: Any, *, posting: bool = True, archived: str = "is_archived") -> Channel:
        """A channel that the app may write in; one that it does not see is not found."""
        channel = self.channels.get(str(channel_id))
        if channel is None and str(channel_id) in self.users and posting:
            channel = self._dm_with(self.users[channel_id])
        if channel is None:
            raise Refusal("channel_not_found")
        is_in = self.bot.id in channel.members
        if not is_in and channel.kind in (PRIVATE, IM):
            raise Refusal("channel_not_found")
        if channel.is_archived and posting:
            raise Refusal(archived)
        if not is_in and posting and not (channel.kind == "public" and "chat:write.public" in self.scopes):
            raise Refusal("not_in_channel")
        if channel.kind == IM and posting and not self.messages_tab:
            raise Refusal("messages_tab_disabled")
        return channel

    def _dm_with(self, user: User) -> Channel:
        if user.deleted or user.is_bot:
            raise Refusal("channel_not_found")
        return self.dm(user)

    def message_at(self, channel: Channel, ts: Any) -> Message:
        message = channel.by_ts.get(str(ts))
        if message is None or message.is_ephemeral or message.is_deleted:
            raise Refusal("message_not_found")
        return message

    def slack_file(self, named: dict[str, Any]) -> File | None:
        """A file that the app may show: its own, or one that was given to it."""
        if set(named) not in ({"id"}, {"url"}):
            return None
        for file in self.files.values():
            if file.state != "deleted" and (file.id == named.get("id") or file.url == named.get("url")):
                return file
        return None

    # writing

    def write(self, message: Message, form: dict[str, Any], *, text_limit: int = TEXT_LIMIT) -> Message:
        """The message with a form applied; raises without a trace of it."""
        text, blocks = form.get("text"), form.get("blocks")
        if text is not None and not isinstance(text, str):
            raise Refusal("invalid_arguments")
        if len(text or "") > text_limit:
            raise Refusal("msg_too_long")
        if blocks is not None:
            rules.check_blocks(blocks, self.slack_file)
        if form.get("metadata"):
            rules.check_metadata(form["metadata"])
        if form.get("markdown_text") is not None and (text or blocks):
            raise Refusal("markdown_text_conflict")
        if not (text or blocks or form.get("attachments") or form.get("file_ids") or form.get("markdown_text")):
            raise Refusal("no_text")
        if not (text or "").strip():
            self.violations.append(f"a message without a text that can be read aloud: {form!r:.200}")
        if blocks is not None:
            message.blocks = rules.numbered(blocks, lambda: self.new_id("b"))
        elif text is not None:
            message.blocks = []
        if text is not None:
            message.fallback = text
        if "metadata" in form:
            message.metadata = form["metadata"] or None
        message.unfurls = bool(form.get("unfurl_links", True)) or bool(form.get("unfurl_media", True))
        return self.show(message)

    def _thread(self, channel: Channel, ts: Any) -> str | None:
        """The thread of a reply. Where its parent is gone, Slack puts the reply into the channel without a word."""
        if ts in (None, ""):
            return None
        parent = channel.by_ts.get(str(ts))
        if parent is None or parent.is_ephemeral:
            return None
        if parent.thread_ts not in (None, parent.ts):
            self.violations.append(f"{ts} is a reply: a thread is named by its parent")
            return parent.thread_ts
        parent.thread_ts = parent.ts
        return parent.ts

    def chat_postMessage(self, request: Request) -> dict[str, Any]:  # noqa: N802
        form = request.form
        [channel_id] = request.need("channel")
        channel = self.place(channel_id)
        self.take_limit("chat.postMessage", channel.id)
        message = Message(self.new_ts(), channel, self.bot)
        thread_ts = self._thread(channel, form.get("thread_ts"))
        message.thread_ts = thread_ts
        self.write(message, form)
        return {"channel": channel.id, "ts": message.ts, "message": message.json() | {"bot_id": self.bot_id}}

    def chat_update(self, request: Request) -> dict[str, Any]:
        channel_id, ts = request.need("channel", "ts")
        if str(channel_id).startswith(("U", "W")):
            raise Refusal("channel_not_found")
        channel = self.place(channel_id, archived="is_inactive")
        message = self.message_at(channel, ts)
        if message.author is not self.bot:
            raise Refusal("cant_update_message")
        if self.edit_window_seconds is not None and self.clock() > float(ts) + self.edit_window_seconds:
            raise Refusal("edit_window_closed")
        if request.form.get("file_ids") is not None:
            ids = request.form["file_ids"]
            wanted = [part for part in ids.split(",") if part] if isinstance(ids, str) else ids
            files = [self.slack_file({"id": each}) for each in wanted]
            if any(file is None or not file.is_processed for file in files):
                raise Refusal("file_not_found")
            message.files = [file for file in files if file]
        form = request.form
        message.edited_at = self.clock() if form.get("text") and not form.get("blocks") else message.edited_at
        self.write(message, form, text_limit=UPDATE_TEXT_LIMIT)
        return {"channel": channel.id, "ts": message.ts, "text": message.fallback, "message": message.json()}

    def chat_delete(self, request: Request) -> dict[str, Any]:
        channel_id, ts = request.need("channel", "ts")
        channel = self.place(channel_id, archived="is_inactive")
        message = self.message_at(channel, ts)
        if message.author is not self.bot:
            raise Refusal("cant_delete_message")
        self.delete_message(message)
        return {"channel": channel.id, "ts": ts}

    def chat_postEphemeral(self, request: Request) -> dict[str, Any]:  # noqa: N802
        channel_id, user_id = request.need("channel", "user")
        channel = self.place(channel_id)
        user = self.users.get(user_id)
        if user is None or user.id not in channel.members or user.deleted:
            raise Refusal("user_not_in_channel")
        message = Message(self.new_ts(), channel, self.bot, seen_by=user)
        message.thread_ts = self._thread(channel, request.form.get("thread_ts"))
        self.write(message, request.form)
        return {"message_ts": message.ts}

    def chat_getPermalink(self, request: Request) -> dict[str, Any]:  # noqa: N802
        channel_id, ts = request.need("channel", "message_ts")
        channel = self.place(channel_id, posting=False)
        message = self.message_at(channel, ts)
        link = f"https://the-studio.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
        return {"channel": channel.id, "permalink": link}

    # asking

    def conversations_open(self, request: Request) -> dict[str, Any]:
        if request.form.get("channel"):
            return {"channel": {"id": self.place(request.form["channel"]).id}}
        [users] = request.need("users")
        found = [self.users.get(one.strip()) for one in str(users).split(",")]
        if not all(found):
            raise Refusal("user_not_found")
        if len(found) > 1:
            raise Refusal("missing_scope", needed="mpim:write", provided=",".join(self.scopes))
        user = found[0]
        assert user is not None
        if user.deleted:
            raise Refusal("user_disabled")
        if user.is_bot:
            raise Refusal("cannot_dm_bot")
        return {"no_op": True, "already_open": True, "channel": {"id": self.dm(user).id}}

    def conversations_info(self, request: Request) -> dict[str, Any]:
        [channel_id] = request.need("channel")
        channel = self.place(channel_id, posting=False)
        return {"channel": self.channel_json(channel)}

    def channel_json(self, channel: Channel) -> dict[str, Any]:
        found: dict[str, Any] = {"id": channel.id, "created": 1_700_000_000, "is_archived": channel.is_archived}
        found |= {"is_im": channel.kind == IM, "is_private": channel.kind == PRIVATE, "is_mpim": False}
        if channel.kind == IM:
            return found | {"user": next((m for m in channel.members if m != self.bot.id), "")}
        found |= {"name": channel.name, "name_normalized": channel.name, "is_channel": channel.kind == "public"}
        found |= {"is_group": channel.kind == PRIVATE, "is_general": False, "is_shared": channel.is_shared}
        found |= {"is_ext_shared": channel.is_shared, "is_member": self.bot.id in channel.members}
        return found | {"context_team_id": self.team_id, "creator": self.olga.id}

    def conversations_history(self, request: Request) -> dict[str, Any]:
        [channel_id] = request.need("channel")
        channel = self.place(channel_id, posting=False)
        if self.bot.id not in channel.members:
            raise Refusal("not_in_channel")
        return self._listed(request, channel.top[::-1])

    def conversations_replies(self, request: Request) -> dict[str, Any]:
        channel_id, ts = request.need("channel", "ts")
        channel = self.place(channel_id, posting=False)
        parent = channel.by_ts.get(str(ts))
        if parent is None or parent.is_ephemeral:
            raise Refusal("thread_not_found")
        return self._listed(request, [parent, *channel.thread(parent)])

    def _listed(self, request: Request, messages: list[Message]) -> dict[str, Any]:
        form = request.form
        oldest, latest = float(form.get("oldest") or 0), float(form.get("latest") or 1e12)
        found = [m for m in messages if oldest <= float(m.ts) <= latest][: int(form.get("limit") or 100)]
        shown = [m.json() for m in found]
        if str(form.get("include_all_metadata", "")).lower() not in ("1", "true"):
            for one in shown:
                one.pop("metadata", None)
        return {"messages": shown, "has_more": False, "response_metadata": {"next_cursor": ""}}

    def conversations_join(self, request: Request) -> dict[str, Any]:
        [channel_id] = request.need("channel")
        channel = self.place(channel_id, posting=False)
        self.invite_bot(channel)
        return {"channel": self.channel_json(channel)}

    def conversations_members(self, request: Request) -> dict[str, Any]:
        [channel_id] = request.need("channel")
        channel = self.place(channel_id, posting=False)
        return {"members": sorted(channel.members), "response_metadata": {"next_cursor": ""}}

    def users_info(self, request: Request) -> dict[str, Any]:
        [user_id] = request.need("user")
        user = self.users.get(user_id)
        if user is None:
            raise Refusal("user_not_found")
        with_locale = str(request.form.get("include_locale", "")).lower() in ("1", "true")
        return {"user": user.json(with_locale=with_locale)}

    def usergroups_users_list(self, request: Request) -> dict[str, Any]:
        [group] = request.need("usergroup")
        if group not in self.user_groups:
            raise Refusal("no_such_subteam")
        return {"users": self.user_groups[group]}

    def usergroups_list(self, request: Request) -> dict[str, Any]:
        with_users = str(request.form.get("include_users", "")).lower() in ("1", "true")
        groups = [
            {"id": key, "team_id": self.team_id, "handle": key.lower()} | ({"users": users} if with_users else {})
            for key, users in self.user_groups.items()
        ]
        return {"usergroups": groups}

    # response URLs

    def new_response_url(self, act: Act, original: Message | None = None) -> str:
        kind = "commands" if act.kind == "slash_commands" else "actions"
        path = f"/{kind}/{self.team_id}/{self.new_id('')}/{self.new_id('r')}"
        self.response_urls[path] = ResponseURL(path, act, self.clock(), original)
        return self.url_root + path

    def respond(self, request: Request) -> None:
        """What is posted to a response URL."""
        url = self.response_urls.get(request.path)
        if url is None:
            raise Refusal("no_such_url", status=404)
        if self.clock() > url.at + URL_LIFETIME_SECONDS:
            raise Refusal("expired_url", status=404)
        if url.uses >= URL_USES:
            raise Refusal("used_url", status=404)
        self.say_in_answer(url.act, request.form, url.original)
        url.uses += 1

    def say_in_answer(self, act: Act, form: dict[str, Any], original: Message | None) -> None:
        """A message through a response URL or an acknowledgement; it needs no membership."""
        allowed = {
            "text", "blocks", "attachments", "response_type", "replace_original", "delete_original", "thread_ts",
            "unfurl_links", "unfurl_media", "metadata", "mrkdwn", "parse", "link_names",
        }  # fmt: skip
        if strange := sorted(set(form) - allowed):
            raise Refusal("invalid_payload", status=400, strange=strange)
        if form.get("delete_original"):
            if original is not None:
                self.delete_message(original)
            return
        channel, user = act.channel, act.user
        assert channel is not None, "it came from no channel"
        assert user is not None
        replaces = original is not None and form.get("replace_original", False) and not original.is_deleted
        if replaces:
            assert original is not None
            act.messages.append(self.write(original, form))
            return
        is_public = form.get("response_type") == "in_channel"
        message = Message(self.new_ts(), channel, self.bot, seen_by=None if is_public else user)
        message.thread_ts = self._thread(channel, form.get("thread_ts"))
        if is_public and act.kind == "slash_commands":
            message.was_command = f"{act.payload['command']} {act.payload['text']}".strip()
        act.messages.append(self.write(message, form))

    def take_limit(self, method: str, key: str) -> None:
        raise NotImplementedError
