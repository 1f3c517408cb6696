"""The local page on a real port of this machine, over a house on disk that can be closed and opened again."""

import json
from contextlib import asynccontextmanager

import aiohttp

from bot.store import open_store
from bot.web.server import Site, serve
from engine.catalogue import read_catalogue
from tests.house import Clock, House

JSON = {"Content-Type": "application/json"}


class OpenSite:
    def __init__(self, data, port=0):
        self.data, self.port, self.clock = data, port, Clock()

    async def open(self):
        self.store = await open_store(self.data)
        self.house = House(self.store, self.clock, self.data)
        self.house.open()
        site = Site(
            self.house.studio,
            self.house.feed,
            self.house.admin,
            models=read_catalogue(),
            default_model="builtin",
            engine_ready=lambda: self.house.engine.ready,
            now_ms=self.clock,
        )
        self.runner, self.port = await serve(site.app(), host="127.0.0.1", port=self.port)
        return self

    async def close(self):
        await self.runner.cleanup()
        await self.house.close()
        await self.store.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def ask(self, method, path, body=None, headers=None, raw=None):
        """(status, answer): what a program gets."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        async with aiohttp.ClientSession() as session:
            sent = {**JSON, **(headers or {})} if method == "POST" else headers
            async with session.request(method, self.url + path, data=data, headers=sent) as response:
                text = await response.read()
                return response.status, json.loads(text) if response.content_type == "application/json" else text

    async def draw(self, text):
        """The job of a command, as JSON once it is over."""
        status, answer = await self.ask("POST", "/api/commands", {"text": text})
        assert status == 200, answer
        return await self.end_of(answer["job"]["id"])

    async def end_of(self, job_id):
        await self.house.end_of(job_id)
        return (await self.ask("GET", f"/api/jobs/{job_id}"))[1]["job"]

    @asynccontextmanager
    async def events(self):
        """(event, document) pairs as the page hears them."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/events") as response:
            yield _events(response)


async def _events(response):
    name = ""
    async for line in response.content:
        key, _, value = line.decode().rstrip("\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)
