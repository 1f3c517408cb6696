"""What may be asked, where, and of which models: blocks that nothing turns off, rules of places, policies of channels.

Every refusal for words is an incident with a number, so that a moderator can look it up.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot import prompt, words
from bot.allowances import DAY_MS, EVERYWHERE
from bot.errors import AgeRestricted, BadOption, BadWords, SwitchedOff, TooLarge
from bot.jobs import ChannelPolicy, Person, Place
from bot.privacy import Retention
from bot.prompt import Style
from bot.store import Act, Halt, Limits, Store, Wanted
from bot.words import Rule
from engine.catalogue import Catalogue
from engine.protocol import Draw, IfFlagged, Request

STRIKE_DAYS = 30
_LONGEST_LINE = 200  # of pictures that came of each other


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decided."""

    models: Catalogue
    default_model: str
    limits: Limits
    spool: Path
    styles: Mapping[str, Style] = field(default_factory=dict)
    operators_only: frozenset[str] = frozenset()  # photographic models without their classifier
    draws_unchecked: bool = False  # they draw for everyone: the operator answers for it
    retention: Retention = field(default_factory=Retention)
    strikes: int = 3  # so many within 30 days, each for what nobody may draw or was taken down, suspend a person
    suspend_days: int = 7


class Gate:
    def __init__(self, store: Store, rules: Rules, now_ms: Callable[[], int]):
        self.store, self.rules, self.now_ms = store, rules, now_ms

    async def at(self, person: Person, place: Place, *, is_age_restricted: bool = True) -> "Here":
        """What holds for this person at this place now."""
        rules, policy = await self.store.moderation.of_place(place)
        return Here(self, person, place, tuple(rules), policy, is_age_restricted and policy.nsfw)

    async def strike(self, person_id: int, number: int) -> None:
        """After a strike, incident `number`: too many of them suspend the person, everywhere and for a while."""
        now_ms = self.now_ms()
        count = await self.store.moderation.strikes(person_id, now_ms - STRIKE_DAYS * DAY_MS)
        if count < self.rules.strikes or await self.store.rules.block_of(person_id, EVERYWHERE, now_ms):
            return
        halt = Halt(now_ms + self.rules.suspend_days * DAY_MS, f"{count} strikes within {STRIKE_DAYS} days")
        act = Act(f"strike {number}", now_ms, person_id, "operator", EVERYWHERE, "block", halt.reason)
        await self.store.rules.block(act, person_id, halt)

    async def test(self, place: Place, text: str) -> str | None:
        """The name of the rule that a prompt would break there; None if it may be drawn."""
        rules, _ = await self.store.moderation.of_place(place)
        if found := await asyncio.to_thread(words.forbidden, text, "", is_over_a_given_picture=False):
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
        every = self.gate.rules.models
        hidden = frozenset() if self._is_unchecked else self.gate.rules.operators_only
        models = {name: every[name] for name in every if name in (self.policy.models or every) and name not in hidden}
        if not models or not self.policy.enabled:
            raise SwitchedOff
        return models

    @property
    def default_model(self) -> str:
        models, name = self.models, self.gate.rules.default_model
        return name if name in models else next(iter(models))

    async def admit(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """The same, with what becomes of flagged images.

        Raises SwitchedOff, BadOption, TooLarge, BadWords, AgeRestricted.
        """
        models = self.models
        for each in wanted:
            await self._require(each, models)
        keeps: IfFlagged = "keep" if self.allows_explicit else "withhold"
        return [replace(each, if_flagged=keeps, is_unchecked=self._is_unchecked) for each in wanted]

    @property
    def _is_unchecked(self) -> bool:
        """Whether a photographic model without its classifier may draw for this person."""
        return self.person.is_operator or self.gate.rules.draws_unchecked

    async def _require(self, wanted: Wanted, models: Catalogue) -> None:
        draw = wanted.request.draw
        if draw.model not in models:
            raise BadOption(f"--model {draw.model}", "is not allowed here", allowed=", ".join(models))
        if self.policy.largest == "draft" and wanted.request.quality == "full":
            longest_px = max(wanted.request.width, wanted.request.height)
            raise TooLarge(longest_px, as_draft=self._as_draft(wanted.request))
        below, is_given = await self._below(draw.init_image)
        found, rule, is_explicit = await asyncio.to_thread(_judged, self.rules, draw, below, is_given)
        if found:
            raise await self._blocked(words.FORBIDDEN[found], draw, is_kept=False, is_strike=found != "perhaps_minors")
        if rule:
            raise await self._blocked(rule.name, draw, is_kept=True, is_strike=False)
        if is_explicit and not self.allows_explicit:
            raise AgeRestricted

    async def _blocked(self, rule: str, draw: Draw, *, is_kept: bool, is_strike: bool) -> BadWords:
        text = draw.prompt if is_kept else f"{draw.prompt} --no {draw.negative_prompt}"
        number = await self.gate.store.moderation.note(
            self.person, self.place, rule, text, is_kept=is_kept, is_strike=is_strike, now_ms=self.gate.now_ms()
        )
        if is_strike:
            await self.gate.strike(self.person.id, number)
        return BadWords(rule, f"B-{number}", is_final=not is_kept)

    async def _below(self, path: str | None) -> tuple[list[Draw], bool]:
        """What drew the pictures that this one was drawn over, and whether a person gave the first; yes if unknown."""
        below: list[Draw] = []
        while path is not None and len(below) < _LONGEST_LINE:
            job = await self.gate.store.job(Path(path).parent.name)
            if job is None or job.forgotten:
                return below, True
            below.append(job.request.draw)
            path = below[-1].init_image
        return below, path is not None

    def _as_draft(self, request: Request) -> str:
        """The command that draws it as a draft; empty where none can."""
        if not isinstance(request, Draw) or request.init_image:
            return ""
        return prompt.to_text(prompt.draft_of(request, self.gate.rules.models), self.gate.rules.models)


def _judged(
    rules: Sequence[Rule], draw: Draw, below: Sequence[Draw], is_given: bool
) -> tuple[words.Forbidden | None, Rule | None, bool]:
    """What forbids it everywhere, what forbids it here, and whether it is explicit, what it is drawn over included."""
    negative = draw.negative_prompt or ""
    found = words.forbidden(draw.prompt, negative, is_over_a_given_picture=is_given)
    whole = " . ".join([draw.prompt, *(each.prompt for each in below)])
    if not found and below and words.forbidden(whole, negative, is_over_a_given_picture=False):
        found = "perhaps_minors"  # who drew over it may not have known
    return found, words.broken(rules, draw.prompt), words.is_explicit(whole, negative)
