"""The orders of admins, the same on every platform: who may, at which place, done once, written down.

`Admin.administer` takes the text of `/limner-admin …`; whoever gives it carries the authority that the platform says
they have at this very use. An admin or moderator reaches their own server or workspace and nothing else.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Protocol

from bot import answers, charts, reports, wording
from bot.allowances import DAY_MS, EVERYWHERE, MAX_UNITS, Limits, Rule, Scope, Subject
from bot.errors import BadOption, NoAuthority, Refused, Unknown
from bot.jobs import ChannelPolicy, Identity, Job, Person, Place
from bot.moderating import Moderating
from bot.orders import FORMS, Authority, Order, read_order
from bot.phrases import Quote, When, clip
from bot.store import Act, Entry, Halt, Store
from bot.studio import Studio

log = logging.getLogger(__name__)

AUDIT_LINES, STATS_DAYS, GRANT_MS = 10, 14, DAY_MS
MAX_EXPORT_BYTES = 128 * 2**20  # it is sent whole


class Platform(Protocol):
    """What an order needs of a chat platform. Raises what the platform raises: then nothing is done."""

    def reaches(self, workspace_id: str) -> bool:
        """Whether it can be asked about that place now."""

    async def member(self, workspace_id: str, user_id: str) -> tuple[Identity, Collection[str]] | None:
        """Who that is, and the ids of their roles there; None if nobody of that id is there now."""

    async def role(self, workspace_id: str, text: str) -> tuple[str, str] | None:
        """The id and the name of a role or user group, found by either; None if there is none."""

    async def remove(self, job: Job) -> None:
        """Take the job's message away."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who gives an order, where, and what they are there as the platform says now."""

    person: Person
    authority: Authority
    place: Place


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    files: tuple[tuple[str, bytes], ...] = ()  # names and contents: a plot, a table

    def attached(self, most: int) -> tuple[tuple[str, bytes], ...]:
        """The files, and the whole text as one of them where a message takes at most so many characters."""
        is_long = len(self.text) > most
        return (*self.files, ("limner.txt", self.text.encode())) if is_long else self.files


@dataclass(frozen=True, slots=True)
class Given:
    """An order that may be carried out."""

    order: Order
    actor: Actor
    scope: Scope
    act: Act
    when: When
    quote: Quote


Handler = Callable[[Given], Awaitable[Answer | Entry]]  # what was found, or changed


class Admin:
    def __init__(
        self,
        store: Store,
        studio: Studio,
        limits: Limits,
        *,
        models: Mapping[str, object],
        now_ms: Callable[[], int],
        operators: frozenset[str] = frozenset(),  # "discord:1234": they are the operator on their platform too
        doctor: Callable[[], str] | None = None,
    ):
        self._store, self._rules, self._studio, self._limits = store, store.rules, studio, limits
        self._models, self._now_ms, self._operators, self._doctor = models, now_ms, operators, doctor
        self._moderating = Moderating(store, studio, models)
        self.platforms: dict[str, Platform] = {}
        self._handlers: dict[str, Handler] = {  # by the whole verb, or by its first word
            "quota show": self._show_quota,
            "quota grant": self._grant,
            "quota reset": self._reset,
            "quota": self._allow,
            "block": self._block,
            "unblock": self._block,
            "pause": self._pause,
            "resume": self._pause,
            "job": self._job,
            "channel": self._channel,
            "privacy": self._privacy,
            "words": self._words,
            "stats": self._stats,
            "audit": self._audit,
            "doctor": self._examine,
            "help": self._help,
        }

    @property
    def zone(self) -> tzinfo:
        return self._limits.window.zone

    def authority(self, identity: Identity, found: Authority) -> Authority:
        """What the platform has found, or the operator where the settings name them."""
        names = {f"{identity.platform}:{identity.user_id}"}
        names |= {f"{identity.platform}:{identity.workspace_id}:{identity.user_id}"} if identity.workspace_id else set()
        return Authority.OPERATOR if names & self._operators else found

    async def administer(self, actor: Actor, text: str, *, key: str, when: When, quote: Quote = str) -> Answer:
        """Carry out an order, once for each `key`. Raises Refused; then nothing was done."""
        if actor.authority == Authority.NOBODY:
            raise NoAuthority("moderator")
        now_ms = self._now_ms()
        order = read_order(text, now_ms=now_ms, zone=self.zone)
        self._require_authority(actor, order)
        scope = self._scope(actor, order)
        act = Act(key, now_ms, actor.person.id, actor.authority.name.lower(), scope, order.verb, order.reason)
        handler = self._handlers.get(order.verb) or self._handlers[order.verb.split()[0]]
        done = await self._rules.known(key) or await handler(Given(order, actor, scope, act, when, quote))
        log.info("order %s by person %d as %s", order.verb, actor.person.id, act.authority)
        return done if isinstance(done, Answer) else Answer(reports.changed(done, self._limits.window, quote))

    def _require_authority(self, actor: Actor, order: Order) -> None:
        least = FORMS[order.verb].least
        if order.model or order.weight:  # they touch everybody's queue and the operator's dear models
            least = Authority.OPERATOR
        if actor.authority < least:
            raise NoAuthority(least.name.lower())
        if FORMS[order.verb].on_machine and actor.place.workspace_id:
            raise BadOption(f"/limner-admin {order.verb}", "is not for a chat", allowed=f"limner admin {order.verb}")

    def _scope(self, actor: Actor, order: Order) -> Scope:
        """Where the order counts. Raises NoAuthority for a place that is not the actor's."""
        here, is_in_chat = actor.place.workspace, actor.place.workspace_id != ""
        is_local = FORMS[order.verb].is_local or (is_in_chat and order.verb == "quota show")
        if actor.authority != Authority.OPERATOR:
            if order.at not in ("", "here", ":".join(here)):
                raise NoAuthority("operator")
            return here
        if order.at == "here" or (is_local and not order.at):
            if not is_in_chat:
                raise BadOption("--at", "is needed here", allowed="--at discord:SERVER or --at slack:WORKSPACE")
            return here
        if order.at in ("", "everywhere"):
            return EVERYWHERE
        platform, colon, workspace_id = order.at.partition(":")
        if not (colon and platform and workspace_id):
            raise BadOption(
                f"--at {order.at}", "is no place", allowed="here, everywhere, discord:SERVER, slack:WORKSPACE"
            )
        return platform, workspace_id

    async def person(self, given: Given, word: str) -> tuple[Person, str]:
        """Whom an order names, and their name. Raises Unknown for anyone who is not known at its place.

        A name, an id, `discord:ID` or `slack:TEAM:ID`: the operator's may be of somebody who was never seen here.
        """
        platform, text = ("", word) if word.partition(":")[0] not in (*_IDS, "web") else word.split(":", 1)
        workspace_id, _, user_id = text.rpartition(":") if platform else ("", "", text)
        for scope in (given.scope, given.actor.place.workspace):
            if scope[0] in _IDS and platform in ("", scope[0]):
                platform, workspace_id = scope[0], workspace_id or scope[1]
        if given.act.is_capped:  # no admin reaches beyond their place
            workspace_id = given.scope[1]
        is_known = FORMS[given.order.verb].on_machine
        reach = None if is_known else self._reach(platform, workspace_id)
        if reach and (there := await reach.member(workspace_id, user_id)):
            return await self._studio.person(*there), there[0].name
        found = await self._rules.named(platform, workspace_id, user_id, given.scope)
        if len({person for person, _ in found}) > 1:
            each = ", ".join(f"{i.platform}:{i.workspace_id}:{i.user_id}".replace("::", ":") for _, i in found[:5])
            raise BadOption(f"@{clip(word, 40)}", "is the name of several people", allowed=f"one of {each}")
        if found:
            return Person(found[0][0]), found[0][1].name or user_id
        is_whole = platform == "discord" or (platform == "slack" and workspace_id)
        if given.act.is_capped or is_known or not is_whole or not _IDS[platform].fullmatch(user_id):
            raise Unknown(f"@{clip(word, 40)}", "person")
        identity = Identity(platform, workspace_id if platform == "slack" else "", user_id)
        return await self._studio.person(identity), user_id

    async def _named(self, given: Given) -> Person:
        return (await self.person(given, given.order.args[0]))[0]

    def _reach(self, platform: str, workspace_id: str) -> Platform | None:
        """The platform, if it can be asked about that place now."""
        reach = self.platforms.get(platform)
        return reach if reach and workspace_id and reach.reaches(workspace_id) else None

    async def _show_quota(self, given: Given) -> Answer:
        if not given.order.args:
            found = await self._rules.rules_of(given.scope, given.act.at_ms)
            roles = {rule.subject_id: await self._role_name(rule) for rule in found if rule.subject == "role"}
            return Answer(reports.rules(found, roles, self._limits, given.scope, self.zone, given.quote))
        person, name = await self.person(given, given.order.args[0])
        view = await self._studio.quota(person, Place(*given.scope))
        return Answer(f"@{given.quote(name)} · {answers.quota(view, given.when)}")

    async def _allow(self, given: Given) -> Entry:
        order = given.order
        subject, subject_id, label = await self._subject(given)
        if order.model and order.model not in self._models:
            raise Unknown(order.model, "model")
        most = self._limits.own_waiting or MAX_UNITS
        if given.act.is_capped and order.waiting and order.waiting > most:
            raise BadOption(f"--waiting {order.waiting}", "is out of range", allowed=f"1 to {most}")
        values = order.model, order.units, order.weight, order.waiting, order.until_ms
        rule = Rule(given.scope, subject, subject_id, *values)
        return await self._rules.allow(given.act, rule, self._limits, label=label)

    async def _subject(self, given: Given) -> tuple[Subject, str, str]:
        """Whose allowance an order sets: the kind, an id, and what the audit calls it; a person has a name there."""
        match given.order.verb:
            case "quota set":
                return "person", str((await self._named(given)).id), ""
            case "quota role":
                role_id, name = await self._role(given, given.order.args[0])
                return "role", role_id, f"role {name}"
            case "quota place" if given.scope == EVERYWHERE:
                raise BadOption("--at everywhere", "is no place", allowed="one server or workspace")
            case "quota place":
                return "place", "", "all together"
        return "default", "", "everyone"

    async def _role(self, given: Given, word: str) -> tuple[str, str]:
        """Its id and name. Raises Unknown."""
        if reach := self._reach(*given.scope):
            if role := await reach.role(given.scope[1], word):
                return role
        elif _ROLES.fullmatch(word):
            return word, word
        ours = await self._rules.rules_of(given.scope, given.act.at_ms)
        if given.order.units is not None or not any(rule.subject_id == word for rule in ours):
            raise Unknown(f"@{clip(word, 40)}", "role")
        return word, f"that is gone ({word})"  # what was said of it can still be taken back

    async def _role_name(self, rule: Rule) -> str:
        role = None
        if reach := self._reach(*rule.scope):
            with suppress(Refused):  # the platform may not be asked
                role = await reach.role(rule.scope[1], rule.subject_id)
        return role[1] if role else rule.subject_id

    async def _grant(self, given: Given) -> Entry:
        person, ends_ms = await self._named(given), given.order.until_ms or given.act.at_ms + GRANT_MS
        return await self._rules.grant(given.act, person, given.order.units or 0, ends_ms, self._limits)

    async def _reset(self, given: Given) -> Entry:
        return await self._rules.reset(given.act, await self._named(given), self._limits)

    async def _block(self, given: Given) -> Entry:
        person, halt = await self._named(given), Halt(given.order.until_ms, given.order.reason)
        return await self._rules.block(given.act, person.id, halt if given.order.verb == "block" else None)

    async def _pause(self, given: Given) -> Entry:
        halt = Halt(given.order.until_ms, given.order.reason)
        entry = await self._rules.pause(given.act, halt if given.order.verb == "pause" else None)
        await self._studio.look_at_pauses()
        return entry

    async def _job(self, given: Given) -> Answer | Entry:
        verb, job_id = given.order.verb.split()[1], given.order.args[0].strip("`").lower()
        person, place = given.actor.person, given.actor.place
        if given.actor.authority == Authority.OPERATOR:
            person = replace(person, is_operator=True)
        job = await self._studio.job(person, job_id, place)
        if verb == "show":
            return Answer(reports.job(job, self._studio.live(job), given.when, given.quote))
        before = job.status
        if verb == "cancel":
            job = await self._studio.cancel(person, job_id, place, is_moderator=True)
        elif verb == "retry":
            job = await self._studio.retry(job, await self._roles_of_owner(job), key=given.act.key)
        else:
            job = await self._studio.delete(person, job_id, None, place, is_moderator=True)
            if reach := self.platforms.get(job.place.platform):
                await reach.remove(job)
            await self._moderating.taken_down(given.act, job_id)
        act = replace(given.act, scope=job.place.workspace)
        after = {"delete": "deleted", "retry": f"again as {job.id}"}.get(verb, str(job.status))
        return await self._rules.note(act, before, after, person=job.person_id, subject=job_id)

    async def _roles_of_owner(self, job: Job) -> Collection[str]:
        who, reach = await self._store.identity(job.person_id, job.place.platform), self._reach(*job.place.workspace)
        there = await reach.member(job.place.workspace_id, who.user_id) if who and reach else None
        return there[1] if there else ()

    async def _channel(self, given: Given) -> Answer | Entry:
        named, options = "".join(given.order.args), dict(given.order.options)
        done = await self._moderating.channel(given.act, given.actor.place, named, options)
        return Answer(str(done)) if isinstance(done, ChannelPolicy) else done

    async def _privacy(self, given: Given) -> Answer | Entry:
        """What people can do by themselves, for somebody who has left and writes a letter."""
        (person, name), privacy = await self.person(given, given.order.args[0]), self._studio.privacy
        if given.order.verb == "privacy show":
            return Answer(answers.privacy(await privacy.show(person), f"@{given.quote(name)}"))
        if given.order.verb == "privacy export":
            export = await privacy.export(person, limit_bytes=MAX_EXPORT_BYTES)
            with export.file:
                return Answer(answers.exported(export), ((wording.EXPORT_NAME, export.file.read()),))
        if "".join(given.order.args[1:]).lower() != "yes":
            await privacy.ask_to_erase(person, given.order.args[0])
        await privacy.erase(person)
        return await self._rules.note(given.act, "known", "erased", subject="Somebody")

    async def _words(self, given: Given) -> Answer | Entry:
        text = given.order.args[0]
        if given.order.verb == "words test":
            return Answer(await self._moderating.test_words(given.act, text, given.when, given.quote))
        change = self._moderating.add_words if given.order.verb == "words add" else self._moderating.remove_words
        return await change(given.act, text)

    async def _stats(self, given: Given) -> Answer:
        days = reports.days(given.act.at_ms, given.order.number or STATS_DAYS, self.zone)
        done = await self._rules.done_since(given.scope, int(days[0].timestamp() * 1000))
        table = reports.by_day(days, done)
        plot = await asyncio.to_thread(charts.draw, table)
        return Answer(reports.stats(table, done), (("limner-stats.png", plot),))

    async def _audit(self, given: Given) -> Answer:
        entries = await self._rules.entries(given.scope, given.order.number or AUDIT_LINES)
        if any(name == "csv" for name, _ in given.order.options):
            return Answer(reports.audit_title(entries), (("limner-audit.csv", reports.audit_csv(entries)),))
        return Answer(reports.audit(entries, self.zone, given.quote))

    async def _examine(self, given: Given) -> Answer:
        return Answer(await asyncio.to_thread(self._doctor) if self._doctor else reports.NO_DOCTOR)

    async def _help(self, given: Given) -> Answer:
        actor = given.actor
        return Answer(reports.orders(actor.authority, is_on_machine=actor.place.workspace_id == ""))


_IDS = {"discord": re.compile(r"\d{15,21}"), "slack": re.compile(r"[UW][A-Z0-9]{6,20}")}
_ROLES = re.compile(r"\d{15,21}|S[A-Z0-9]{6,20}")
