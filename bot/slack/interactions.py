"""What Slack brings, read; and how each is acknowledged and answered."""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any, Literal

from slack_sdk.errors import SlackApiError

from bot.commands import Imagine
from bot.controls import Control, Press
from bot.errors import Unavailable
from bot.slack import messages
from bot.slack.faults import Fault, fault
from bot.slack.messages import UNFURLED
from bot.slack.web import UNREACHED, Web

log = logging.getLogger(__name__)

ANSWERS = 5  # that a response URL takes
_FORMATTED = re.compile(r"<([@#!])([^>|]*)(?:\|([^>]*))?>|<([^>|\s]+)\|([^>]*)>|<((?:https?|mailto):[^>|\s]+)>")

Kind = Literal["command", "press", "form", "shortcut", "menu", "mention", "home", "gone"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a person did. `key` is the same however often Slack delivers it."""

    kind: Kind
    key: str
    team_id: str
    user_id: str
    channel_id: str = ""
    thread_id: str | None = None
    message_id: str = ""  # what it was done on
    text: str = ""  # what was typed; of a button its value; of a form and a shortcut its name
    command: str = ""
    trigger_id: str = field(default="", repr=False)
    response_url: str = field(default="", repr=False)
    values: Mapping[str, Any] = field(default_factory=dict)  # of a form
    job_id: str = ""  # that stands in the message's metadata
    file_id: str = ""  # of the message
    is_ephemeral: bool = False


class Turn:
    """One delivery of it: acknowledged once, answered in private."""

    def __init__(self, asked: Asked, web: Web):
        self.asked, self._web = asked, web
        self.acked: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        self._answers = 0
        self.what: Imagine | Press | None = None  # that a refusal can offer again
        self.picture = ""  # the field whose file is looked at

    def ack(self, answer: Mapping[str, object] | None = None) -> bool:
        """False if Slack was answered before, since it waits for three seconds."""
        if self.acked.done():
            return False
        self.acked.set_result(answer or {})
        return True

    async def say(self, text: str, controls: Iterable[Control] = ()) -> None:
        """One of our own texts, to the person alone."""
        await self.tell(messages.answer(self._web.named(text), controls))

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Say it to the person alone: where they asked, or else in their direct messages."""
        self.ack()
        asked, web = self.asked, self._web
        shown = {key: value for key, value in message.items() if key != "metadata"}  # it is not the job's own message
        if asked.response_url and self._answers < ANSWERS:
            self._answers += 1
            thread = {"thread_ts": asked.thread_id} if asked.thread_id else {}
            how = {"response_type": "ephemeral", "replace_original": False, **UNFURLED, **thread}
            if await web.respond(asked.response_url, shown | how):
                return
        if asked.channel_id and not asked.channel_id.startswith("D"):
            with suppress(*UNREACHED):
                await web.chat_postEphemeral(
                    channel=asked.channel_id, user=asked.user_id, thread_ts=asked.thread_id, **shown
                )
                return
        try:
            await web.chat_postMessage(channel=asked.user_id, **shown, **UNFURLED)
        except UNREACHED as error:
            log.info("somebody could not be told: %s", type(error).__name__)

    async def open(self, view: dict[str, Any]) -> str:
        """A form; its id. The trigger lasts three seconds, so nothing is looked up before. Raises Unavailable."""
        try:
            opened = await self._web.views_open(trigger_id=self.asked.trigger_id, view=view)
        except SlackApiError as error:
            if fault(error) != Fault.NO_TRIGGER:
                raise
            raise Unavailable("the form came too late for Slack: try it again") from None
        self.ack()
        return str(opened["view"]["id"])

    @property
    def here(self) -> str:
        """What a form remembers of where it was opened."""
        return json.dumps([self.asked.channel_id, self.asked.thread_id])

    async def take_away(self) -> None:
        """The private message with the button that was pressed: it has done what it was there for."""
        if self.asked.is_ephemeral and self._answers < ANSWERS:
            self._answers += 1
            await self._web.respond(self.asked.response_url, {"delete_original": True})


def read(body: Mapping[str, Any]) -> Asked | None:
    """None for what nobody here listens to."""
    if "command" in body:
        return _command(body)
    if body.get("type") == "event_callback":
        return _event(body, body.get("event") or {})
    return _interaction(body)


def words(text: str) -> str:
    """What was typed, of what Slack makes of it: mentions are gone, links are their text."""
    return unescape(_FORMATTED.sub(_as_typed, text)).strip()


def _order(text: str) -> str:
    """The same, with people, groups and channels by their ids: `@U024BE7LH`, `@S0615G0KT`, `#C061EG9SL`."""
    return words(re.sub(r"<(?:([@#])|!subteam\^)(\w+)(?:\|[^>]*)?>", lambda it: (it[1] or "@") + it[2], text))


def _as_typed(match: re.Match[str]) -> str:
    if match[1]:
        return f"#{match[3]}" if match[1] == "#" and match[3] else " "
    return match[5] or (match[4] or match[6]).removeprefix("mailto:")


def _command(body: Mapping[str, Any]) -> Asked:
    return Asked(
        "command", f"slack:{body.get('trigger_id')}", body.get("team_id", ""), body.get("user_id", ""),
        channel_id=body.get("channel_id", ""), text=_order(body.get("text", "")), command=body["command"],
        trigger_id=body.get("trigger_id", ""), response_url=body.get("response_url", ""),
    )  # fmt: skip


def _event(body: Mapping[str, Any], event: Mapping[str, Any]) -> Asked | None:
    channel_id, team_id, user_id = event.get("channel", ""), body.get("team_id", ""), event.get("user", "")
    match event.get("type"):
        case "tokens_revoked" | "app_uninstalled":
            return Asked("gone", body.get("event_id", ""), team_id, "")
        case "app_home_opened" if event.get("tab") == "home":
            return Asked("home", body.get("event_id", ""), team_id, user_id)
        case "app_mention" if user_id and not event.get("bot_id"):
            return Asked(
                "mention", f"slack:{channel_id}:{event['ts']}", team_id, user_id,
                channel_id=channel_id,
                thread_id=event.get("thread_ts"), message_id=event["ts"], text=words(event.get("text", "")),
                file_id=_file_id(event),
            )  # fmt: skip
    return None


def _interaction(body: Mapping[str, Any]) -> Asked | None:
    """What is pressed, sent or chosen in a menu."""
    container, message, view, team, user, channel = (
        body.get(name) or {} for name in ("container", "message", "view", "team", "user", "channel")
    )
    message_id = container.get("message_ts") or message.get("ts", "")
    thread_id = container.get("thread_ts") or message.get("thread_ts")
    channel_id = container.get("channel_id") or channel.get("id", "")
    asked = Asked(
        "shortcut", f"slack:{body.get('trigger_id')}", team.get("id", ""), user.get("id", ""),
        channel_id=channel_id, thread_id=thread_id if thread_id != message_id else None, message_id=message_id,
        text=body.get("callback_id", ""), trigger_id=body.get("trigger_id", ""),
        response_url=body.get("response_url", ""),
        job_id=messages.job_of(message), file_id=_file_id(message), is_ephemeral=bool(container.get("is_ephemeral")),
    )  # fmt: skip
    match body.get("type"):
        case "shortcut":
            return asked
        case "message_action":
            return replace(asked, kind="menu")
        case "block_actions":
            action = body["actions"][0]
            on = f"{channel_id}:{message_id or container.get('view_id')}"
            key = f"slack:{on}:{action.get('action_id')}:{action.get('action_ts')}:{asked.user_id}"
            return replace(asked, kind="press", key=key, text=action.get("value", ""))
        case "view_submission":
            values = view.get("state", {}).get("values", {})
            digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:20]  # it was corrected
            key, urls = f"slack:{view['id']}:{view.get('hash')}:{digest}", body.get("response_urls") or [{}]
            channel_id, thread_id = json.loads(view.get("private_metadata") or '["", null]')  # see `Turn.here`
            return replace(
                asked, kind="form", key=key, channel_id=channel_id, thread_id=thread_id,
                text=view.get("callback_id", ""), values=values, response_url=urls[0].get("response_url", ""),
            )  # fmt: skip
    return None


def _file_id(message: Mapping[str, Any]) -> str:
    return str((message.get("files") or [{}])[0].get("id", ""))
