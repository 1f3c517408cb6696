"""What may be asked, where, and of which models: blocks that nothing turns off, rules of places, policies of channels.

Every refusal for words is an incident with a number, so that a moderator can look it up.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot import prompt, words
from bot.allowances import DAY_MS, EVERYWHERE
from bot.errors import AgeRestricted, BadOption, BadWords, SwitchedOff, TooLarge
from bot.jobs import ChannelPolicy, Person, Place
from bot.store import Act, Halt, Store, Wanted
from bot.words import Rule, is_explicit
from engine.catalogue import Catalogue
from engine.protocol import Draw, IfFlagged

STRIKE_DAYS = 30
_LONGEST_LINE = 200  # of pictures that came of each other


@dataclass(frozen=True, slots=True)
class Strikes:
    """So many within 30 days, each for what nobody may draw or was taken down, and a person is suspended."""

    most: int = 3
    suspend_days: int = 7


class Gate:
    def __init__(
        self,
        store: Store,
        *,
        models: Catalogue,
        default_model: str,
        now_ms: Callable[[], int],
        operators_only: frozenset[str] = frozenset(),  # photographic models that have no classifier
        draws_unchecked: bool = False,  # they draw for everyone: the operator answers for it
        strikes: Strikes = Strikes(),
    ):
        self.models, self.default_model = models, default_model
        self.store, self.now_ms = store, now_ms
        self.operators_only = frozenset() if draws_unchecked else operators_only
        self._draws_unchecked, self._strikes = draws_unchecked, strikes

    def is_unchecked(self, person: Person) -> bool:
        """Whether a photographic model without its classifier may draw for this person."""
        return person.is_operator or self._draws_unchecked

    async def at(self, person: Person, place: Place, *, is_age_restricted: bool = True) -> "Here":
        """What holds for this person at this place now."""
        rules, policy = await self.store.moderation.of_place(place)
        return Here(self, person, place, tuple(rules), policy, is_age_restricted and policy.nsfw)

    async def strike(self, person_id: int, number: int) -> None:
        """After a strike, incident `number`: too many of them suspend the person, everywhere and for a while."""
        now_ms, limit = self.now_ms(), self._strikes
        count = await self.store.moderation.strikes(person_id, now_ms - STRIKE_DAYS * DAY_MS)
        if count < limit.most or await self.store.rules.block_of(person_id, EVERYWHERE, now_ms):
            return
        halt = Halt(now_ms + limit.suspend_days * DAY_MS, f"{count} strikes within {STRIKE_DAYS} days")
        act = Act(f"strike {number}", now_ms, person_id, "operator", EVERYWHERE, "block", halt.reason)
        await self.store.rules.block(act, person_id, halt)

    async def test(self, place: Place, text: str) -> str | None:
        """The name of the rule that a prompt would break there; None if it may be drawn."""
        rules, _ = await self.store.moderation.of_place(place)
        if found := words.forbidden(text, "", is_over_a_given_picture=False):
            return words.FORBIDDEN[found]
        rule = await asyncio.to_thread(words.broken, rules, text)
        return rule.name if rule else None


@dataclass(frozen=True, slots=True)
class Here:
    """A person at a place."""

    gate: Gate
    person: Person
    place: Place
    rules: tuple[Rule, ...]
    policy: ChannelPolicy
    allows_explicit: bool

    @property
    def models(self) -> Catalogue:
        """Those that may draw for this person here. Raises SwitchedOff where none may."""
        models = {
            name: model
            for name, model in self.gate.models.items()
            if (not self.policy.models or name in self.policy.models)
            and (self.person.is_operator or name not in self.gate.operators_only)
        }
        if not models or not self.policy.enabled:
            raise SwitchedOff
        return models

    @property
    def default_model(self) -> str:
        models, name = self.models, self.gate.default_model
        return name if name in models else next(iter(models))

    async def admit(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """The same, with what becomes of flagged images.

        Raises SwitchedOff, BadOption, TooLarge, BadWords, AgeRestricted.
        """
        models = self.models
        for each in wanted:
            await self._require(each, models)
        keeps: IfFlagged = "keep" if self.allows_explicit else "withhold"
        return [replace(each, if_flagged=keeps, is_unchecked=self.gate.is_unchecked(self.person)) for each in wanted]

    async def _require(self, wanted: Wanted, models: Catalogue) -> None:
        draw = wanted.request.draw
        if draw.model not in models:
            raise BadOption(f"--model {draw.model}", "is not allowed here", allowed=", ".join(models))
        if self.policy.largest == "draft" and wanted.request.quality == "full":
            longest_px = max(wanted.request.width, wanted.request.height)
            raise TooLarge(longest_px, as_draft=self._as_draft(wanted))
        given = draw.init_image is not None and await self._is_given(draw.init_image)
        if found := words.forbidden(draw.prompt, draw.negative_prompt or "", is_over_a_given_picture=given):
            raise await self._blocked(words.FORBIDDEN[found], draw, is_kept=False, is_strike=found != "perhaps_minors")
        if rule := await asyncio.to_thread(words.broken, self.rules, draw.prompt) if self.rules else None:
            raise await self._blocked(rule.name, draw, is_kept=True, is_strike=False)
        if not self.allows_explicit and is_explicit(draw.prompt):
            raise AgeRestricted

    async def _blocked(self, rule: str, draw: Draw, *, is_kept: bool, is_strike: bool) -> BadWords:
        text = draw.prompt if is_kept else f"{draw.prompt} --no {draw.negative_prompt}"
        number = await self.gate.store.moderation.note(
            self.person, self.place, rule, text, is_kept=is_kept, is_strike=is_strike, now_ms=self.gate.now_ms()
        )
        if is_strike:
            await self.gate.strike(self.person.id, number)
        return BadWords(rule, f"B-{number}", is_final=not is_kept)

    async def _is_given(self, path: str | None) -> bool:
        """Whether a picture came of one that a person gave, however often it was drawn over; yes where nobody knows."""
        for _ in range(_LONGEST_LINE):
            if path is None:
                return False
            job = await self.gate.store.job(Path(path).parent.name)
            if job is None:
                return True
            path = job.request.draw.init_image
        return True

    def _as_draft(self, wanted: Wanted) -> str:
        """The command that draws it as a draft; empty where none can."""
        request, models = wanted.request, self.gate.models
        if not isinstance(request, Draw) or request.init_image:
            return ""
        return prompt.to_text(prompt.draft_of(request, models), models)
