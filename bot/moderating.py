"""The orders that moderate: words, channels, incidents, and what is taken down."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot import answers, flags, words
from bot.allowances import EVERYWHERE
from bot.errors import BadOption, Unknown
from bot.jobs import ChannelPolicy, Place
from bot.phrases import Quote, When
from bot.store import Act, Entry, Store
from bot.studio import Studio

_SWITCHES = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
_CHANNEL = re.compile(r"\d{5,21}|[CGD][A-Z0-9]{6,20}")
_INCIDENT = re.compile(r"B-(\d{1,15})", re.IGNORECASE)
MAX_NAME, MAX_RULES = 40, 200  # characters; rules of a place


class Moderating:
    def __init__(self, store: Store, studio: Studio, models: Mapping[str, object]):
        self._store, self._studio, self._records, self._models = store, studio, store.moderation, models

    async def add_words(self, act: Act, text: str) -> Entry:
        """`NAME: word, phrase, begin*` or `NAME: /expression/`; without a name, its first word is one.

        Raises BadOption.
        """
        name, colon, pattern = text.partition(":")
        if not colon or words.is_expression(text):
            name, pattern = text.strip("/").split(",")[0], text
        name, known = " ".join(name.split()).lower(), await self._records.rules(act.scope)
        if not 0 < len(name) <= MAX_NAME:
            raise BadOption("The name of a rule", f"has 1 to {MAX_NAME} characters", allowed="violence: gore, behead*")
        if len(known) >= MAX_RULES and name not in {rule.name for rule in known}:
            raise BadOption("Rules", "are too many here", allowed=f"at most {MAX_RULES}")
        pattern = await asyncio.to_thread(words.checked, pattern)
        return await self._records.set_rule(act.scope, name, pattern, act=act)

    async def remove_words(self, act: Act, text: str) -> Entry:
        """Raises BadOption for a rule that is not there."""
        name = " ".join(text.split()).lower()
        known = [rule.name for rule in await self._records.rules(act.scope)]
        if name not in known:
            near = flags.nearest(name, tuple(known))
            raise BadOption(name, "is no rule here", nearest=near, allowed=", ".join(known) or "there is none")
        return await self._records.set_rule(act.scope, name, None, act=act)

    async def test_words(self, act: Act, text: str, when: When, quote: Quote) -> str:
        """Which rule a prompt breaks, or what an incident was: `B-31`. Raises Unknown for one of another place."""
        if match := _INCIDENT.fullmatch(text.strip()):
            found = await self._records.incident(int(match[1]), None if act.scope == EVERYWHERE else act.scope)
            if found is None:
                raise Unknown(text)
            return answers.incident(found, when, quote)
        return answers.tested(await self._studio.gate.test(Place(*act.scope), text))

    async def channel(self, act: Act, here: Place, named: str, options: Mapping[str, str]) -> Entry | ChannelPolicy:
        """Change what a channel allows; without options, what it allows. Raises BadOption."""
        channel_id = named or (here.channel_id if here.workspace == act.scope else "")
        if not _CHANNEL.fullmatch(channel_id) and channel_id != here.channel_id:
            raise BadOption(f"#{named}" if named else "The channel", "is none", allowed="a channel of this place")
        place = Place(*act.scope, channel_id)
        before = (await self._records.of_place(place))[1]
        if not options:
            return before
        changed: dict[str, Any] = {name: self._option(name, value) for name, value in options.items()}
        policy = replace(before, **changed)
        return await self._records.set_policy(place, policy, act=act)

    def _option(self, name: str, value: str) -> object:
        if name == "models":
            return self._listed(value)
        if name == "largest":
            return flags.choice("largest", value.lower(), ("full", "draft"))
        if value.lower() not in _SWITCHES:
            raise BadOption(f"--{name} {value}", "is neither", allowed="on or off")
        return _SWITCHES[value.lower()]

    def _listed(self, value: str) -> tuple[str, ...]:
        names = tuple(name for name in re.split(r"[,\s]+", value) if name)
        if names in (("all",), ("default",)):
            return ()
        for name in names:
            if name not in self._models:
                near = flags.nearest(name, tuple(self._models))
                raise BadOption(f"--models {name}", "unknown", nearest=near, allowed=", ".join(self._models))
        return names

    async def taken_down(self, act: Act, job_id: str) -> None:
        """A moderator deleted a job: its message goes, and where it was reported its person has a strike."""
        job = await self._store.job(job_id)
        if job is None:
            return
        await self._records.take_down([job], act.at_ms)
        if job.person_id != act.actor_id and await self._records.is_reported(job_id):
            number = await self._records.strike(job, act.at_ms)
            await self._studio.gate.strike(job.person_id, number)
