"""A house with Slack as its platform, which is on loopback; a fake engine is in a real child process."""

import asyncio
import socket
import time

import yaml

from bot.adapter import Page
from bot.admin import Admin
from bot.delivery import Delivery
from bot.dispatch import Dispatch
from bot.feed import Feed
from bot.gate import Rules
from bot.progress import Progress
from bot.prompt import Style
from bot.settings import Settings
from bot.slack.connection import connect
from bot.slack.manifest import manifest
from bot.store import Limits, open_store
from bot.studio import Studio
from engine.catalogue import read_catalogue
from engine.client import LocalEngine

STYLES = {"noir": Style(after="film noir")}
PATH = "/slack/events"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def slack_settings(api, mode, port=None):
    """What the operator sets: two tokens, or with `mode="http"` one, a secret and a port."""
    found = {"slack_bot_token": api.bot_token, "slack_api_url": api.url, "slack_file_hosts": (api.files_host,)}
    if mode == "socket":
        return found | {"slack_app_token": api.app_token}
    return found | {"slack_signing_secret": api.signing_secret, "slack_port": port}


def install(api):
    """The app as its own manifest describes it, so that nothing can be done that people are not offered."""
    api.install(yaml.safe_load(manifest(Settings())))


class SlackHouse:
    """Can be closed and opened again on the same data, as a restart does."""

    def __init__(self, api, data, *, mode="socket", allowance=100, engine=None, **settings):
        self.api, self.data, self.mode, self._allowance, self._engine = api, data, mode, allowance, engine
        self.port = free_port() if mode == "http" else None
        self.ahead_ms = 0  # of the real time
        self.settings = Settings(data=data, **(slack_settings(api, mode, self.port) | settings))

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
        operators = frozenset(self.settings.operators)
        self.admin = Admin(
            self.store, self.studio, limits, models=read_catalogue(), now_ms=self.now_ms, operators=operators
        )
        self.connection, adapters["slack"] = connect(
            self.settings, self.studio, self.store, self.admin, models=read_catalogue(), spool=spool, now_ms=self.now_ms
        )
        self.adapter = adapters["slack"]
        self.progress = Progress(self.store, self.feed, adapters, clock=time.monotonic)
        parts = (self.dispatch, self.delivery, self.progress, self.connection)
        self.running = [asyncio.create_task(part.run()) for part in parts]
        if until_connected:
            try:
                await connected(self.api, self.mode, self.port)
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
        assert_pings_nobody_unasked(self.api)

    async def job(self, job_id):
        return await self.store.job(job_id)

    async def end_of(self, job_id):
        """The job, once it is over and everybody can see that."""
        async with asyncio.timeout(20):
            with self.feed.watch() as changes:
                while not (job := await self.store.job(job_id)).status.is_over:
                    await anext(changes)
            return job


async def connected(api, mode="socket", port=None, timeout=10.0):
    """The bot listens: on two sockets, or at its port."""
    if mode == "socket":
        await api.until(lambda: len(api.sockets) == 2, timeout)
        return
    await api.until(lambda: listens(port), timeout)
    await api.until(lambda: api.asked("auth.test"), timeout)
    api.deliver_to(f"http://127.0.0.1:{port}{PATH}")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def assert_pings_nobody_unasked(api):
    """No message of the bot ever mentioned anybody, but the one person who waited long; none made a link of a text."""
    for channel in api.channels.values():
        for message in channel.by_ts.values():
            if message.author is api.bot:
                assert len(message.pings) <= (" is ready" in message.text), (message.fallback, message.blocks)
                assert not message.links, (message.fallback, message.blocks)


def job_id(message):
    """What the message says of its job, in its buttons."""
    return message.buttons[0]["value"].split(":")[2]
