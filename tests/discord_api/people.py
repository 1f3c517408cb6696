"""What people do: commands, presses, forms and words, as their client would send them."""

import asyncio
import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.discord_api.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, DEADLINE_SECONDS, MODAL_SUBMIT, Interaction
from tests.discord_api.rest import Rest
from tests.discord_api.rules import SELECTS, TEXT_INPUT, pinged
from tests.discord_api.things import BUTTON, Attachment, Channel, Message, Permission, Role, User, walk

SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER, NUMBER, ATTACHMENT = 1, 2, 3, 4, 5, 6, 10, 11
CHAT_COMMAND, USER_MENU, MESSAGE_MENU = 1, 2, 3
FILE_UPLOAD, CHECKBOX_GROUP, CHECKBOX = 19, 22, 23


@dataclass(frozen=True)
class Upload:
    """A file that a person attaches."""

    data: bytes
    filename: str = "picture.png"
    content_type: str | None = None


class NotOffered(AssertionError):
    """A person's client would not let them do this; `unchecked=True` sends it all the same."""


class People(Rest):
    def __init__(self) -> None:
        self._changed = asyncio.Event()
        super().__init__()

    # waiting

    def touch(self) -> None:
        """Wakes whoever waits for something to change."""
        self._changed.set()
        self._changed = asyncio.Event()

    def advance(self, seconds: float) -> None:
        """Moves the clock of this server: tokens age, nonces are forgotten."""
        self.clock.advance(seconds)
        self.touch()

    async def until(self, found: Callable[[], Any], timeout: float = 10.0) -> Any:
        """What `found` answers as soon as it is true; asked whenever something changed here, and now and then."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while not (answer := found()):
            left = end - loop.time()
            assert left > 0, f"did not come within {timeout:g} s; the last requests:\n{self.transcript()}"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left, 0.25))
        return answer

    def transcript(self, last: int = 12) -> str:
        return "\n".join(f"{r.method} {r.path[:80]} -> {r.status} {r.form!r:.160}" for r in self.requests[-last:])

    def shown_to(self, user: User, channel: Channel) -> list[Message]:
        """The messages that this person sees there, private answers included."""
        return [m for m in channel.by_id.values() if not m.is_ephemeral or m.seen_by is user]

    # commands

    async def slash(
        self,
        user: User,
        channel: Channel,
        name: str,
        options: dict[str, Any] | None = None,
        *,
        locale: str | None = None,
        wait: float | None = DEADLINE_SECONDS,
        unchecked: bool = False,
    ) -> Interaction:
        """`name` may go on with a group and a subcommand. Comes back once answered; `wait=None` does at once."""
        command = self._command(name.split()[0], CHAT_COMMAND, channel)
        if not unchecked:
            self._check_is_offered(command, user, channel)
        data, leaf, path = self._nested(command, name.split()[1:])
        resolved: dict[str, dict[str, Any]] = {}
        given = [self._option(leaf, key, value, resolved, unchecked) for key, value in (options or {}).items()]
        missing = [o["name"] for o in leaf if o.get("required") and o["name"] not in (options or {})]
        if missing and not unchecked:
            raise NotOffered(f"{name} needs {missing}")
        path["options"] = given
        if resolved:
            data["resolved"] = resolved
        return await self._interact(COMMAND, user, channel, data, locale=locale, wait=wait)

    async def autocomplete(
        self,
        user: User,
        channel: Channel,
        name: str,
        option: str,
        typed: str = "",
        others: dict[str, Any] | None = None,
        *,
        locale: str | None = None,
    ) -> list[dict[str, Any]]:
        """The choices while `typed` stands in an option."""
        command = self._command(name.split()[0], CHAT_COMMAND, channel)
        data, leaf, path = self._nested(command, name.split()[1:])
        path["options"] = [self._option(leaf, key, value, {}, True) for key, value in (others or {}).items()]
        typed_into = next(o for o in leaf if o["name"] == option)
        if not typed_into.get("autocomplete"):
            raise NotOffered(f"{option} has no autocomplete")
        path["options"].append({"name": option, "type": typed_into["type"], "value": typed, "focused": True})
        interaction = await self._interact(AUTOCOMPLETE, user, channel, data, locale=locale)
        return interaction.choices

    async def menu(
        self, user: User, name: str, message: Message, *, unchecked: bool = False, **how: Any
    ) -> Interaction:
        """An entry of the menu of a message."""
        command = self._command(name, MESSAGE_MENU, message.channel)
        if not unchecked:
            self._check_is_offered(command, user, message.channel)
        data = {"id": command["id"], "name": command["name"], "type": MESSAGE_MENU, "target_id": str(message.id)}
        document = self.message_json(message, readable=True)
        data["resolved"] = {"messages": {str(message.id): document}}
        return await self._interact(COMMAND, user, message.channel, data, **how)

    def _command(self, name: str, kind: int, channel: Channel) -> dict[str, Any]:
        of_guild = self.commands.get(channel.guild.id, []) if channel.guild else []
        for command in [*of_guild, *self.commands.get(None, [])]:
            if (command["name"], command["type"]) == (name, kind):
                return command
        there = [command["name"] for commands in self.commands.values() for command in commands]
        raise NotOffered(f"no command {name!r} among {there}")

    def _check_is_offered(self, command: dict[str, Any], user: User, channel: Channel) -> None:
        contexts = command.get("contexts")
        if contexts is not None and (0 if channel.guild else 1) not in contexts:
            raise NotOffered(f"{command['name']} is not offered in this kind of channel")
        if command.get("nsfw") and channel.guild and not channel.is_age_restricted:
            raise NotOffered(f"{command['name']} is offered in age-restricted channels only")
        if channel.archived:
            raise NotOffered("no commands in an archived thread")
        if channel.guild is None:
            return
        held = self.permissions(user, channel)
        needed = Permission(int(command["default_member_permissions"] or 0))
        hidden = command["default_member_permissions"] == "0"
        if needed not in held or (hidden and Permission.ADMINISTRATOR not in held):
            raise NotOffered(f"{command['name']} is hidden from {user.name}")
        if Permission.USE_APPLICATION_COMMANDS not in held:
            raise NotOffered(f"{user.name} may not use commands in {channel.name}")

    def _nested(
        self, command: dict[str, Any], names: list[str]
    ) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
        """(data, the options that the leaf defines, the part of data that takes their values)."""
        data: dict[str, Any] = {"id": command["id"], "name": command["name"], "type": CHAT_COMMAND}
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        part, defined = data, command.get("options") or []
        for name in names:
            inner = next((o for o in defined if o["name"] == name and o["type"] in (SUBCOMMAND, GROUP)), None)
            if inner is None:
                raise NotOffered(f"no {name!r} in {command['name']}: {[o['name'] for o in defined]}")
            part["options"] = [{"name": name, "type": inner["type"]}]
            part, defined = part["options"][0], inner.get("options") or []
        if any(o["type"] in (SUBCOMMAND, GROUP) for o in defined):
            raise NotOffered(f"{command['name']} {' '.join(names)} wants one of {[o['name'] for o in defined]}")
        return data, defined, part

    def _option(
        self, defined: list[dict[str, Any]], name: str, value: Any, resolved: dict[str, Any], unchecked: bool
    ) -> dict[str, Any]:
        option = next((o for o in defined if o["name"] == name), None)
        if option is None:
            raise NotOffered(f"no option {name!r}: {[o['name'] for o in defined]}")
        if isinstance(value, Upload):
            value = str(self._resolve(value, resolved).id)
        elif isinstance(value, User):
            resolved.setdefault("users", {})[str(value.id)] = value.json()
            value = str(value.id)
        elif isinstance(value, Role):
            resolved.setdefault("roles", {})[str(value.id)] = value.json()
            value = str(value.id)
        elif isinstance(value, Channel):
            partial = {"permissions": "0", "name": value.name} | self.channel_json(value)
            resolved.setdefault("channels", {})[str(value.id)] = partial
            value = str(value.id)
        if not unchecked:
            _check_value(option, value)
        return {"name": name, "type": option["type"], "value": value}

    def _resolve(self, upload: Upload, resolved: dict[str, Any]) -> Attachment:
        folder = f"ephemeral-attachments/{self.application_id}"
        attachment = self.keep_file(folder, upload.filename, upload.data, upload.content_type)
        resolved.setdefault("attachments", {})[str(attachment.id)] = attachment.json(ephemeral=True)
        return attachment

    # messages, buttons and forms

    async def press(
        self,
        user: User,
        message: Message,
        button: str,
        *,
        values: list[str] | None = None,
        locale: str | None = None,
        wait: float | None = DEADLINE_SECONDS,
        unchecked: bool = False,
    ) -> Interaction:
        """A button by its custom_id or label, or a select with `values`; `unchecked` sends any custom_id."""
        known = [p for p in message.parts if button in (p.get("custom_id"), p.get("label"), _emoji(p))]
        part = next((p for p in known if "custom_id" in p), None)
        if not unchecked:
            shown = [(p.get("label"), p.get("custom_id")) for p in message.parts if "custom_id" in p]
            if part is None or part.get("disabled") or message.is_deleted:
                raise NotOffered(f"no {button!r} to press: {shown}")
            if message not in self.shown_to(user, message.channel):
                raise NotOffered(f"{user.name} does not see this message")
        part = part or {"type": BUTTON, "custom_id": button}
        data = {"custom_id": part["custom_id"], "component_type": part["type"], "id": part.get("id", 1)}
        if values is not None:
            data["values"] = values
        return await self._interact(COMPONENT, user, message.channel, data, message=message, locale=locale, wait=wait)

    async def submit(
        self,
        user: User,
        form: Interaction | dict[str, Any],
        fields: dict[str, Any],
        *,
        channel: Channel | None = None,
        locale: str | None = None,
        wait: float | None = DEADLINE_SECONDS,
        unchecked: bool = False,
    ) -> Interaction:
        """A form that an interaction opened, filled in by custom_id or label; what is not named keeps its value."""
        opened = form if isinstance(form, Interaction) else None
        modal = opened.modal if opened else form
        resolved: dict[str, Any] = {}
        left = dict(fields)
        rows = [self._filled(row, left, resolved, unchecked) for row in modal["components"]]
        if left:
            raise NotOffered(f"no field {sorted(left)} in the form")
        data: dict[str, Any] = {"custom_id": modal["custom_id"], "components": rows}
        if resolved:
            data["resolved"] = resolved
        message = opened.source if opened else None
        where = channel or (opened.channel if opened else self.channel)
        how: dict[str, Any] = {"message": message, "opened_by": opened, "locale": locale, "wait": wait}
        return await self._interact(MODAL_SUBMIT, user, where, data, **how)

    def _filled(
        self, row: dict[str, Any], left: dict[str, Any], resolved: dict[str, Any], unchecked: bool
    ) -> dict[str, Any]:
        part = next((p for p in walk([row]) if "custom_id" in p), None)
        if part is None:
            return {"type": row["type"], "id": row.get("id", 1), "content": row.get("content", "")}
        keys = [k for k in (part["custom_id"], part.get("label"), row.get("label")) if k in left]
        value = left.pop(keys[0]) if keys else _default(part)
        found = {"type": part["type"], "id": part.get("id", 1), "custom_id": part["custom_id"]}
        if part["type"] == FILE_UPLOAD:
            found["values"] = [str(self._resolve(upload, resolved).id) for upload in value]
        elif part["type"] in SELECTS or part["type"] == CHECKBOX_GROUP:
            found["values"] = [value] if isinstance(value, str) else list(value)
        else:
            found["value"] = value
        if part["type"] == TEXT_INPUT and not unchecked:
            least = max(part.get("min_length") or 0, int(part.get("required", True)))
            if not least <= len(value) <= (part.get("max_length") or 4000):
                raise NotOffered(f"{part['custom_id']}: {len(value)} characters do not fit")
        if row["type"] == 1:
            return {"type": 1, "id": row.get("id", 1), "components": [found]}
        return {"type": row["type"], "id": row.get("id", 1), "component": found}

    async def say(
        self,
        user: User,
        channel: Channel,
        text: str,
        reply_to: Message | None = None,
        *,
        uploads: tuple[Upload, ...] = (),
    ) -> Message:
        """A message; the bot reads it where it is mentioned or answered, or in a DM."""
        files = [self.keep_file(f"attachments/{channel.id}", u.filename, u.data, u.content_type) for u in uploads]
        message = self.new_message(channel, user, content=text, attachments=files, reply_to=reply_to)
        message.type = 19 if reply_to else 0
        message.mentions = pinged(text, None, default=("users", "roles", "everyone"))
        if reply_to is not None:
            message.mentions.add(str(reply_to.author.id))
        if channel.archived:
            self.archive(channel, archived=False)
        return self.show(message, "MESSAGE_CREATE")

    # the interaction itself

    async def _interact(
        self,
        kind: int,
        user: User,
        channel: Channel,
        data: dict[str, Any],
        *,
        message: Message | None = None,
        opened_by: Interaction | None = None,
        locale: str | None = None,
        wait: float | None = DEADLINE_SECONDS,
    ) -> Interaction:
        new = self.new_id()
        token = base64.urlsafe_b64encode(f"interaction:{new}:{new * 2654435761 % (1 << 128):032x}".encode()).decode()
        token = token.rstrip("=")
        interaction = Interaction(new, kind, token, user, channel, self.clock(), data, self.clock, message, opened_by)
        self.interactions.append(interaction)
        document = self._interaction_json(interaction, locale or user.locale)
        interaction.was_heard = self.emit("INTERACTION_CREATE", document, guild=channel.guild)
        if wait is not None and interaction.was_heard:
            with suppress(TimeoutError):
                await asyncio.wait_for(interaction.answered.wait(), wait)
            if interaction.response is None and wait >= DEADLINE_SECONDS:
                interaction.has_lost_token = True
        return interaction

    def redeliver(self, interaction: Interaction) -> None:
        """The same interaction once more: Discord delivers up to several times."""
        document = self._interaction_json(interaction, interaction.user.locale)
        self.emit("INTERACTION_CREATE", document, guild=interaction.channel.guild)

    def _interaction_json(self, interaction: Interaction, locale: str) -> dict[str, Any]:
        user, channel, guild = interaction.user, interaction.channel, interaction.channel.guild
        mask = (1 << 53) - 1
        document: dict[str, Any] = {
            "id": str(interaction.id),
            "application_id": str(self.application_id),
            "type": interaction.type,
            "token": interaction.token,
            "version": 1,
            "data": interaction.data,
            "channel_id": str(channel.id),
            "channel": self.channel_json(channel, viewer=user),
            "app_permissions": str(int(self.permissions(self.bot, channel)) & mask),
            "locale": locale,
            "context": interaction.context,
            "authorizing_integration_owners": interaction.owners,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "attachment_size_limit": self.upload_limit(channel, user),
        }
        if interaction.source is not None:
            document["message"] = self.message_json(interaction.source, readable=True)
        if guild is None:
            return document | {"user": user.json()}
        member = self.member_json(guild, user) | {"permissions": str(int(self.permissions(user, channel)) & mask)}
        document["guild"] = {"id": str(guild.id), "locale": guild.locale, "features": []}
        return document | {"guild_id": str(guild.id), "guild_locale": guild.locale, "member": member}


def _emoji(part: dict[str, Any]) -> str | None:
    return (part.get("emoji") or {}).get("name")


def _default(part: dict[str, Any]) -> Any:
    """What a field of a form holds before anybody touches it."""
    if part["type"] in SELECTS or part["type"] == CHECKBOX_GROUP:
        return [option["value"] for option in part.get("options", []) if option.get("default")]
    if part["type"] == FILE_UPLOAD:
        return []
    if part["type"] == CHECKBOX:
        return bool(part.get("default"))
    if part["type"] == TEXT_INPUT:
        return part.get("value") or ""
    return next((option["value"] for option in part.get("options", []) if option.get("default")), None)


def _check_value(option: dict[str, Any], value: Any) -> None:
    """As a client does before it sends."""
    kinds = {STRING: str, INTEGER: int, BOOLEAN: bool, USER: str, NUMBER: (int, float), ATTACHMENT: str}
    fits = isinstance(value, kinds.get(option["type"], str))
    if isinstance(value, str) and option["type"] == STRING:
        fits &= (option.get("min_length") or 0) <= len(value) <= (option.get("max_length") or 6000)
    if option["type"] in (INTEGER, NUMBER) and fits:
        fits &= option.get("min_value", value) <= value <= option.get("max_value", value)
    if option.get("choices"):
        fits &= value in [choice["value"] for choice in option["choices"]]
    if not fits:
        raise NotOffered(f"{option['name']}: a client does not send {value!r:.60}")
