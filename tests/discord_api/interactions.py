"""Interactions from the platform's side: one first answer within three seconds, a token for fifteen minutes."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tests.discord_api import rules
from tests.discord_api.posts import USER_PINGS, Posts, Request
from tests.discord_api.rules import Refusal, invalid_form, unknown
from tests.discord_api.things import DM, EPHEMERAL, LOADING, Channel, Message, User

DEADLINE_SECONDS, TOKEN_LIFETIME_SECONDS = 3.0, 900.0
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
ANSWER, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
ANSWERS = {
    COMMAND: {ANSWER, DEFER, MODAL},
    COMPONENT: {ANSWER, DEFER, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {ANSWER, DEFER, DEFER_UPDATE, UPDATE},
}


@dataclass(eq=False)
class Interaction:
    """Something that a person did, and what came of it."""

    id: int
    type: int
    token: str
    user: User
    channel: Channel
    created_at: float
    data: dict[str, Any]
    now: Any = field(repr=False)
    source: Message | None = None
    """The message whose component was used."""
    opened_by: "Interaction | None" = None
    """What a form came from."""
    response: dict[str, Any] | None = None
    """The first answer, its `type` and `data`; None as long as there is none."""
    original: Message | None = None
    """The message that the first answer is or changes."""
    followups: list[Message] = field(default_factory=list)
    has_lost_token: bool = False
    was_heard: bool = True
    answered: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def message(self) -> Message | None:
        return self.original

    @property
    def is_dead(self) -> bool:
        """Has the person read that the application did not respond?"""
        late = self.now() > self.created_at + DEADLINE_SECONDS
        return self.response is None and (late or self.has_lost_token or not self.was_heard)

    @property
    def modal(self) -> dict[str, Any]:
        return self._answer_of(MODAL)

    @property
    def choices(self) -> list[dict[str, Any]]:
        return self._answer_of(CHOICES)["choices"]

    def _answer_of(self, kind: int) -> dict[str, Any]:
        assert self.response is not None, "no answer"
        assert self.response["type"] == kind, self.response
        return self.response["data"]

    @property
    def owners(self) -> dict[str, str]:
        return {"0": str(self.channel.guild.id) if self.channel.guild else "0"}

    @property
    def context(self) -> int:
        return 1 if self.channel.type == DM else 0

    def metadata(self) -> dict[str, Any]:
        found = {"id": str(self.id), "type": self.type, "user": self.user.json()}
        found["authorizing_integration_owners"] = self.owners
        if self.type == COMPONENT:
            found["interacted_message_id"] = str(self.source.id)
        if self.type == COMMAND:
            found["command_type"] = self.data["type"]
        if self.opened_by is not None:
            found["triggering_interaction_metadata"] = self.opened_by.metadata()
        return found


class Interactions(Posts):
    def __init__(self) -> None:
        self.interactions: list[Interaction] = []
        super().__init__()

    def kill_token(self, interaction: Interaction) -> None:
        """It is refused from now on, as after its fifteen minutes."""
        interaction.has_lost_token = True

    def _limit_bytes(self, interaction: Interaction) -> int:
        return self.upload_limit(interaction.channel, interaction.user)

    def callback(self, request: Request, interaction_id: int, interaction_token: str) -> tuple[int, Any]:
        found = [i for i in self.interactions if i.id == interaction_id and i.token == interaction_token]
        if not found:
            raise unknown("interaction")
        interaction, form = found[0], request.form or {}
        if interaction.response is not None:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        if interaction.is_dead:
            raise unknown("interaction")
        kind = form.get("type")
        fits = kind in ANSWERS[interaction.type] and (kind not in (DEFER_UPDATE, UPDATE) or interaction.source)
        if not fits:
            raise invalid_form("type", "BASE_TYPE_CHOICES", f"{kind} does not answer this kind of interaction.")
        self._answer(interaction, kind, form.get("data") or {}, request)
        interaction.response = {"type": kind, "data": form.get("data") or {}}
        interaction.answered.set()
        self.touch()
        if request.query.get("with_response", "").lower() not in ("true", "1"):
            return 204, None
        return 200, self._answered(interaction, kind)

    def _answer(self, interaction: Interaction, kind: int, data: dict[str, Any], request: Request) -> None:
        if kind in (ANSWER, DEFER):
            message = self._reply(interaction, flags=(data.get("flags") or 0) & EPHEMERAL)
            if kind == DEFER:
                message.flags |= LOADING
                self.show(message, "MESSAGE_CREATE")
            else:
                limit_bytes = self._limit_bytes(interaction)
                draft = self.write(message, data, request.files, limit_bytes=limit_bytes)
                self.publish(message, draft, data, default=USER_PINGS)
            interaction.original = message
        elif kind == UPDATE:
            limit_bytes = self._limit_bytes(interaction)
            draft = self.write(interaction.source, data, request.files, limit_bytes=limit_bytes)
            interaction.original = self.publish(interaction.source, draft, data, default=USER_PINGS)
        elif kind == DEFER_UPDATE:
            interaction.original = interaction.source
        elif kind == CHOICES:
            rules.check_choices("data.choices", data.get("choices", []))
        elif kind == MODAL:
            rules.check_modal(data)

    def _reply(self, interaction: Interaction, *, flags: int, to: Message | None = None) -> Message:
        message = self.new_message(interaction.channel, self.bot, flags=flags, interaction=interaction)
        message.seen_by = interaction.user if flags & EPHEMERAL else None
        message.reply_to = to or interaction.source
        commands = {1: 20, 2: 23, 3: 23}
        message.type = 19 if message.reply_to else commands.get(interaction.data.get("type"), 0)
        return message

    def _answered(self, interaction: Interaction, kind: int) -> dict[str, Any]:
        found: dict[str, Any] = {"id": str(interaction.id), "type": interaction.type}
        message = interaction.original
        if message is not None:
            found["response_message_id"] = str(message.id)
            found["response_message_loading"] = message.is_loading
            found["response_message_ephemeral"] = message.is_ephemeral
            found["channel_id"] = str(message.channel.id)
        if kind not in (ANSWER, UPDATE):
            return {"interaction": found}
        return {"interaction": found, "resource": {"type": kind, "message": self.message_json(message, readable=True)}}

    # the webhook that the token is

    def _holder(self, webhook_id: int, token: str) -> Interaction:
        found = [i for i in self.interactions if i.token == token]
        if not found or webhook_id != self.application_id:
            raise unknown("Webhook")
        if found[0].has_lost_token or self.clock() > found[0].created_at + TOKEN_LIFETIME_SECONDS:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        if found[0].response is None:
            raise unknown("Webhook")
        return found[0]

    def _its_message(self, interaction: Interaction, message_id: str) -> Message:
        if message_id == "@original":
            message = interaction.original
        else:
            mine = [m for m in (interaction.original, *interaction.followups) if m and str(m.id) == message_id]
            message = mine[0] if mine else None
        if message is None or message.is_deleted:
            raise unknown("Message")
        return message

    def hook_get(self, request: Request, webhook_id: int, webhook_token: str, message_id: str) -> tuple[int, Any]:
        message = self._its_message(self._holder(webhook_id, webhook_token), message_id)
        return 200, self.message_json(message, readable=True)

    def hook_patch(self, request: Request, webhook_id: int, webhook_token: str, message_id: str) -> tuple[int, Any]:
        interaction = self._holder(webhook_id, webhook_token)
        return 200, self._hook_edit(interaction, self._its_message(interaction, message_id), request)

    def _hook_edit(self, interaction: Interaction, message: Message, request: Request) -> dict[str, Any]:
        if message.channel.archived:
            raise Refusal(400, 50083, "Thread is archived")
        form, limit_bytes = request.message_form, self._limit_bytes(interaction)
        draft = self.write(message, form, request.files, limit_bytes=limit_bytes)
        return self.message_json(self.publish(message, draft, form, default=USER_PINGS), readable=True)

    def hook_delete(self, request: Request, webhook_id: int, webhook_token: str, message_id: str) -> tuple[int, Any]:
        self.delete_message(self._its_message(self._holder(webhook_id, webhook_token), message_id))
        return 204, None

    def hook_post(self, request: Request, webhook_id: int, webhook_token: str) -> tuple[int, Any]:
        """A follow-up; right after a deferral it fills the message that is loading."""
        interaction = self._holder(webhook_id, webhook_token)
        first = interaction.original
        if first is not None and first.is_loading and not interaction.followups and not first.is_deleted:
            return 200, self._hook_edit(interaction, first, request)
        to = first if first is not None and not first.is_deleted else None
        form = request.message_form
        message = self._reply(interaction, flags=(form.get("flags") or 0) & EPHEMERAL, to=to)
        draft = self.write(message, form, request.files, limit_bytes=self._limit_bytes(interaction))
        self.publish(message, draft, form, default=USER_PINGS)
        interaction.followups.append(message)
        return 200, self.message_json(message, readable=True)
