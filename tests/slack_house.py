"""A house with Slack as its platform, which is on loopback; a fake engine is in a real child process."""

import asyncio
import socket

import yaml

from bot.settings import Settings
from bot.slack.connection import connect
from bot.slack.manifest import manifest
from tests.house import ChatHouse
from tests.running import Limner

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


class SlackHouse(ChatHouse):
    platform, connect = "slack", staticmethod(connect)

    def __init__(self, api, data, *, mode="socket", allowance=100, engine=None, **settings):
        self.mode, self.port = mode, free_port() if mode == "http" else None
        found = Settings(data=data, **(slack_settings(api, mode, self.port) | settings))
        super().__init__(api, found, allowance=allowance, engine=engine)

    async def until_connected(self):
        await connected(self.api, self.mode, self.port)

    def check(self):
        assert_pings_nobody_unasked(self.api)


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


class SlackLimner(Limner):
    """The real process, in one of the two modes of Slack."""

    def __init__(self, api, data, engine="tests.fake_engine", *, mode="socket", **settings):
        self.api, self.mode, self.slack_port = api, mode, free_port()
        of_mode = {"LIMNER_SLACK_APP_TOKEN": api.app_token}
        if mode == "http":
            of_mode = {"LIMNER_SLACK_SIGNING_SECRET": api.signing_secret, "LIMNER_SLACK_PORT": str(self.slack_port)}
        super().__init__(
            data,
            engine,
            LIMNER_SLACK_BOT_TOKEN=api.bot_token,
            LIMNER_SLACK_API_URL=api.url,
            LIMNER_SLACK_FILE_HOSTS=api.files_host,
            **of_mode,
            **settings,
        )

    async def connect(self):
        await self.start()
        await connected(self.api, self.mode, self.slack_port, timeout=30)

    async def fails(self):
        """The exit code of a start that ends by itself, maybe before the page answers."""
        starting = asyncio.create_task(self.start())
        try:
            await self.api.until(lambda: self.log.count("LIMNER_") or self.log.count("scope"), 30)
            async with asyncio.timeout(30):
                return await self.wait()
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)

    @property
    def log(self):
        file = self.data.parent / "limner.log"
        return file.read_text() if file.exists() else ""


def of_jobs(api, channel=None):
    """The messages of jobs in a channel, thread replies included, oldest first."""
    return [m for m in (channel or api.channel).messages if m.author is api.bot and m.metadata]


def is_done(message):
    return bool(message.pictures) and "More…" in message.labels


def job_id(message):
    """What the message says of its job, in its buttons."""
    return message.buttons[0]["value"].split(":")[2]
