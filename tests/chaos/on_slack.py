"""Slack as it is on a bad day, by Socket Mode, and people who keep asking for pictures there."""

import asyncio
import random
from collections import Counter
from typing import Any

from bot import wording
from bot.slack.interactions import read
from bot.slack.messages import job_of
from bot.slack.web import HISTORY
from tests.chaos.audit import Asked, Shown
from tests.chaos.people import DUPLICATED, LATEST_COPY_SECONDS, PROMPT, REORDERED, Platform
from tests.discord_api.faults import Fault
from tests.slack_api import Act, Channel, Message, SlackAPI, User

SPARED = ("users.info", "response_url")  # what they refuse is a refusal, told in private: nothing was accepted


class BadDay(SlackAPI):
    """Of a hundred requests fifteen go wrong; of a hundred deliveries ten come twice and five late."""

    def __init__(self, dice: random.Random, faulty: float) -> None:
        super().__init__()
        self._dice, self._faulty, self.is_bad, self.counts = dice, faulty, True, Counter[str]()

    def _faults_of(self, method: str, path: str, template: str) -> list[Fault]:
        found = super()._faults_of(method, path, template)
        if not self.is_bad or path in SPARED:
            return found
        self.counts["requests"] += 1
        if self._dice.random() < self._faulty:
            self.counts["faults"] += 1
            found.append(self._a_fault())
        return found

    def _a_fault(self) -> Fault:
        kind, is_after = self._dice.randrange(10), self._dice.random() < 0.5
        if kind < 4:
            return Fault(None, "", None, is_after, status=0, drops=True)
        if kind < 9:
            return Fault(None, "", None, is_after, status=self._dice.choice((500, 502, 503)))
        body = {"ok": False, "error": "ratelimited"}
        return Fault(None, "", None, False, status=429, body=body, headers={"Retry-After": "1"})

    async def bring(self, act: Act, **how: Any) -> Act:
        if self.is_bad:
            self.counts["deliveries"] += 1
            if self._dice.random() < DUPLICATED:
                self.counts["duplicates"] += 1
                self.go_on(self._again(act, self._dice.uniform(0, LATEST_COPY_SECONDS)))
            if self._dice.random() < REORDERED:
                self.counts["reordered"] += 1
                await asyncio.sleep(self._dice.uniform(0.02, 0.5))
        return await super().bring(act, **how)

    async def _again(self, act: Act, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.redeliver(act)


class OnSlack(Platform):
    """Each person has a channel, as Slack takes one message a second in each. The app may read what was said there."""

    name = "slack"

    def __init__(self, dice: random.Random, **day: Any) -> None:
        super().__init__(dice, **day)
        self.api = BadDay(dice, self.faulty)
        self.acts: list[Act] = []
        self.rooms: dict[str, Channel] = {}

    def settings(self) -> dict[str, str]:
        return {
            "LIMNER_SLACK_BOT_TOKEN": self.api.bot_token,
            "LIMNER_SLACK_APP_TOKEN": self.api.app_token,
            "LIMNER_SLACK_API_URL": self.api.url,
            "LIMNER_SLACK_FILE_HOSTS": self.api.files_host,
        }

    async def open(self) -> None:
        await self.api.start()
        self.api.scopes = (*self.api.scopes, *sorted(HISTORY))
        self.users = [self.api.add_user(f"person{number}") for number in range(self.people)]
        self.rooms = {user.id: self.api.add_channel(f"room-of-{user.name}") for user in self.users}

    @property
    def is_connected(self) -> bool:
        return bool(self.api.sockets)

    @property
    def tokens(self) -> list[str]:
        return [self.api.bot_token, self.api.app_token]

    @property
    def passing_tokens(self) -> list[str]:
        return list(self.api.response_urls)

    async def _ask(self, user: User) -> Act:
        room = self.rooms[user.id]
        done = [m for m in room.messages[-80:] if "Re-roll" in m.labels and (user.id, m.ts) not in self.pressed]
        if done and self.dice.random() < self.pressing:
            message = self.dice.choice(done)
            self.pressed.add((user.id, message.ts))
            act = await self.api.press(user, message, "Re-roll")
        else:
            private = " --private" if self.dice.random() < 0.1 else ""
            text = f"{PROMPT} --quality draft --n {self.dice.randint(1, 2)}{private}"
            act = await self.api.slash(user, room, "/imagine", text)
        self.acts.append(act)
        return act

    def _is_open(self, act: Act) -> bool:
        """For three seconds, and then as long as another job of its person is on its way."""
        if act.ack is None or act.user is None:
            return False
        places = (self.rooms[act.user.id], self.api.dm(act.user))
        unfinished = [m for place in places for m in place.messages[-40:] if _job(m) and not _is_over(m)]
        return self.api.clock() < act.at + 3 or bool(unfinished)

    def asked(self) -> list[Asked]:
        return [Asked(_key(act), act.ack == {} and not _is_refused(act)) for act in self.acts]

    def shown(self) -> dict[str, list[Shown]]:
        """A picture that stands below its message more than once counts as another message about the job."""
        found: dict[str, list[Shown]] = {}
        for message in (m for channel in self.api.channels.values() for m in channel.messages if not m.is_deleted):
            if message.author is self.api.bot and (job_id := _job(message)):
                names = frozenset(self.api.files[each].name for each in message.pictures)
                found.setdefault(job_id, []).append(Shown(message.text, names))
        for name, times in self._shares().items():
            if times > 1:
                found.setdefault(name.split("-")[1], []).append(Shown("shared again", frozenset([name])))
        return found

    def _shares(self) -> Counter[str]:
        messages = [m for channel in self.api.channels.values() for m in channel.messages if not m.is_deleted]
        return Counter(file.name for m in messages for file in m.files if file.state != "deleted")


def _key(act: Act) -> str:
    body = act.payload if act.kind == "slash_commands" else {"type": "block_actions", **act.payload}
    asked = read(body)
    assert asked
    return asked.key


def _is_refused(act: Act) -> bool:
    """They were told something else than where it will be."""
    return any(wording.IN_MESSAGES not in message.text for message in act.messages)


def _job(message: Message) -> str:
    return job_of({"metadata": message.metadata})


def _is_over(message: Message) -> bool:
    return "More…" in message.labels or "Run again" in message.labels
