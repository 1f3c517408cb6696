"""The Web API: each request is noted, authorised, perhaps spoilt, and answered."""

import json
import re
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from tests.discord_api.faults import Bucket, Fault
from tests.discord_api.rules import parse_multipart
from tests.slack_api.chat import Request
from tests.slack_api.faults import UPSTREAM
from tests.slack_api.rules import Refusal
from tests.slack_api.things import walk
from tests.slack_api.uploads import Uploads

# method: (scopes of which one is needed, requests a minute)
METHODS: dict[str, tuple[tuple[str, ...], int]] = {
    "api.test": ((), 100),
    "auth.test": ((), 600),
    "apps.connections.open": ((), 20),
    "chat.postMessage": (("chat:write",), 300),
    "chat.update": (("chat:write",), 50),
    "chat.delete": (("chat:write",), 50),
    "chat.postEphemeral": (("chat:write",), 100),
    "chat.getPermalink": ((), 300),
    "conversations.open": (("im:write", "mpim:write", "channels:manage", "groups:write"), 50),
    "conversations.info": ((), 50),
    "conversations.history": ((), 50),
    "conversations.replies": ((), 50),
    "conversations.members": ((), 100),
    "conversations.join": (("channels:join",), 50),
    "files.getUploadURLExternal": (("files:write",), 100),
    "files.completeUploadExternal": (("files:write",), 100),
    "files.info": (("files:read",), 100),
    "files.delete": (("files:write",), 50),
    "users.info": (("users:read",), 100),
    "usergroups.list": (("usergroups:read",), 20),
    "usergroups.users.list": (("usergroups:read",), 20),
    "views.open": ((), 100),
    "views.push": ((), 100),
    "views.update": ((), 100),
    "views.publish": ((), 100),
}
BY_KIND = {
    "conversations.info": "read", "conversations.members": "read",
    "conversations.history": "history", "conversations.replies": "history",
}  # fmt: skip
JSON_FIELDS = ("blocks", "metadata", "files", "view", "attachments")
FLAGS = {"unfurl_links", "unfurl_media", "link_names", "reply_broadcast", "mrkdwn"}
POST_PER_CHANNEL = 60


class Rest(Uploads):
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.downloads: list[str] = []
        """The paths of the files that were fetched."""
        self.leaks: list[str] = []
        """What came to `elsewhere_url`: another host, which nobody should ask, nor give a token."""
        self.crashes: list[str] = []
        """What went wrong in the stand-in itself."""
        self._tiers: dict[str, Bucket] = {}
        self._per_channel: Bucket | None = None
        super().__init__()

    def assert_valid(self) -> None:
        """Every request so far was one that this stand-in knows, nothing broke in it, and nothing was done badly."""
        strange = [r.path for r in self.requests if not r.method]
        assert not strange, f"not in the stand-in: {strange}"
        assert not self.crashes, self.crashes[0]
        assert not self.violations, "\n".join(self.violations)
        refused = [r for r in self.requests if r.error in MALFORMED and not self._waits_for_file(r)]
        assert not refused, "\n".join(f"{r.method}: {r.answer} {r.form!r:.600}" for r in refused)

    def _waits_for_file(self, request: Request) -> bool:
        """Was it refused only as Slack had not processed its picture yet? That is worth another try."""
        named = [part["slack_file"] for part in walk(request.form.get("blocks", [])) if "slack_file" in part]
        known = all(self.slack_file(each) for each in named)
        return known and "invalid slack file" in str(request.answer.get("errors"))

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]

    def transcript(self, last: int = 15) -> str:
        return "\n".join(f"{r.method or r.path} {r.form!r:.200} -> {r.answer!r:.160}" for r in self.requests[-last:])

    def enforce_tiers(self) -> None:
        """The documented limits: each method's tier, and one post a second in each channel."""
        self._tiers = {name: Bucket(None, name, most, 60.0) for name, (_, most) in METHODS.items()}
        self._per_channel = Bucket(None, "chat.postMessage", POST_PER_CHANNEL, 60.0)

    def take_limit(self, method: str, key: str) -> None:
        if self._per_channel is not None:
            _take(self._per_channel, key, self.clock())

    # the way of a request

    async def api(self, incoming: web.Request) -> web.StreamResponse:
        name = incoming.match_info["method"]
        body = await incoming.read()
        request = Request(name if name in METHODS else "", {}, dict(incoming.headers), self.clock(), path=incoming.path)

        def call() -> Any:
            request.form = _form(incoming, body)
            self._authorise(request)
            if not request.method:
                raise Refusal("unknown_method", req_method=name)
            if name in self._tiers:
                _take(self._tiers[name], "", self.clock())
            for bucket in self.buckets:
                if re.fullmatch(bucket.pattern, name):
                    _take(bucket, str(request.form.get("channel") or request.form.get("user_id") or ""), self.clock())
            self._check_scope(request)
            return {"ok": True} | getattr(self, name.replace(".", "_"))(request)

        headers = {"X-OAuth-Scopes": ",".join(self.scopes), "X-Slack-Req-Id": self.new_id("req")}
        if name in METHODS and METHODS[name][0]:
            headers["X-Accepted-OAuth-Scopes"] = ",".join(METHODS[name][0])
        return await self._serve(incoming, request, call, headers)

    async def _serve(
        self, incoming: web.Request, request: Request, call: Callable[[], Any], headers: dict[str, str]
    ) -> web.StreamResponse:
        self.requests.append(request)
        faults = self._faults_of("POST", request.method, request.method)
        spoilt = await self._delay(faults, is_after=False)
        if spoilt is not None:
            return self._spoil(incoming, request, spoilt)
        if faults and (incoming.transport is None or incoming.transport.is_closing()):
            return web.Response(status=499)  # whoever asked is gone: it never arrived
        try:
            status, answer = 200, call()
        except Refusal as refusal:
            status, answer, headers = refusal.status, refusal.json(), headers | refusal.headers
        except Exception:
            self.crashes.append(traceback.format_exc())
            status, answer = 500, {"ok": False, "error": "fatal_error"}
        request.status, request.answer = status, answer
        spoilt = await self._delay(faults, is_after=True)
        if spoilt is not None:
            return self._spoil(incoming, request, spoilt)
        self.touch()
        if isinstance(answer, dict):
            return web.json_response(answer, status=status, headers=headers)
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.Response(text=str(answer), status=status, headers=headers)

    def _spoil(self, incoming: web.Request, request: Request, fault: Fault) -> web.StreamResponse:
        request.status, request.answer = fault.status, fault.body
        self.touch()
        if fault.drops:
            request.status = None
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response(status=500)
        assert fault.status is not None
        if fault.body is None:
            return web.Response(status=fault.status, text=UPSTREAM, content_type="text/html", headers=fault.headers)
        return web.json_response(fault.body, status=fault.status, headers=fault.headers)

    def _token(self, request: Request) -> str:
        given = request.headers.get("Authorization", "")
        return given.removeprefix("Bearer ").strip() or str(request.form.pop("token", ""))

    def _authorise(self, request: Request) -> None:
        token = self._token(request)
        if request.method == "api.test":
            return
        if not token:
            raise Refusal("not_authed")
        if token == self.app_token:
            if request.method not in ("apps.connections.open", "auth.test"):
                raise Refusal("not_allowed_token_type")
            return
        if token != self.bot_token:
            raise Refusal("invalid_auth")
        if self.token_state:
            raise Refusal(self.token_state)
        if request.method == "apps.connections.open":
            raise Refusal("not_allowed_token_type")

    def _check_scope(self, request: Request) -> None:
        needed: tuple[str, ...] = METHODS[request.method][0]
        if request.method in BY_KIND:
            channel = self.channels.get(str(request.form.get("channel")))
            kind = {"private": "groups", "im": "im"}.get(channel.kind if channel else "", "channels")
            needed = (f"{kind}:{BY_KIND[request.method]}",)
        if needed and not set(needed) & set(self.scopes):
            raise Refusal("missing_scope", needed=needed[0], provided=",".join(self.scopes))

    # what belongs to no part

    def api_test(self, request: Request) -> dict[str, Any]:
        return {"args": request.form}

    def auth_test(self, request: Request) -> dict[str, Any]:
        if request.headers.get("Authorization", "").endswith(self.app_token):
            return {"app_name": "Limner", "app_id": self.app_id}
        found = {"url": "https://the-studio.slack.com/", "team": "The Studio", "user": self.bot.name}
        found |= {"team_id": self.team_id, "user_id": self.bot.id, "bot_id": self.bot_id}
        return found | {"is_enterprise_install": False}

    def apps_connections_open(self, request: Request) -> dict[str, Any]:
        return {"url": self.new_ticket()}

    # what is no method

    async def upload_bytes(self, incoming: web.Request) -> web.StreamResponse:
        body = await incoming.read()
        request = Request("upload", {}, dict(incoming.headers), self.clock(), path=incoming.path)

        def call() -> str:
            data, kind = body, incoming.headers.get("Content-Type", "")
            if kind.startswith("multipart/form-data"):
                _, files = parse_multipart(kind, body)
                data = next((file.data for file in files.values()), b"")
            if "Authorization" in request.headers:
                self.violations.append("the upload carries a token that nobody asked for")
            return self.take_upload(request, data)

        return await self._serve(incoming, request, call, {})

    async def answer(self, incoming: web.Request) -> web.StreamResponse:
        body = await incoming.read()
        request = Request("response_url", {}, dict(incoming.headers), self.clock(), path=incoming.path)

        def call() -> str:
            try:
                request.form = json.loads(body)
            except ValueError:
                raise Refusal("invalid_payload", status=400) from None
            try:
                self.respond(request)
            except Refusal as refusal:
                refusal.status = 400 if refusal.status == 200 else refusal.status
                raise
            return "ok"

        return await self._serve(incoming, request, call, {})

    async def download(self, incoming: web.Request) -> web.StreamResponse:
        """A file, to whoever shows the token; a page to sign in to everybody else."""
        request = Request("download", {}, dict(incoming.headers), self.clock(), path=incoming.path)

        def call() -> web.StreamResponse:
            self.downloads.append(incoming.path)
            file_id = re.search(r"-(F0[0-9A-F]+)/", incoming.path)
            file = self.files.get(file_id[1]) if file_id else None
            may = self._token(request) == self.bot_token and not self.token_state and "files:read" in self.scopes
            if not may:
                return web.Response(status=302, headers={"Location": f"{self.url_root}/?redir={incoming.path}"})
            if file is None or file.state == "deleted":
                return web.Response(status=404, text="<html>File not found</html>", content_type="text/html")
            return web.Response(body=file.data, content_type=file.mimetype or "application/octet-stream")

        return await self._serve(incoming, request, call, {})

    async def sign_in(self, incoming: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>Sign in to The Studio</html>", content_type="text/html")

    async def leak(self, incoming: web.Request) -> web.StreamResponse:
        self.leaks.append(f"{incoming.method} {incoming.path} {incoming.headers.get('Authorization', '')}".strip())
        return web.Response(body=b"not yours", content_type="image/png")


MALFORMED = {
    "invalid_blocks", "invalid_blocks_format", "invalid_arguments", "invalid_metadata_format", "unknown_method",
    "invalid_metadata_schema", "no_text", "invalid_json", "not_authed", "invalid_payload", "invalid_arg_name",
}  # fmt: skip


def _take(bucket: Bucket, key: str, now: float) -> None:
    _, seconds, allowed = bucket.take(key, now)
    if not allowed:
        raise Refusal("ratelimited", status=429, headers={"Retry-After": str(max(1, round(seconds)))})


def _form(incoming: web.Request, body: bytes) -> dict[str, Any]:
    """What was asked for: from the address, a form or JSON; Slack takes all three."""
    form: dict[str, Any] = dict(incoming.query)
    kind = incoming.headers.get("Content-Type", "")
    if kind.startswith("application/json"):
        try:
            document = json.loads(body or b"{}")
        except ValueError:
            raise Refusal("invalid_json") from None
        if not isinstance(document, dict):
            raise Refusal("json_not_object")
        form |= {key: value for key, value in document.items() if value is not None}
    elif body and kind.startswith("application/x-www-form-urlencoded"):
        form |= dict(parse_qsl(body.decode(), keep_blank_values=True))
    elif body and kind.startswith("multipart/form-data"):
        form |= {key: value.decode() for key, value in parse_multipart(kind, body)[0].items()}
    for key in JSON_FIELDS:
        if isinstance(form.get(key), str):
            try:
                form[key] = json.loads(form[key])
            except ValueError:
                raise Refusal("invalid_blocks_format" if key == "blocks" else "invalid_arguments") from None
    for key in FLAGS & set(form):
        form[key] = form[key] not in ("false", "0", "", False, 0)
    return form
