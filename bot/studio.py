"""The service under every adapter: a person asks, jobs are accepted or the person is refused.

Every method may raise a subclass of Refused; then nothing was written and nothing is charged.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bot import buttons, defaults, given, prompt, quota
from bot.commands import Imagine
from bot.controls import Press
from bot.dispatch import Dispatch
from bot.errors import (
    BadOption,
    Blocked,
    Forgotten,
    Gone,
    NotAllowed,
    NotForOwner,
    NothingToRetry,
    QueueFull,
    QuotaExceeded,
    Refused,
    Unavailable,
    Unconfirmed,
    Unknown,
)
from bot.feed import Feed, Live
from bot.flags import FLAGS
from bot.gate import Gate, Here, Rules
from bot.jobs import Identity, Job, Lineage, Person, Place, Status
from bot.privacy import Privacy
from bot.prompt import Known, Parsed, Style
from bot.store import Account, Callback, Store, Wanted
from bot.views import Info, QueueView, SettingsView
from engine.protocol import Draw, Request
from engine.sizes import is_allowed

OPERATORS_PLATFORM = "web"  # whose people are the operator
LEAST_FREE_BYTES = 64 * 2**20
_LOOK_AGAIN_MS = 200  # at the disk, of which another program may take more than Limner does


class Studio:
    def __init__(
        self,
        rules: Rules,
        store: Store,
        dispatch: Dispatch,
        feed: Feed,
        *,
        now_ms: Callable[[], int],
        new_seed: Callable[[], int],
    ):
        self._rules, self._store, self._dispatch, self._feed = rules, store, dispatch, feed
        self._now_ms, self._known = now_ms, Known(rules.models, rules.default_model, new_seed, rules.styles)
        self._free_bytes, self._looked_ms = 0, 0
        self.gate = Gate(store, rules, now_ms)
        data = rules.spool.parent
        self.privacy = Privacy(store, self._end_all, data=data, retention=rules.retention, now_ms=now_ms)

    @property
    def styles(self) -> Mapping[str, Style]:
        """The operator's presets, by name."""
        return self._rules.styles

    async def person(self, identity: Identity, roles: Iterable[str] = ()) -> Person:
        """`roles` are the platform's ids of what they belong to where they ask: the best one's allowance counts."""
        is_operator = identity.platform == OPERATORS_PLATFORM
        person = await self._store.person(identity, is_operator=is_operator, now_ms=self._now_ms())
        return replace(person, roles=frozenset(roles))

    async def draw(
        self,
        person: Person,
        place: Place,
        asked: Imagine | Press,
        *,
        key: str,
        is_acknowledged: bool = True,
        is_confirmed: bool = True,
        allows_explicit: bool = True,
        callback: Callback | None = None,
    ) -> list[Job]:
        """Accept what was typed or pressed, all or nothing. `key` names this delivery: again, it is the same jobs.

        Anyone may press a button that `buttons.pressed` knows on a public image, and the presser pays.
        Where this call's return is not yet the platform's answer, `is_acknowledged` is False and
        the jobs wait for `acknowledged`; with `callback` the platform can be asked about it after a restart.
        Raises BadPrompt, BadOption, QuotaExceeded, QueueFull, Unavailable, Unknown, Gone, Forgotten, what `Here.admit`
        does, and Unconfirmed where the price of several jobs, or of much of an allowance, was not yet agreed to.
        """
        here, own = await asyncio.gather(
            self.gate.at(person, place, is_age_restricted=allows_explicit), self._store.defaults(person)
        )
        priced = self._typed(asked, own, here) if isinstance(asked, Imagine) else await self._pressed(asked, here)
        wanted, limits = await here.admit(priced), self._rules.limits
        if not is_confirmed:
            await self._require_agreement(person, place, wanted)
        if person.is_operator:
            limits = replace(limits, allowance=None, own_waiting=None)
        self._require_space()
        try:
            jobs = await self._store.submit(
                person, place, wanted, key=key, limits=limits, now_ms=self._now_ms(),
                status=Status.QUEUED if is_acknowledged else Status.RECEIVED, callback=callback,
            )  # fmt: skip
        except (QuotaExceeded, QueueFull) as refusal:
            raise await self._with_a_way_out(refusal, person, wanted[0]) from None
        return self._begin(jobs)

    def _typed(self, asked: Imagine, own: Mapping[str, str], here: Here) -> list[Wanted]:
        parsed = self.parsed(asked, defaults={**own, **_shape(asked.options.get("image"))}, here=here)
        return [Wanted(draw, self._price(draw), None, parsed.is_private) for draw in parsed.draws]

    async def _pressed(self, press: Press, here: Here) -> list[Wanted]:
        """One's own defaults have no say."""
        job = await self.job(here.person, press.job_id, here.place)
        if job.forgotten:
            raise Forgotten
        requests, is_private = buttons.pressed(press.verb, job, press.index, press.text, self._known)
        for request in requests:
            _require_source(request)
        lineage = Lineage(job.id, press.index, press.verb)
        return [Wanted(each, self._price(each), lineage, is_private) for each in requests]

    def parsed(self, asked: Imagine, *, defaults: Mapping[str, str] = {}, here: Here | None = None) -> Parsed:
        """What would be drawn, of all models or those of a place. Raises BadPrompt, BadOption and BadDefault."""
        where, read = here or self._rules, prompt.compare if asked.by_every_model else prompt.parse
        known = replace(self._known, models=where.models, default_model=where.default_model)
        return read(asked.text, replace(known, options=asked.options, defaults=defaults))

    async def defaults(self, person: Person) -> Mapping[str, str]:
        """One's own, by flag."""
        return await self._store.defaults(person)

    async def settings(self, person: Person, text: str = "", options: Mapping[str, object] = {}) -> SettingsView:
        """One's own defaults, after what flags or options change of them; "reset" forgets the others.

        Raises BadOption; then nothing has changed.
        """
        is_reset, values = defaults.read(text, options)
        for flag, value in values.items():
            self.parsed(Imagine("a", {FLAGS[flag]: value}))
        kept = await self._store.set_defaults(person, values, is_reset=is_reset)
        return SettingsView(kept, frozenset(flag for flag in kept if not self._is_possible(flag, kept[flag])))

    def _is_possible(self, flag: str, value: str) -> bool:
        try:
            self.parsed(Imagine("a", {FLAGS[flag]: value}))
        except BadOption:
            return False
        return True

    async def acknowledged(self, jobs: Sequence[Job], *, message_id: str | None = None) -> list[Job]:
        """The platform took the answer, in this message: the jobs may be drawn."""
        names = [job.id for job in jobs]
        queued = await self._store.acknowledged(names, message_id=message_id, now_ms=self._now_ms())
        return self._begin(queued)

    async def withdrawn(self, jobs: Sequence[Job]) -> None:
        """The platform did not take the answer, so nobody knows of these jobs: they end and are released."""
        for job in jobs:
            if await self._store.cancelled(job.id, self._now_ms()):
                await self._dispatch.cancel(job.id)

    async def shown(self, job: Job) -> None:
        """Its person asked for a finished job and has it: what waited for that is charged."""
        await self._store.outbox.shown(job.id, self._now_ms())
        self._feed.over(job.id)

    async def cancel(
        self, person: Person, job_id: str, place: Place | None = None, *, is_moderator: bool = False
    ) -> Job:
        """End a job that is not drawn yet; one that is, or is over, comes back as it is.

        Raises NotAllowed for anyone but its owner, the operator, and a moderator of the place's workspace.
        """
        job = await self._own(person, job_id, place, "cancel", is_moderator)
        if await self._store.cancelled(job.id, self._now_ms()):
            await self._dispatch.cancel(job.id)
        return await self.job(person, job_id, place)

    async def delete(
        self,
        person: Person,
        job_id: str,
        index: int | None = None,
        place: Place | None = None,
        *,
        is_moderator: bool = False,
    ) -> Job:
        """Remove the files of one image, or all; without an index a job that still waits is cancelled too.

        Raises NotAllowed as `cancel` does.
        """
        job = await self._own(person, job_id, place, "delete", is_moderator)
        if index is None:
            await self.cancel(person, job_id, place, is_moderator=is_moderator)
        else:
            buttons.image_draw(job, index)
        await self._store.delete_images(job.id, index)
        await asyncio.to_thread(_remove_files, self._rules.spool / job.id, index)
        self._feed.changed(job.id)
        return await self.job(person, job_id, place)

    async def job(self, person: Person, job_id: str, place: Place | None = None) -> Job:
        """One's own job, or a public one of the same place. Raises Unknown for any other, there or not."""
        job = await self._store.job(job_id)
        if job is None or job.forgotten > 1 or not _may_see(person, place, job):
            raise Unknown(job_id)
        return job

    def live(self, job: Job) -> Live | None:
        """How far an unfinished job is."""
        return self._feed.live(job.id)

    async def history(self, person: Person, limit: int = 50) -> list[Job]:
        """One's own last jobs, newest first."""
        return await self._store.history(person, limit)

    async def thread(self, person: Person, job_id: str) -> list[Job]:
        """The first of a line of re-rolls, remixes and variations and all that came of it, oldest first."""
        await self.job(person, job_id)
        return [job for job in await self._store.thread(job_id) if _may_see(person, None, job)]

    async def info(self, person: Person, job_id: str, index: int, place: Place | None = None) -> Info:
        job = await self.job(person, job_id, place)
        draw = buttons.image_draw(job, index)
        return Info(
            job=job,
            image=next((image for image in job.images if image.index == index), None),
            draw=draw,
            model=self._rules.models.get(draw.model),
            command=prompt.to_text(draw, self._rules.models),
            engine_now=self._dispatch.engine_name,
        )

    async def report(self, person: Person, job_id: str, index: int, place: Place | None = None) -> bool:
        """Tell the operator of an image; False where this person has done so before."""
        job = await self.job(person, job_id, place)
        buttons.image_draw(job, index)
        return await self._store.moderation.report(person, job, index, self._now_ms())

    async def _end_all(self, person: Person) -> None:
        for job, _ in (await self.queue(person)).own:
            await self.cancel(person, job.id)

    async def quota(self, person: Person, place: Place | None = None) -> Account:
        return await self._store.account(person, self._now_ms(), place or Place(""), self._rules.limits)

    async def retry(self, job: Job, roles: Iterable[str], *, key: str) -> Job:
        """Draw a job again that brought nothing, for its owner with these roles, where it was asked.

        Raises NothingToRetry, and NotForOwner where its owner would be refused.
        """
        if not job.status.is_over or job.status == Status.DELIVERED:
            raise NothingToRetry(job.id)
        is_operator = job.place.platform == OPERATORS_PLATFORM
        owner = Person(job.person_id, is_operator=is_operator, roles=frozenset(roles))
        place = replace(job.place, message_id=None)
        keeps = job.if_flagged == "keep"
        try:
            [again] = await self.draw(owner, place, Press("again", job.id), key=key, allows_explicit=keeps)
        except (QuotaExceeded, QueueFull, Blocked) as refusal:
            raise NotForOwner(refusal) from None
        return again

    async def look_at_pauses(self) -> None:
        """Somebody paused or resumed the drawing."""
        await self._dispatch.look_at_pauses()

    async def queue(self, person: Person) -> QueueView:
        unfinished = await self._store.unfinished()
        own = tuple((job, self._feed.live(job.id)) for job in unfinished if job.person_id == person.id)
        return QueueView(own, len(unfinished) - len(own), self._dispatch.backlog_seconds())

    async def _require_agreement(self, person: Person, place: Place, wanted: Sequence[Wanted]) -> None:
        """Several jobs, or over a quarter of the allowance, is Unconfirmed; what does not fit is refused anyway."""
        price = sum(each.units for each in wanted)
        if len(wanted) > 1:
            raise Unconfirmed(jobs=len(wanted), units=price)
        view = None if person.is_operator else await self.quota(person, place)
        if view and price * 4 > view.allowance and price <= view.allowance - view.used:
            raise Unconfirmed(jobs=1, units=price, allowance=view.allowance)

    def _require_space(self) -> None:
        """What was accepted needs room to be finished, so new work is refused a while before the disk is full."""
        if abs(self._now_ms() - self._looked_ms) > _LOOK_AGAIN_MS:
            try:
                self._free_bytes, self._looked_ms = shutil.disk_usage(self._rules.spool).free, self._now_ms()
            except OSError as error:
                raise Unavailable(f"the disk cannot be read ({error.strerror})") from error
        if self._free_bytes < LEAST_FREE_BYTES:
            raise Unavailable("the disk is full")

    def _begin(self, jobs: list[Job]) -> list[Job]:
        self._dispatch.add(jobs)
        for job in jobs:
            self._feed.changed(job.id)
        return jobs

    async def _with_a_way_out(self, refusal: QuotaExceeded | QueueFull, person: Person, wanted: Wanted) -> Refused:
        """The same refusal with the smaller request that fits now, or with the time until there is room."""
        request, models = wanted.request, self._rules.models
        if isinstance(refusal, QueueFull):
            view = await self.queue(person)
            starts = [live.starts_at_ms for _, live in view.own if live and live.starts_at_ms]
            refusal.wait_seconds, refusal.starts_at_ms = view.wait_seconds, min(starts, default=None)
        elif isinstance(request, Draw) and request.init_image is None:  # no command can name an image
            found = quota.smaller(request, models, refusal.left)
            refusal.smaller = found and (prompt.to_text(found[0], models), found[1])
        return refusal

    def _price(self, request: Request) -> int:
        """Raises Unknown if the catalogue no longer has the request's model."""
        model = self._rules.models.get(request.draw.model)
        if model is None:
            raise Unknown(request.draw.model)
        return quota.price(request, model)

    async def _own(self, person: Person, job_id: str, place: Place | None, action: str, is_moderator: bool) -> Job:
        job = await self.job(person, job_id, place)
        moderates = is_moderator and _is_same_workspace(place, job)
        if job.person_id != person.id and not person.is_operator and not moderates:
            raise NotAllowed(action)
        return job


def _may_see(person: Person, place: Place | None, job: Job) -> bool:
    if person.is_operator or job.person_id == person.id:
        return True
    return _is_same_workspace(place, job) and not job.is_private


def _is_same_workspace(place: Place | None, job: Job) -> bool:
    return place is not None and place.workspace == job.place.workspace


def _require_source(request: Request) -> None:
    if isinstance(request, Draw):
        draw, needed = request, [request.init_image]
    else:
        draw, needed = request.of, [request.source, request.of.mask and request.of.init_image]
    if not all(Path(path).is_file() for path in (*needed, draw.mask) if path):
        raise Gone


def _shape(image: object) -> dict[str, str]:
    """A picture that is drawn over brings its own shape, if that can be drawn. Raises Gone."""
    if image is None:
        return {}
    try:
        width, height = given.size(Path(str(image)))
    except OSError:
        raise Gone from None
    return {"ar": f"{width}:{height}"} if is_allowed(width / height) else {}


def _remove_files(folder: Path, index: int | None) -> None:
    if index is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for file in folder.glob(f"{index}.*"):
        file.unlink(missing_ok=True)
