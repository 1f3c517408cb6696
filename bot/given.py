"""Pictures that people give: fetched from allowed hosts only, cleaned by a process of its own (`engine.given`)."""

import asyncio
import contextlib
import hashlib
import ipaddress
import os
import secrets
import signal
import struct
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from bot.errors import BadImage, Unavailable
from engine.given import MAX_BYTES, MAX_PIXELS, Problem

AT_ONCE = 2  # processes that clean
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a platform keeps a picture, and what it says of it."""

    url: str
    size_bytes: int | None = None
    content_type: str | None = None
    token: str = field(default="", repr=False)  # sent as bearer


class _Answer(msgspec.Struct, frozen=True):
    problem: Problem | None = None
    amount: int | None = None


async def take(
    source: Source,
    *,
    allowed_hosts: Collection[str],
    folder: Path,
    turns: asyncio.Semaphore,
    max_bytes: int = MAX_BYTES,
    fetch_seconds: float = 10,
    clean_seconds: float = 20,
) -> Path:
    """The path of a plain PNG of the picture, in `folder` under its own SHA-256. Nothing here decodes it.

    An allowed host is "name" or "name:port", reached by https, or "http://name:port" of this machine.
    `turns` is the one Semaphore(AT_ONCE) of all adapters. Raises BadImage, or Unavailable if it cannot be stored.
    """
    url, kind = _checked(source.url, allowed_hosts), source.content_type or "image/"
    if not kind.startswith(("image/", "application/octet-stream")):
        raise BadImage("not_an_image")
    _require_small(source.size_bytes, max_bytes)
    given = folder / f"{secrets.token_hex(8)}.tmp"  # what a crash leaves is swept at the next start
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with asyncio.timeout(fetch_seconds):
            await _fetch(url, source.token, given, max_bytes)
        async with turns, asyncio.timeout(clean_seconds):
            await _clean(given, plain := given.with_suffix(".tmp.png"))
        return await asyncio.to_thread(_keep, plain)
    except TimeoutError:
        raise BadImage("too_slow") from None
    except OSError as error:
        raise Unavailable(f"the picture cannot be stored ({error.strerror})") from error
    finally:
        for left in folder.glob(f"{given.name}*"):
            left.unlink(missing_ok=True)


def size(plain: Path) -> tuple[int, int]:
    """Width and height, px, of a PNG that was taken or drawn."""
    with plain.open("rb") as file:
        width, height = struct.unpack(">II", file.read(24)[16:])
    return width, height


def _checked(text: str, allowed_hosts: Collection[str]) -> URL:
    """Read by the parser that the request is made with, so that both see the same host."""
    with contextlib.suppress(ValueError):
        url = URL(text)
        allowed = [URL(host if "://" in host else f"https://{host}") for host in allowed_hosts]
        is_known = (url.scheme, url.host, url.port) in [(each.scheme, each.host, each.port) for each in allowed]
        is_safe = url.scheme == "https" or url.host == "localhost" or ipaddress.ip_address(url.host or "").is_loopback
        if is_known and is_safe and "@" not in url.authority:
            return url
    raise BadImage("other_host")


def _require_small(size_bytes: int | None, limit: int) -> None:
    if size_bytes is not None and size_bytes > limit:
        raise BadImage("too_big", limit=limit, amount=size_bytes)


async def _fetch(url: URL, token: str, given: Path, max_bytes: int) -> None:
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        async with (
            aiohttp.ClientSession(trust_env=False, auto_decompress=False) as session,
            session.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise BadImage("unreachable")
            _require_small(answer.content_length, max_bytes)
            with given.open("wb") as file:
                async for chunk in answer.content.iter_chunked(2**16):
                    file.write(chunk)
                    _require_small(file.tell(), max_bytes)
    except aiohttp.ClientError:
        raise BadImage("unreachable") from None


async def _clean(given: Path, plain: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "engine.given", given, plain),
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout
    try:
        said, code = await process.stdout.read(1000), await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code < 0:
        raise BadImage("too_slow" if code in (-signal.SIGXCPU, -signal.SIGKILL) else "damaged")
    try:
        answer = msgspec.json.decode(said, type=_Answer)
    except msgspec.DecodeError:  # no matter of the picture: why stands in its stderr
        raise Unavailable("pictures cannot be read") from None
    if answer.problem:
        limit = {"too_big": MAX_BYTES, "too_many_pixels": MAX_PIXELS}.get(answer.problem)
        raise BadImage(answer.problem, limit=limit, amount=answer.amount)


def _keep(plain: Path) -> Path:
    with plain.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return plain.replace(plain.with_name(f"{digest}.png"))
