"""Limner, running: the only place where its parts are put together."""

import asyncio
import gc
import logging
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bot import wording
from bot.adapter import Adapter, Connection, Page
from bot.admin import Actor, Admin, Answer
from bot.commands import Imagine
from bot.delivery import Delivery
from bot.dispatch import Dispatch
from bot.errors import CannotStart, Refused
from bot.feed import Feed
from bot.gate import Rules
from bot.jobs import Job, Status
from bot.orders import Authority
from bot.phrases import relative
from bot.privacy import Retention
from bot.progress import Progress
from bot.settings import Settings
from bot.store import PAGE_NOTE, Store, backup, inspection, open_store
from bot.studio import Studio
from bot.upkeep import Upkeep
from bot.web import server
from engine import VERSION, weights
from engine.catalogue import Catalogue, Model, models_here, read_catalogue
from engine.client import LocalEngine
from engine.protocol import MAX_SEED

log = logging.getLogger(__name__)
T = TypeVar("T")

FINISH_SECONDS = 25.0  # for what is being drawn when Limner is stopped
BACKUP_SECONDS, SOON_SECONDS, LEDGER_SECONDS = 3600.0, 60.0, 3600.0
_READER = ThreadPoolExecutor(1)  # one thread for all: each keeps some of the memory that reading a whole database takes
FIRST_PROMPT = "A person standing on road wearing jacket with Mountain in background and its raining"


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then let the running images end. A second signal ends it at once.

    Raises CannotStart, in one sentence, where the settings, the data directory, the model or the port forbid it.
    """
    stop = _stop_on_signals()
    _require_model(read_catalogue().get(settings.model), settings)
    async with AsyncExitStack() as ends:
        store = await open_store(settings.data)
        ends.push_async_callback(store.close)
        limner = Parts(settings, store)
        connections = _connections(limner)
        app = limner.site().app(settings.web_host)
        page, port = await server.serve(app, host=settings.web_host, port=settings.web_port)
        ends.push_async_callback(page.cleanup)
        ends.push_async_callback(limner.engine.close)
        url = f"http://{f'[{settings.web_host}]' if ':' in settings.web_host else settings.web_host}:{port}"
        await store.chat.set_note(PAGE_NOTE, url)
        _say_where(url, limner.models, settings)
        refused: list[CannotStart] = []
        database = settings.data / "limner.db"
        gc.freeze()  # looking through what stays for good took a fifth of the time in which two hundred were answered
        async with asyncio.TaskGroup() as loops:
            running = [
                loops.create_task(each)
                for each in (
                    limner.dispatch.run(),
                    limner.delivery.run(),
                    Progress(store, limner.feed, limner.adapters, clock=time.monotonic).run(),
                    limner.studio.privacy.run(),
                    Upkeep(store, limner.adapters, report_channel=settings.report_channel, now_ms=_now_ms).run(),
                    _look_after(database, settings.backups, refused, stop),
                    _check_ledger_hourly(database),
                    *(_connected(connection, refused, stop) for connection in connections),
                    _draw_first_picture(limner.studio, limner.feed),
                )
            ]
            await stop.wait()
            await page.cleanup()
            await _finish(limner.dispatch, limner.delivery)
            for loop in running:
                loop.cancel()
        if refused:
            raise refused[0]


class Parts:
    """What is behind every platform; nothing runs yet."""

    def __init__(self, settings: Settings, store: Store):
        self.settings, self.store = settings, store
        self.models, self.spool = models_here(read_catalogue(), settings.models_path), settings.data.resolve() / "spool"
        self.feed, self.engine = Feed(), LocalEngine(settings.engine, models_dir=settings.models_path)
        self.adapters: dict[str, Adapter] = {"web": Page()}
        self.delivery = Delivery(store, self.feed, self.adapters, now_ms=_now_ms)
        self.dispatch = Dispatch(
            store, self.engine, self.feed, spool=self.spool, now_ms=_now_ms, wake_delivery=self.delivery.wake,
            warm_model=settings.model,
        )  # fmt: skip
        rules = Rules(
            models=self.models,
            default_model=settings.model,
            limits=settings.limits,
            spool=self.spool,
            styles=settings.styles,
            operators_only=_unchecked(self.models, settings.models_path),
            draws_unchecked=bool(settings.unchecked_photographs),
            retention=Retention(
                settings.keep_prompts_days, settings.keep_files_days, settings.keep_jobs_days,
                settings.keep_backups_days,
            ),
            strikes=settings.strikes,
            suspend_days=settings.suspend_days,
        )  # fmt: skip
        self.studio = Studio(rules, store, self.dispatch, self.feed, now_ms=_now_ms, new_seed=_new_seed)
        self.admin = Admin(
            store, self.studio, settings.limits, models=self.models, now_ms=_now_ms,
            operators=frozenset(settings.operators), doctor=lambda: _doctor(settings),
        )  # fmt: skip

    def site(self) -> server.Site:
        return server.Site(
            self.studio, self.feed, self.admin, models=self.models, default_model=self.settings.model,
            engine_ready=lambda: self.engine.ready, now_ms=_now_ms,
        )  # fmt: skip


async def give_order(settings: Settings, text: str) -> Answer:
    """An order of the operator's while Limner does not run. Raises InUse where it does, and Refused."""
    store = await open_store(settings.data)
    try:
        parts = Parts(settings, store)
        actor = Actor(await parts.studio.person(server.OPERATOR), Authority.OPERATOR, server.HERE)
        key = f"command:{secrets.token_hex(12)}"
        return await parts.admin.administer(actor, text, key=key, when=relative(_now_ms()))
    finally:
        await store.close()


def _doctor(settings: Settings) -> str:
    from bot.doctor import examine

    checks = (f"{check.state:<4} {check.name}: {check.found}. {check.fix}".rstrip(" .") for check in examine(settings))
    return "\n".join(checks)


def _connections(parts: Parts) -> list[Connection]:
    """Those of the platforms whose tokens are set; each adds its adapter. What is not used is not loaded."""
    connections: list[Connection] = []
    settings = parts.settings
    common: dict[str, Any] = {"models": parts.models, "spool": parts.spool, "now_ms": _now_ms}
    if settings.discord_token:
        from bot.discord.connection import connect

        connection, parts.adapters["discord"] = connect(settings, parts.studio, parts.store, parts.admin, **common)
        connections.append(connection)
    if settings.slack_bot_token:
        from bot.slack import connection as slack

        connected, parts.adapters["slack"] = slack.connect(settings, parts.studio, parts.store, parts.admin, **common)
        connections.append(connected)
    return connections


async def _connected(connection: Connection, refused: list[CannotStart], stop: asyncio.Event) -> None:
    """A platform that refuses the bot for good stops it, in one sentence."""
    try:
        await connection.run()
    except CannotStart as error:
        refused.append(error)
        stop.set()


async def _read_whole(read: Callable[..., T], *args: object, **options: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(_READER, partial(read, *args, **options))


async def _look_after(file: Path, keep: int, refused: list[CannotStart], stop: asyncio.Event) -> None:
    """Read the whole database through once, beside those who use it; then back it up each hour.

    An hour after the last, whichever process made it. One that fails is tried again, and those before it stay.
    """
    try:
        for problem in (await _read_whole(inspection.require_whole, file)).ledger_problems:
            log.error("the ledger does not add up: %s", problem)
    except CannotStart as error:
        refused.append(error)
        stop.set()
    folder = file.parent / "backups"
    while keep:
        newest = next(iter(backup.backups(folder)), None)
        age = time.time() - newest.stat().st_mtime if newest else BACKUP_SECONDS
        await asyncio.sleep(max(SOON_SECONDS, BACKUP_SECONDS - max(0.0, age)))  # a clock that was put back: an hour
        try:
            await _read_whole(backup.back_up, file, folder, keep=keep)
        except CannotStart as error:
            log.error("no backup was made: %s", error)


async def _check_ledger_hourly(file: Path) -> None:
    """The ledger against the jobs, beside those who use them; the start has looked already."""
    while True:
        await asyncio.sleep(LEDGER_SECONDS)
        try:
            for problem in await _read_whole(inspection.ledger_problems, file):
                log.error("the ledger does not add up: %s", problem)
        except CannotStart as error:
            log.error("the ledger could not be checked: %s", error)


def _stop_on_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)  # nothing is lost: what was accepted stands in the store
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop


def _require_model(model: Model | None, settings: Settings) -> None:
    if model is None:
        raise CannotStart(f"LIMNER_MODEL is {settings.model}, which no one knows: `limner models` lists what there is.")
    problems = weights.problems(model, settings.models_path) if settings.engine == "torch" else []
    if problems:
        fix = "git checkout -- engine/builtin" if model.packaged else f"limner models add {model.name}"
        raise CannotStart(f"The model {model.name} cannot be loaded: {problems[0]}. Bring it back: {fix}.")


async def _finish(dispatch: Dispatch, delivery: Delivery) -> None:
    """Let what is being drawn end, and show it; what does not end is drawn after the next start."""
    log.info("stopping; what is being drawn has %.0f s to end", FINISH_SECONDS)
    try:
        async with asyncio.timeout(FINISH_SECONDS):
            await dispatch.drain()
            await delivery.flush()
    except TimeoutError:
        log.info("the rest is kept and drawn after the next start")


async def _draw_first_picture(studio: Studio, feed: Feed) -> None:
    """On the very first start, so that nobody meets an empty page."""
    person = await studio.person(server.OPERATOR)
    if await studio.history(person, 1):
        return
    _say(f'Drawing a first picture: "{FIRST_PROMPT}"')
    try:
        with feed.watch() as changes:
            (job,) = await studio.draw(person, server.HERE, Imagine(FIRST_PROMPT), key="the first picture")
            while not job.status.is_over:
                await anext(changes)
                job = await studio.job(person, job.id)
    except Refused as error:
        sentence = wording.refusal(error)
        _say(f"  {sentence.title}. {sentence.body}")
    else:
        _say(*_told(job))


def _told(job: Job) -> list[str]:
    """What became of the first picture."""
    if job.status != Status.DELIVERED:
        return [f"  It was not drawn: {wording.failure(job)}."]
    return [f"  {_short(i.path)} · {i.width}×{i.height} · seed {i.seed} · {job.seconds or 0:.1f} s" for i in job.images]


def _short(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _say_where(url: str, models: Catalogue, settings: Settings) -> None:
    has_gpu = shutil.which("nvidia-smi") is not None
    has_photographs = any(not model.packaged for model in models.values())
    steps = next_steps(
        url,
        wants_photographs=has_gpu and not has_photographs,
        is_on_discord=settings.discord_token is not None,
        slack_command=settings.slack_commands[0] if settings.slack_bot_token else "",
    )
    _say(f"Limner {VERSION} · {url}", "", *steps, "")


def _unchecked(models: Catalogue, models_dir: Path) -> frozenset[str]:
    """The photographic models that have no classifier here: they draw for the operator alone."""
    names = {name for name, model in models.items() if model.photographic and not model.is_checked(models_dir)}
    for name in sorted(names):
        log.warning("%s has no safety classifier and draws on the page only: limner models add %s", name, name)
    return frozenset(names)


def next_steps(url: str, *, wants_photographs: bool, is_on_discord: bool = False, slack_command: str = "") -> list[str]:
    """What a person can do now. A GPU is worth a hint while only the built-in model is there."""
    return [
        f"  Draw      open {url} and type a sentence",
        *(["  Photos    this GPU can draw them: .venv/bin/limner models add sd15"] if wants_photographs else []),
        f"  Discord   {'/imagine, on every server that the bot is on' if is_on_discord else 'docs/discord.md'}",
        f"  Slack     {f'{slack_command}, in every channel that the app is in' if slack_command else 'docs/slack.md'}",
        "  Stop      Ctrl-C",
    ]


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def _new_seed() -> int:
    return secrets.randbelow(MAX_SEED + 1)


def _now_ms() -> int:
    return time.time_ns() // 10**6
