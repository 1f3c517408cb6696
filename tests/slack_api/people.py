"""What people do: commands, presses, forms, mentions, as their client would send them."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.slack_api import rules
from tests.slack_api.delivery import COMMAND, DEADLINE_SECONDS, EVENT, INTERACTIVE, Act
from tests.slack_api.rest import Rest
from tests.slack_api.rules import INTERACTIVE as ELEMENTS
from tests.slack_api.rules import Refusal
from tests.slack_api.things import IM, PRIVATE, Channel, File, Message, User, View, walk


@dataclass(frozen=True)
class Upload:
    """A file that a person attaches."""

    data: bytes
    filename: str = "picture.png"
    mimetype: str | None = None


class NotOffered(AssertionError):
    """A person's client would not let them do this; `unchecked=True` sends it all the same."""


class People(Rest):
    def __init__(self) -> None:
        self.manifest: dict[str, Any] | None = None
        super().__init__()

    def install(self, manifest: dict[str, Any]) -> None:
        """The app as its manifest describes it: these scopes, events, commands and shortcuts, and no others."""
        self.manifest = manifest
        self.scopes = tuple(manifest["oauth_config"]["scopes"]["bot"])
        subscriptions = manifest["settings"].get("event_subscriptions", {})
        self.events = tuple(subscriptions.get("bot_events", ()))
        home = manifest.get("features", {}).get("app_home", {})
        self.home_tab, self.messages_tab = home.get("home_tab_enabled", False), home.get("messages_tab_enabled", False)

    def _offered(self, kind: str) -> list[dict[str, Any]] | None:
        return None if self.manifest is None else self.manifest.get("features", {}).get(kind, [])

    # commands and shortcuts

    async def slash(
        self, user: User, channel: Channel, command: str, text: str = "", *, wait: float | None = DEADLINE_SECONDS,
        unchecked: bool = False,
    ) -> Act:  # fmt: skip
        """`/imagine`, and the rest of the line. It is not possible in threads. Back once answered."""
        command = command if command.startswith("/") else f"/{command}"
        offered = self._offered("slash_commands")
        if offered is not None and command not in [one["command"] for one in offered]:
            raise NotOffered(f"no command {command} among {[one['command'] for one in offered]}")
        if not unchecked:
            self._check_is_there(user, channel)
            if channel.is_archived:
                raise NotOffered("no commands in an archived channel")
        act = self.new_act(COMMAND, {}, user, channel)
        names = {PRIVATE: "privategroup", IM: "directmessage"}
        act.payload = {
            "token": "verification-token",
            "team_id": user.team_id if user.is_stranger else self.team_id,
            "team_domain": "the-studio",
            "channel_id": channel.id,
            "channel_name": names.get(channel.kind, channel.name),
            "user_id": user.id,
            "user_name": user.name,
            "command": command,
            "text": text,
            "api_app_id": self.app_id,
            "is_enterprise_install": "false",
            "response_url": self.new_response_url(act),
            "trigger_id": self.new_trigger(user, act),
        }
        return await self.bring(act, wait=wait)

    async def shortcut(self, user: User, callback_id: str, *, wait: float | None = DEADLINE_SECONDS) -> Act:
        """A global one: it comes from no channel and has no response URL."""
        self._check_shortcut(callback_id, "global")
        act = self.new_act(INTERACTIVE, {}, user)
        act.payload = self._interaction(act, "shortcut") | {"callback_id": callback_id, "action_ts": self.new_ts()}
        return await self.bring(act, wait=wait)

    async def message_shortcut(
        self, user: User, callback_id: str, message: Message, *, wait: float | None = DEADLINE_SECONDS
    ) -> Act:
        """In the menu of any message, also where the app is not."""
        self._check_shortcut(callback_id, "message")
        self._check_sees(user, message)
        act = self.new_act(INTERACTIVE, {}, user, message.channel)
        act.message = message
        act.payload = self._interaction(act, "message_action") | {
            "callback_id": callback_id,
            "action_ts": self.new_ts(),
            "message_ts": message.ts,
            "message": self.message_json(message),
            "channel": {"id": message.channel.id, "name": message.channel.name},
            "response_url": self.new_response_url(act),
        }
        return await self.bring(act, wait=wait)

    def _check_shortcut(self, callback_id: str, kind: str) -> None:
        offered = self._offered("shortcuts")
        known = None if offered is None else [one["callback_id"] for one in offered if one["type"] == kind]
        if known is not None and callback_id not in known:
            raise NotOffered(f"no {kind} shortcut {callback_id!r} among {known}")

    # buttons and selects

    async def press(
        self,
        user: User,
        shown: Message | View,
        button: str,
        *,
        option: str | None = None,
        state: dict[str, Any] | None = None,
        wait: float | None = DEADLINE_SECONDS,
        unchecked: bool = False,
    ) -> Act:
        """A button by its label, value or action_id, in a message, a modal or the Home tab; with `option`, a choice
        (by its value or text) of a select or menu that is named by its action_id or placeholder. `unchecked` sends
        any value, as from a button of an older release."""
        found = [part for part in shown.parts if part.get("type") in ELEMENTS and button in _names(part)]
        if not unchecked:
            if not found:
                raise NotOffered(
                    f"no {button!r} to press: {[_names(p) for p in shown.parts if p.get('type') in ELEMENTS]}"
                )
            if isinstance(shown, Message):
                self._check_sees(user, shown)
            elif not shown.is_open or shown.user is not user:
                raise NotOffered("this view is not open before them")
        part = found[0] if found else {"type": "button", "action_id": button, "value": button, "text": _plain(button)}
        act = self.new_act(INTERACTIVE, {}, user, shown.channel if isinstance(shown, Message) else None)
        gone = {"block_id": "gone", "type": "actions"}
        block = next((b for b in shown.blocks if any(p is part for p in walk(b))), gone)
        action = self._action(part, block["block_id"], option)
        act.payload = self._interaction(act, "block_actions", shown if isinstance(shown, View) else None)
        act.payload["actions"] = [action]
        if isinstance(shown, View):
            act.view = shown
            if block["type"] == "input" or "selected_option" in action:
                shown.values.setdefault(action["block_id"], {})[action["action_id"]] = _state_of(action)
            act.payload |= {"container": {"type": "view", "view_id": shown.id}, "view": self.view_json(shown)}
        else:
            act.message = shown
            act.payload |= self._on_message(act, shown, state)
        return await self.bring(act, wait=wait)

    def _on_message(self, act: Act, message: Message, state: dict[str, Any] | None) -> dict[str, Any]:
        container: dict[str, Any] = {"type": "message", "message_ts": message.ts, "channel_id": message.channel.id}
        container["is_ephemeral"] = message.is_ephemeral
        if message.thread_ts is not None:
            container["thread_ts"] = message.thread_ts
        found: dict[str, Any] = {
            "container": container,
            "channel": {"id": message.channel.id, "name": message.channel.name},
            "state": {"values": state or {}},
            "response_url": self.new_response_url(act, message),
        }
        return found if message.is_ephemeral else found | {"message": self.message_json(message)}

    def _action(self, part: dict[str, Any], block_id: str, option: str | None) -> dict[str, Any]:
        action: dict[str, Any] = {"type": part["type"], "action_id": part["action_id"], "block_id": block_id}
        action["action_ts"] = self.new_ts()
        for key in ("text", "value", "style", "url", "confirm"):
            if key in part:
                action[key] = copy.deepcopy(part[key])
        if option is not None:
            chosen = _option(part, option)
            action["selected_option"] = chosen
            if part["type"] in ("checkboxes", "multi_static_select"):
                action["selected_options"] = [action.pop("selected_option")]
        return action

    async def suggest(self, user: User, view: View, action_id: str, typed: str = "") -> list[dict[str, Any]]:
        """The options of an external select while this stands in it."""
        part, block = _element(view, action_id)
        if part["type"] not in ("external_select", "multi_external_select"):
            raise NotOffered(f"{action_id} asks for no suggestions")
        act = self.new_act(INTERACTIVE, {}, user)
        act.view = view
        act.payload = self._interaction(act, "block_suggestion") | {
            "container": {"type": "view", "view_id": view.id},
            "view": self.view_json(view),
            "action_id": part["action_id"],
            "block_id": block["block_id"],
            "value": typed,
        }
        del act.payload["trigger_id"]
        await self.bring(act)
        return (act.ack or {}).get("options", [])

    # forms

    async def submit(
        self,
        user: User,
        view: View,
        fields: Mapping[str, Any] | None = None,
        *,
        wait: float | None = DEADLINE_SECONDS,
        unchecked: bool = False,
    ) -> Act:
        """A form, its fields named by label, block_id or action_id; what is not named keeps its value, None empties
        it. `unchecked` sends what a client would hold back: what is missing, too long or not among the options."""
        if not unchecked and (not view.is_open or view.user is not user or "submit" not in view.form):
            raise NotOffered("this view cannot be submitted")
        left = dict(fields or {})
        values: dict[str, dict[str, Any]] = {}
        for block in view.inputs:
            element = block["element"]
            keys = (block["block_id"], element["action_id"], block["label"]["text"])
            named = [left.pop(key) for key in keys if key in left]
            known = view.values.get(block["block_id"], {}).get(element["action_id"])
            value = self._value(element, named[0], user, unchecked) if named else known or _initial(element)
            if not unchecked:
                _check_value(block, value)
            values.setdefault(block["block_id"], {})[element["action_id"]] = value
        if left:
            raise NotOffered(f"no field {sorted(left)} in the form: {view.fields}")
        view.values = values | {k: v for k, v in view.values.items() if k not in values}
        act = self.new_act(INTERACTIVE, {}, user)
        act.view = view
        view.errors = {}
        act.payload = self._interaction(act, "view_submission", view) | {"view": self.view_json(view)}
        act.payload["response_urls"] = self._response_urls(act, view)
        return await self.bring(act, wait=wait)

    def _response_urls(self, act: Act, view: View) -> list[dict[str, Any]]:
        """Of those fields that choose a channel and ask for one."""
        found = []
        for block in view.inputs:
            element = block["element"]
            state = view.values.get(block["block_id"], {}).get(element["action_id"], {})
            channel = self.channels.get(state.get("selected_conversation") or state.get("selected_channel") or "")
            if element.get("response_url_enabled") and channel is not None:
                act.channel = channel
                ids = {"block_id": block["block_id"], "action_id": element["action_id"], "channel_id": channel.id}
                found.append(ids | {"response_url": self.new_response_url(act)})
        return found

    async def close_view(self, user: User, view: View, *, all_of_them: bool = False) -> Act | None:
        """The cross, or Cancel; the app is told if it asked to be."""
        if not view.is_open or view.user is not user:
            raise NotOffered("this view is not open before them")
        above = [v for v in self.views.values() if v.root_id == view.root_id and v.is_open]
        for each in above if all_of_them else [view]:
            each.is_open = False
        self.touch()
        if not view.form.get("notify_on_close"):
            return None
        act = self.new_act(INTERACTIVE, {}, user)
        act.view = view
        act.payload = self._interaction(act, "view_closed") | {"view": self.view_json(view), "is_cleared": all_of_them}
        del act.payload["trigger_id"]
        return await self.bring(act)

    def _value(self, element: dict[str, Any], value: Any, user: User, unchecked: bool) -> dict[str, Any]:
        kind = element["type"]
        state: dict[str, Any] = {"type": kind}
        if kind == "file_input":
            uploads = value if isinstance(value, list | tuple) else [value] if value else []
            files = [self._uploaded(each, user) for each in uploads]
            allowed = element.get("filetypes")
            if not unchecked and allowed and any(f.name.rpartition(".")[2].lower() not in allowed for f in files):
                raise NotOffered(f"only {allowed} can be uploaded")
            return state | {"files": [file.json() for file in files]}
        if kind in ("checkboxes", "multi_static_select", "multi_external_select"):
            return state | {"selected_options": [_option(element, one, unchecked) for one in value or []]}
        if kind in ("static_select", "external_select", "radio_buttons"):
            return state | {"selected_option": None if value is None else _option(element, value, unchecked)}
        if kind in ("users_select", "conversations_select", "channels_select"):
            key = {"users_select": "user", "channels_select": "channel"}.get(kind, "conversation")
            return state | {f"selected_{key}": getattr(value, "id", value)}
        return state | {"value": None if value is None or value == "" else str(value)}

    def _uploaded(self, upload: "Upload | File", user: User) -> File:
        if isinstance(upload, File):
            return upload
        return self.add_file(upload.filename, upload.data, user, mimetype=upload.mimetype)

    # words

    async def mention(
        self,
        user: User,
        channel: Channel,
        text: str,
        *,
        thread: Message | None = None,
        uploads: tuple[Upload, ...] = (),
        wait: float | None = DEADLINE_SECONDS,
    ) -> Act:
        """A message that begins with `@limner`; the app hears of it where it is a member."""
        return await self.say(user, channel, f"{self.bot.mention} {text}", thread=thread, uploads=uploads, wait=wait)

    async def say(
        self,
        user: User,
        channel: Channel,
        text: str,
        *,
        thread: Message | None = None,
        uploads: tuple[Upload, ...] = (),
        wait: float | None = DEADLINE_SECONDS,
        **more: Any,
    ) -> Act:
        """Any message. The app hears of those that mention it, and of direct messages if its scopes allow it."""
        self._check_is_there(user, channel)
        if channel.is_archived:
            raise NotOffered("nobody writes in an archived channel")
        message = Message(self.new_ts(), channel, user, fallback=text, client_msg_id=self.new_id("c"))
        message.files = [self._uploaded(each, user) for each in uploads]
        message.subtype = "file_share" if message.files else None
        if thread is not None:
            root = channel.by_ts.get(thread.thread_ts or thread.ts, thread)
            root.thread_ts = message.thread_ts = root.ts
        for file in message.files:
            self.share(file, message)
        self.show(message)
        return await self.bring_event(self.said(message, **more), wait=wait)

    def said(self, message: Message, **more: Any) -> Act:
        """The event of a message, not yet sent."""
        channel = message.channel
        is_mention = self.bot.mention in message.fallback and channel.kind != IM
        event = message.json() | {"channel": channel.id, "event_ts": message.ts}
        event["type"] = "app_mention" if is_mention else "message"
        if is_mention:
            event.pop("subtype", None)
        else:
            event["channel_type"] = {"public": "channel", "private": "group"}.get(channel.kind, "im")
        act = self.new_act(EVENT, self.event(event | more), message.author, channel)
        act.message = message
        return act

    async def open_home(self, user: User, *, tab: str = "home", wait: float | None = DEADLINE_SECONDS) -> Act:
        """The App Home; what the person sees there stands in `homes[user.id]`."""
        channel = self.dm(user)
        event = {"type": "app_home_opened", "user": user.id, "channel": channel.id, "tab": tab}
        event["event_ts"] = self.new_ts()
        if tab == "home" and user.id in self.homes:
            event["view"] = self.view_json(self.homes[user.id])
        return await self.bring_event(self.new_act(EVENT, self.event(event), user, channel), wait=wait)

    async def upload(
        self, user: User, channel: Channel, upload: Upload, *, thread: Message | None = None, text: str = ""
    ) -> File:
        """A file that a person shares; the app hears nothing of it unless `text` mentions it."""
        act = await self.say(user, channel, text, thread=thread, uploads=(upload,))
        assert act.message is not None
        return act.message.files[0]

    async def bring_event(self, act: Act, *, wait: float | None = DEADLINE_SECONDS) -> Act:
        """An event, if the app subscribes to it, may hear of it and is there; else `deliveries` stays 0."""
        event, channel = act.payload["event"], act.channel
        name, scope = event["type"], ""
        if name == "app_mention":
            scope = "app_mentions:read"
        elif name == "message":
            name = f"message.{'im' if channel and channel.kind == IM else 'channels'}"
            scope = "im:history" if name == "message.im" else "channels:history"
        is_in = channel is None or self.bot.id in channel.members
        if name in self.events and is_in and (not scope or scope in self.scopes) and not self.token_state:
            return await self.bring(act, wait=wait)
        act.answered.set()
        return act

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """The envelope of the Events API around what happened."""
        return {
            "token": "verification-token",
            "team_id": self.team_id,
            "context_team_id": self.team_id,
            "api_app_id": self.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": self.new_id("Ev"),
            "event_time": int(self.clock()),
            "authorizations": [
                {"enterprise_id": None, "team_id": self.team_id, "user_id": self.bot.id, "is_bot": True,
                 "is_enterprise_install": False}
            ],
            "is_ext_shared_channel": False,
            "event_context": self.new_id("4-"),
        }  # fmt: skip

    # the app itself

    async def remove_app(self) -> None:
        """From the workspace: the token is dead from now on, and the app is told."""
        for name in ("tokens_revoked", "app_uninstalled"):
            event: dict[str, Any] = {"type": name, "event_ts": self.new_ts()}
            if name == "tokens_revoked":
                event["tokens"] = {"oauth": [], "bot": [self.bot.id]}
            await self.bring_event(self.new_act(EVENT, self.event(event)), wait=None)
        self.token_state = "account_inactive"
        for channel in self.channels.values():
            self.kick_bot(channel)

    def revoke_token(self, error: str = "token_revoked") -> None:
        """Every request with the bot's token is answered with this error: `token_revoked`, `account_inactive`,
        `invalid_auth`, `token_expired`."""
        self.token_state = error

    def revoke_app_token(self) -> None:
        """The connections go, and no new ones are given."""
        self.app_token = "xapp-1-another"
        self.drop_sockets()

    # the answers

    def take_answer(self, act: Act, document: dict[str, Any]) -> None:
        """What stands in an acknowledgement: a message, or what becomes of a form."""
        kind = act.payload.get("type")
        if kind == "view_submission":
            self._after_submission(act, document)
        elif kind == "block_suggestion":
            options = document.get("options", [])
            rules.check_options({"type": "external_select", "options": options or [_any_option()]}, "", "/options")
        elif act.kind == COMMAND:
            self.say_in_answer(act, document, None)
        elif document:
            self.violations.append(f"{kind} is answered with what nobody reads: {document!r:.300}")

    def _after_submission(self, act: Act, document: dict[str, Any]) -> None:
        view, action = act.view, document.get("response_action")
        assert view is not None
        if action == "errors":
            errors = document.get("errors") or {}
            strange = set(errors) - {block["block_id"] for block in view.inputs}
            if strange or not errors or not all(isinstance(e, str) and e for e in errors.values()):
                raise Refusal("invalid_arguments", errors=sorted(strange))
            view.errors = errors
        elif action in ("update", "push"):
            form = document.get("view")
            rules.check_view(form, self.slack_file)
            assert form is not None
            form = form | {"blocks": rules.numbered(form["blocks"], lambda: self.new_id("b"))}
            if action == "update":
                self.change_view(view, form)
            elif self.depth(view) >= 3:
                raise Refusal("push_limit_reached")
            else:
                act.views.append(self.new_view(view.user, form, view))
        elif action == "clear":
            for each in self.views.values():
                each.is_open &= each.root_id != view.root_id
        else:
            raise Refusal("invalid_arguments", response_action=action)

    def _answered(self, act: Act, document: dict[str, Any]) -> None:
        """An empty answer to a form closes it."""
        if act.payload.get("type") == "view_submission" and not document and act.view is not None:
            act.view.is_open = False
        super()._answered(act, document)

    # what stands in every payload

    def message_json(self, message: Message) -> dict[str, Any]:
        found = message.json()
        return found | {"bot_id": self.bot_id, "app_id": self.app_id} if message.author is self.bot else found

    def _interaction(self, act: Act, kind: str, view: View | None = None) -> dict[str, Any]:
        user = act.user
        assert user is not None
        return {
            "type": kind,
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id},
            "api_app_id": self.app_id,
            "token": "verification-token",
            "team": {"id": self.team_id, "domain": "the-studio"},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": self.new_trigger(user, act, view),
        }

    def _check_is_there(self, user: User, channel: Channel) -> None:
        if user.id not in channel.members or user.deleted:
            raise NotOffered(f"{user.name} is not in {channel.name}")

    def _check_sees(self, user: User, message: Message) -> None:
        self._check_is_there(user, message.channel)
        if message.is_deleted or message not in self.shown_to(user, message.channel):
            raise NotOffered(f"{user.name} does not see this message")


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def _any_option() -> dict[str, Any]:
    return {"text": _plain("x"), "value": "x"}


def _names(part: dict[str, Any]) -> list[str]:
    """What an element can be called by."""
    texts = [part.get(key, {}).get("text") for key in ("text", "placeholder") if isinstance(part.get(key), dict)]
    return [name for name in (part.get("action_id"), part.get("value"), *texts) if isinstance(name, str)]


def _element(view: View, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    for block in view.blocks:
        for part in walk(block):
            label = block.get("label", {}).get("text")
            if part.get("type") in ELEMENTS and name in (*_names(part), block["block_id"], label):
                return part, block
    raise NotOffered(f"no {name!r} in the view")


def _options(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [*part.get("options", []), *(o for group in part.get("option_groups", []) for o in group["options"])]


def _option(part: dict[str, Any], name: str, unchecked: bool = False) -> dict[str, Any]:
    for option in _options(part):
        if name in (option["value"], option["text"]["text"]):
            return copy.deepcopy(option)
    if unchecked or part["type"].endswith("external_select"):
        return {"text": _plain(name), "value": name}
    raise NotOffered(f"no {name!r} among {[o['value'] for o in _options(part)]}")


def _state_of(action: dict[str, Any]) -> dict[str, Any]:
    keys = [k for k in action if k == "type" or k.startswith("selected_") or k == "value"]
    return {key: action[key] for key in keys}


def _initial(element: dict[str, Any]) -> dict[str, Any]:
    """The state of a field that nobody touched."""
    kind = element["type"]
    if kind == "file_input":
        return {"type": kind, "files": []}
    if kind in ("checkboxes", "multi_static_select", "multi_external_select"):
        return {"type": kind, "selected_options": element.get("initial_options", [])}
    if kind in ("static_select", "external_select", "radio_buttons"):
        return {"type": kind, "selected_option": element.get("initial_option")}
    if kind in ("users_select", "conversations_select", "channels_select"):
        key = {"users_select": "user", "channels_select": "channel"}.get(kind, "conversation")
        return {"type": kind, f"selected_{key}": element.get(f"initial_{key}")}
    return {"type": kind, "value": element.get("initial_value") or None}


def _check_value(block: dict[str, Any], state: dict[str, Any]) -> None:
    """As a client does before it sends."""
    element, label = block["element"], block["label"]["text"]
    given = [value for key, value in state.items() if key != "type" and value]
    if not given:
        if not block.get("optional"):
            raise NotOffered(f"{label} is required")
        return
    text = state.get("value") or ""
    if element["type"] == "plain_text_input":
        if not element.get("min_length", 0) <= len(text) <= element.get("max_length", 3000):
            raise NotOffered(f"{label}: {len(text)} characters do not fit")
    elif element["type"] == "number_input":
        _check_number(element, label, text)


def _check_number(element: dict[str, Any], label: str, text: str) -> None:
    try:
        number = float(text)
    except ValueError:
        raise NotOffered(f"{label}: {text!r} is no number") from None
    least, most = float(element.get("min_value", "-inf")), float(element.get("max_value", "inf"))
    if not least <= number <= most or (not element["is_decimal_allowed"] and number != int(number)):
        raise NotOffered(f"{label}: {text} is out of range")
