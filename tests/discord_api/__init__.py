"""A Discord on loopback: its gateway and its REST API on one port, its rules, its people, and its faults.

discord.py runs against it unpatched, with `discord.http.Route.BASE = api.url` and
`DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(api.gateway_url)`:

    async with DiscordAPI() as api:
        ...  # start the bot with api.token
        await api.until(lambda: api.is_connected and api.commands)
        asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car"})
        await api.until(lambda: asked.message.attachments)
        api.assert_valid()
"""

from typing import Self

from aiohttp import web

from tests.discord_api.interactions import Interaction
from tests.discord_api.people import NotOffered, People, Upload
from tests.discord_api.posts import Request
from tests.discord_api.rest import PREFIX
from tests.discord_api.things import FORUM, NEWS, Attachment, Channel, Guild, Message, Permission, Shown, User

__all__ = [
    "FORUM",
    "NEWS",
    "Attachment",
    "Channel",
    "DiscordAPI",
    "Guild",
    "Interaction",
    "Message",
    "NotOffered",
    "Permission",
    "Request",
    "Shown",
    "Upload",
    "User",
]


class DiscordAPI(People):
    """`requests`, `violations`, `gateway_log` and each message's `history` say what happened."""

    def __init__(self, *, port: int = 0, shards: int = 1) -> None:
        super().__init__()
        self.port, self.shards = port, shards
        self.furnish()

    @property
    def url(self) -> str:
        return self.url_root + PREFIX

    async def start(self) -> Self:
        app = web.Application(client_max_size=0)
        app.router.add_get("/gateway/", self.gateway)
        app.router.add_get("/attachments/{path:.+}", self.download)
        app.router.add_get("/ephemeral-attachments/{path:.+}", self.download)
        app.router.add_route("*", PREFIX + "/{path:.+}", self.api)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=2048)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url_root = f"http://127.0.0.1:{self.port}"
        return self

    async def close(self) -> None:
        self.heal()
        await self._end_gateway()
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *error: object) -> None:
        await self.close()
