"""What every request of the page goes through: who asks, what it may carry, and errors as JSON."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot import wording
from bot.errors import Refused
from bot.logs import broken
from bot.web.documents import moment, sentence

MAX_BODY_BYTES = 64 * 1024
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_STATUSES: Mapping[str, int] = {
    "quota": 429, "queue_full": 429, "not_allowed": 403, "no_authority": 403, "blocked": 403, "unknown": 404,
    "bad_words": 403, "nsfw": 403, "switched_off": 403, "only_drafts": 403, "gone": 410, "forgotten": 410,
    "unavailable": 503,
}  # fmt: skip
_PLAIN: Mapping[int, tuple[str, str]] = {
    404: ("unknown", "Nothing is at that address"),
    405: ("wrong_method", "That address is asked in another way"),
    413: ("too_large", f"That is too much: at most {MAX_BODY_BYTES // 1024} KiB are read"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def answer(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def told(title: str, body: str, **more: object) -> web.Response:
    """What a person reads."""
    return answer({"answer": {"title": title, "body": body, "actions": [], **more}})


def problem(status: int, code: str, title: str, body: str = "") -> web.Response:
    return answer({"error": {"code": code, "title": title, "body": body, "actions": []}}, status=status)


def guard(host: str) -> Middleware:
    """The middleware for a page that is bound to `host`: no other site can read it or press its buttons.

    `Host` must name this machine (a foreign name that resolves here is how DNS rebinding comes in), `Origin`,
    where there is one, this very page, and a POST must be JSON, which no plain form can send.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        return _stranger(request, LOOPBACK | {host}) or await _answered(request, handler)

    return middleware


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """A signal, not a part of the middleware: streams and aiohttp's own errors carry them too."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")  # after an upgrade no page runs yesterday's script


def _stranger(request: web.Request, hosts: frozenset[str]) -> web.Response | None:
    if not _is_here(request, hosts):
        return problem(421, "foreign_host", "This page goes by another name", f"Open {_own_address(request)}.")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        return problem(403, "foreign_origin", "Another site may not do this", "Use the page itself.")
    if request.method == "POST" and request.content_type != "application/json":
        return problem(415, "not_json", "Send JSON", "Content-Type must be application/json.")
    return None


def _own_address(request: web.Request) -> str:
    """A tunnel must end in the same port here and there, for `Host` names it."""
    return f"http://127.0.0.1:{request.get_extra_info('sockname', ('', 0))[1]}"


def _is_here(request: web.Request, hosts: frozenset[str]) -> bool:
    socket = request.get_extra_info("sockname", ("", 0))
    try:
        called = urlsplit(f"//{request.host}")
        return called.hostname in hosts and (called.port or 80) == socket[1] and called.username is None
    except (ValueError, TypeError):
        return False


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as error:
        document = {"code": error.code, **sentence(wording.refusal(error, moment))}
        return answer({"error": document}, status=_STATUSES.get(error.code, 400))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code, title = _PLAIN.get(error.status, ("http", error.reason))
        return problem(error.status, code, title, "docs/web-api.md says what there is.")
    except Exception as error:
        reference = broken(f"{request.method} {request.path}", error)
        return problem(
            500, "internal", "Something broke here", f"Nothing was charged. The log says more at {reference}."
        )
