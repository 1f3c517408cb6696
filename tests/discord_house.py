"""A house with Discord as its platform, which is on loopback; a fake engine is in a real child process."""

import asyncio
import time

from bot.adapter import Page
from bot.admin import Admin
from bot.delivery import Delivery
from bot.discord.connection import connect
from bot.dispatch import Dispatch
from bot.feed import Feed
from bot.gate import Rules
from bot.progress import Progress
from bot.prompt import Style
from bot.settings import Settings
from bot.store import Limits, open_store
from bot.studio import Studio
from engine.catalogue import read_catalogue
from engine.client import LocalEngine

ANSWER, UPDATE = 4, 7  # the kinds of first answers that have a text
MESSAGES = (
    "/channels/{channel_id}/messages",
    "/channels/{channel_id}/messages/{message_id}",
    "/webhooks/{webhook_id}/{webhook_token}",
    "/webhooks/{webhook_id}/{webhook_token}/messages/@original",
    "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}",
)
STYLES = {"noir": Style(after="film noir")}


class DiscordHouse:
    """Can be closed and opened again on the same data, as a restart does."""

    def __init__(self, api, data, *, allowance=100, engine=None, token=None, **settings):
        self.api, self.data, self._allowance, self._engine = api, data, allowance, engine
        self.ahead_ms = 0  # of the real time
        self.settings = Settings(
            data=data,
            discord_token=token or api.token,
            discord_api_url=api.url,
            discord_attachment_hosts=(api.url_root,),
            **settings,
        )

    def now_ms(self):
        return time.time_ns() // 10**6 + self.ahead_ms

    async def open(self, *, until_connected=True):
        self.store = await open_store(self.data)
        self.feed, self.engine = Feed(), self._engine or LocalEngine("fake")
        spool, adapters = self.data / "spool", {"web": Page()}
        self.delivery = Delivery(self.store, self.feed, adapters, now_ms=self.now_ms, pause_ms=lambda attempts: 50)
        self.dispatch = Dispatch(
            self.store, self.engine, self.feed, spool=spool, now_ms=self.now_ms, wake_delivery=self.delivery.wake
        )
        limits = Limits(allowance=self._allowance, own_waiting=10, waiting=50)
        rules = Rules(read_catalogue(), "builtin", limits, spool, styles=STYLES)
        seeds = iter(range(100, 10_000))
        self.studio = Studio(
            rules, self.store, self.dispatch, self.feed, now_ms=self.now_ms, new_seed=lambda: next(seeds)
        )
        self.admin = Admin(self.store, self.studio, limits, models=read_catalogue(), now_ms=self.now_ms)
        self.connection, adapters["discord"] = connect(
            self.settings, self.studio, self.store, self.admin, models=read_catalogue(), spool=spool, now_ms=self.now_ms
        )
        self.adapter = adapters["discord"]
        self.progress = Progress(self.store, self.feed, adapters, clock=time.monotonic)
        parts = (self.dispatch, self.delivery, self.progress, self.connection)
        self.running = [asyncio.create_task(part.run()) for part in parts]
        if until_connected:
            try:
                await self.api.until(lambda: self.api.is_connected and self.api.commands)
            except AssertionError:
                await self.close()
                raise
        return self

    async def __aenter__(self):
        return await self.open()

    async def __aexit__(self, *error):
        await self.close()

    async def close(self):
        for each in self.running:
            each.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.engine.close()
        await self.store.close()
        assert_pings_are_forbidden(self.api)
        assert_creates_are_named(self.api)

    async def job(self, job_id):
        return await self.store.job(job_id)

    async def end_of(self, job_id):
        """The job, once it is over and everybody can see that."""
        async with asyncio.timeout(20):
            with self.feed.watch() as changes:
                while not (job := await self.store.job(job_id)).status.is_over:
                    await anext(changes)
            return job


def assert_pings_are_forbidden(api):
    """Every request that made or changed a message forbade all pings, but that of the one person who waited long."""
    for request in api.requests:
        form = written_by(request)
        if form is None:
            continue
        allowed = form.get("allowed_mentions")
        where = f"{request.method} {request.path}: {form}"
        assert allowed is not None, where
        assert not any(allowed.get(key) for key in ("parse", "roles", "replied_user")), where
        if users := allowed.get("users"):
            assert form["content"].startswith(f"<@{users[0]}> `"), where
            assert form["content"].endswith("` is ready"), where
            assert len(users) == 1, where


def assert_creates_are_named(api):
    """Each has a nonce that a repetition would have too, also after a crash; discord.py's own are random numbers."""
    made = [each for each in api.requests if (each.method, each.template) == ("POST", MESSAGES[0]) and each.form]
    assert not [each.form for each in made if each.form["nonce"].isdigit()]


def written_by(request):
    """What a request says of a message; None where it neither makes nor changes one, or was spoilt unread."""
    form = request.form
    if form is None:
        return None
    if request.template.endswith("/callback"):
        return form.get("data") or {} if form.get("type") in (ANSWER, UPDATE) else None
    writes = request.method in ("POST", "PATCH") and request.template in MESSAGES
    return form if writes else None


def job_id(message):
    """What the message says of its job, in its buttons."""
    return message.buttons[0]["custom_id"].split(":")[2]
