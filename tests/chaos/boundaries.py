"""Every place where the bot's process does something lasting: transactions, files, requests, frames of the engine.

Installed into a bot by its environment, for tests alone:

    LIMNER_CRASH_AT=tx submit:inside    die there, by SIGKILL; before, inside (written, not committed) or after
    LIMNER_FAIL_AT=http:7               the seventh request fails; db, http, http-after, file, frame
    LIMNER_NOTE_POINTS=FILE             write down each place that is come by
"""

import errno
import os
import re
import shutil
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

FAILING = ("db", "http", "http-after", "file", "frame")

_counts: Counter[str] = Counter()
_noted: set[str] = set()


def install() -> None:
    if any(name in os.environ for name in ("LIMNER_CRASH_AT", "LIMNER_FAIL_AT", "LIMNER_NOTE_POINTS")):
        _transactions()
        _requests()
        _frames()
        _files()


def _reach(name: str, when: str) -> None:
    point = f"{name}:{when}"
    if (file := os.environ.get("LIMNER_NOTE_POINTS")) and point not in _noted:
        _noted.add(point)
        with open(file, "a") as notes:
            notes.write(point + "\n")
    if os.environ.get("LIMNER_CRASH_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)


def _fails(kind: str) -> bool:
    _counts[kind] += 1
    if os.environ.get("LIMNER_FAIL_AT") != f"{kind}:{_counts[kind]}" or os.path.exists(
        note := os.environ["LIMNER_FAILED_NOTE"]
    ):
        return False
    with open(note, "w"):  # once, not in each life
        return True


def _transactions() -> None:
    from bot.store.connection import Database

    run = Database.run

    async def watched(self: Any, transaction: Any) -> Any:
        name = "tx " + re.sub(r".*?(\w+)\.<locals>.*", r"\1", transaction.__qualname__)

        def inside(conn: sqlite3.Connection) -> Any:
            if _fails("db"):
                full = sqlite3.OperationalError("database or disk is full")
                full.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise full
            result = transaction(conn)
            _reach(name, "inside")
            return result

        _reach(name, "before")
        result = await run(self, inside)
        _reach(name, "after")
        return result

    Database.run = watched  # type: ignore[method-assign]


def _requests() -> None:
    from discord.http import HTTPClient
    from discord.webhook.async_ import AsyncWebhookAdapter

    for owner in (HTTPClient, AsyncWebhookAdapter):

        async def watched(self: Any, route: Any, *args: Any, _request: Any = owner.request, **more: Any) -> Any:
            path = re.sub(r"\d{6,}", "*", route.path)
            _reach(f"{route.method} {path}", "before")
            if _fails("http"):
                raise aiohttp.ServerDisconnectedError
            result = await _request(self, route, *args, **more)
            if _fails("http-after"):
                raise aiohttp.ServerDisconnectedError
            _reach(f"{route.method} {path}", "after")
            return result

        owner.request = watched  # type: ignore[method-assign]


def _frames() -> None:
    from engine.client import LocalEngine
    from engine.frames import BadFrame

    note, send = LocalEngine._note, LocalEngine._send

    def noted(self: Any, event: Any) -> None:
        _reach(f"frame {type(event).__name__}", "before")
        if _fails("frame"):
            raise BadFrame("made bad")
        note(self, event)
        _reach(f"frame {type(event).__name__}", "after")

    async def sent(self: Any, command: Any) -> None:
        _reach(f"send {type(command).__name__}", "before")
        await send(self, command)
        _reach(f"send {type(command).__name__}", "after")

    LocalEngine._note, LocalEngine._send = noted, sent  # type: ignore[method-assign]


def _files() -> None:
    """What changes files in the data directory, and what reads the pictures to be sent."""
    data = os.environ["LIMNER_DATA"]

    def watch(owner: Any, name: str) -> None:
        call = getattr(owner, name)

        def watched(path: Any, *args: Any, **more: Any) -> Any:
            if not str(path).startswith(data) or Path(path) == Path(data):
                return call(path, *args, **more)
            what = f"file {name} {re.sub(r'[a-z0-9]{4,6}(?=$|/)', '*', str(Path(path).relative_to(data)))}"
            _reach(what, "before")
            if _fails("file"):
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            result = call(path, *args, **more)
            _reach(what, "after")
            return result

        setattr(owner, name, watched)

    for name in ("mkdir", "unlink", "replace", "read_bytes"):
        watch(Path, name)
    watch(shutil, "rmtree")
