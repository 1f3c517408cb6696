"""Discord as it is on a bad day, and people who keep asking for pictures there."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.chaos.audit import Asked, Shown
from tests.chaos.people import DUPLICATED, FAULTY, LATEST_COPY_SECONDS, PROMPT, REORDERED, Platform
from tests.discord_api import DiscordAPI
from tests.discord_api.faults import Fault, rate_limited
from tests.discord_api.interactions import ANSWER, DEFER_UPDATE, Interaction
from tests.discord_api.things import Message


class BadDay(DiscordAPI):
    """Of a hundred requests fifteen go wrong; of a hundred deliveries ten come twice and five late."""

    def __init__(self, dice: random.Random, faulty: float) -> None:
        super().__init__()
        self._dice, self._faulty, self.is_bad, self.counts = dice, faulty, True, Counter[str]()
        self._later: set[asyncio.TimerHandle] = set()

    def _faults_of(self, method: str, path: str, template: str) -> list[Fault]:
        found = super()._faults_of(method, path, template)
        if not self.is_bad:
            return found
        self.counts["requests"] += 1
        is_about_messages = path.startswith(("/channels", "/webhooks", "/interactions"))
        if self._dice.random() < (self._faulty if is_about_messages else min(self._faulty, FAULTY)):
            self.counts["faults"] += 1
            found.append(self._a_fault())
        return found

    def _a_fault(self) -> Fault:
        kind, is_after = self._dice.randrange(10), self._dice.random() < 0.5
        if kind < 4:
            return Fault(None, "", None, is_after, status=0, drops=True)
        if kind < 9:
            status = self._dice.choice((500, 502, 503))
            return Fault(None, "", None, is_after, status=status, body={"message": "Refused", "code": 0})
        body, headers = rate_limited(0.1, "user")
        return Fault(None, "", None, False, status=429, body=body, headers=headers)

    def emit(self, event: str, data: dict[str, Any], **where: Any) -> bool:
        if event != "INTERACTION_CREATE" or not self.is_bad or not self.is_connected:
            return super().emit(event, data, **where)
        self.counts["deliveries"] += 1
        if self._dice.random() < DUPLICATED:
            self.counts["duplicates"] += 1
            self._emit_later(self._dice.uniform(0, LATEST_COPY_SECONDS), event, data, where)
        if self._dice.random() < REORDERED:
            self.counts["reordered"] += 1
            self._emit_later(self._dice.uniform(0.02, 0.5), event, data, where)
            return True
        return super().emit(event, data, **where)

    def _emit_later(self, seconds: float, event: str, data: dict[str, Any], where: dict[str, Any]) -> None:
        emit = super().emit
        self._later.add(asyncio.get_running_loop().call_later(seconds, lambda: emit(event, data, **where)))

    async def close(self) -> None:
        for each in self._later:
            each.cancel()
        await super().close()


@dataclass
class _Open:
    interaction: Interaction
    is_private: bool = False
    is_press: bool = False


class OnDiscord(Platform):
    name = "discord"

    def __init__(self, dice: random.Random, **day: Any) -> None:
        super().__init__(dice, **day)
        self.api = BadDay(dice, self.faulty)
        self.api.token = f"canary-{dice.getrandbits(128):x}"
        self.asks: list[_Open] = []

    def settings(self) -> dict[str, str]:
        return {
            "LIMNER_DISCORD_TOKEN": self.api.token,
            "LIMNER_DISCORD_API_URL": self.api.url,
            "LIMNER_DISCORD_ATTACHMENT_HOSTS": self.api.url_root,
        }

    async def open(self) -> None:
        await self.api.start()
        self.users = [self.api.add_user(f"person{number}") for number in range(self.people)]

    @property
    def is_connected(self) -> bool:
        return self.api.is_connected and bool(self.api.commands)

    @property
    def tokens(self) -> list[str]:
        return [self.api.token]

    @property
    def passing_tokens(self) -> list[str]:
        return [each.token for each in self.api.interactions]

    async def _ask(self, user: Any) -> _Open:
        """Noted before anybody knows what becomes of it."""
        done = [m for m in self.api.channel.messages[-80:] if "Re-roll" in m.labels]
        done = [m for m in done if (user.id, m.id) not in self.pressed]  # twice at once would be the same job
        if done and self.dice.random() < self.pressing:
            message = self.dice.choice(done)
            self.pressed.add((user.id, message.id))
            return await self.note(self.api.press(user, message, "Re-roll"), is_press=True)
        is_private = self.dice.random() < 0.1
        options = {"prompt": f"{PROMPT} --n {self.dice.randint(1, 2)}", "quality": "draft"}
        if is_private:
            options["private"] = True
        return await self.note(self.api.slash(user, self.api.channel, "imagine", options), is_private=is_private)

    async def note(self, doing: Any, **what: bool) -> _Open:
        asked = _Open(await doing, **what)
        self.asks.append(asked)
        return asked

    def _is_open(self, asked: _Open) -> bool:
        it = asked.interaction
        if it.response is None:
            return False
        if asked.is_press:
            return it.now() < it.created_at + 2
        return it.message is not None and not ("More…" in it.message.labels or "Run again" in it.message.labels)

    def asked(self) -> list[Asked]:
        return [self._as_asked(each.interaction, each) for each in self.asks]

    def _as_asked(self, it: Interaction, asked: _Open) -> Asked:
        kind = it.response["type"] if it.response else None
        accepted = kind == DEFER_UPDATE if asked.is_press else kind == ANSWER
        if accepted and it.message is not None and it.message.is_ephemeral and not asked.is_press:
            accepted = asked.is_private and bool(it.message.buttons)  # else a refusal
        return Asked(f"discord:{it.id}", accepted)

    def shown(self) -> dict[str, list[Shown]]:
        found: dict[str, list[Shown]] = {}
        messages = [m for channel in self.api.channels.values() for m in channel.by_id.values() if not m.is_deleted]
        for message in messages:
            if message.author is self.api.bot and (job_id := _job_of(message)):
                names = frozenset(each.filename for each in message.attachments)
                found.setdefault(job_id, []).append(Shown(message.text, names))
        return found


def _job_of(message: Message) -> str | None:
    for button in message.buttons:
        if button.get("custom_id", "").startswith("v1:"):
            return button["custom_id"].split(":")[2] or None
    return None
