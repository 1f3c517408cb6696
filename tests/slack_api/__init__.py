"""A Slack on loopback: its Web API, its files, Socket Mode and signed HTTP, its rules, its people, and its faults.

slack_sdk and slack_bolt run against it unpatched, with `AsyncWebClient(base_url=api.url)`:

    async with SlackAPI() as api:
        ...  # start the bot with api.bot_token, api.app_token and api.url
        await api.until(lambda: api.is_connected)
        asked = await api.slash(api.ada, api.channel, "/imagine", "a red car")
        await api.until(lambda: api.channel.thread(api.channel.last))
        api.assert_valid()
"""

from typing import Self

from aiohttp import web

from tests.slack_api.chat import Request
from tests.slack_api.delivery import Act
from tests.slack_api.people import NotOffered, People, Upload
from tests.slack_api.things import IM, PRIVATE, PUBLIC, Channel, File, Message, Shown, User, View

__all__ = [
    "IM",
    "PRIVATE",
    "PUBLIC",
    "Act",
    "Channel",
    "File",
    "Message",
    "NotOffered",
    "Request",
    "Shown",
    "SlackAPI",
    "Upload",
    "User",
    "View",
]


class SlackAPI(People):
    """`requests`, `violations`, `acts`, `socket_log` and each message's `history` say what happened."""

    def __init__(self, *, port: int = 0) -> None:
        super().__init__()
        self.port = port
        self.furnish()

    @property
    def url(self) -> str:
        """The base of the Web API."""
        return self.url_root + "/api/"

    @property
    def files_host(self) -> str:
        """Where private files are."""
        return self.url_root

    async def start(self) -> Self:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/api/{method}", self.api)
        app.router.add_get("/link/", self.socket)
        app.router.add_post("/upload/v1/{file}", self.upload_bytes)
        app.router.add_post("/commands/{path:.+}", self.answer)
        app.router.add_post("/actions/{path:.+}", self.answer)
        app.router.add_get("/files-pri/{path:.+}", self.download)
        app.router.add_get("/", self.sign_in)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=2048).start()
        self.port = self._runner.addresses[0][1]
        self.url_root = f"http://127.0.0.1:{self.port}"
        other = web.Application()
        other.router.add_route("*", "/{path:.*}", self.leak)
        self._elsewhere = web.AppRunner(other, shutdown_timeout=0.2)
        await self._elsewhere.setup()
        await web.TCPSite(self._elsewhere, "127.0.0.1", 0).start()
        self.elsewhere_url = f"http://127.0.0.1:{self._elsewhere.addresses[0][1]}"
        return self

    async def close(self) -> None:
        self.heal()
        self.release_files()
        await self._end_delivery()
        await self._runner.cleanup()
        await self._elsewhere.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *error: object) -> None:
        await self.close()
