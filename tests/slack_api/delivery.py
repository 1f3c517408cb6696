"""What Slack brings to the app: over the app's websockets, or signed over HTTP, each with its retries."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import WSMsgType, web

from tests.slack_api.faults import Faults
from tests.slack_api.rules import Refusal
from tests.slack_api.things import Channel, Message, User, View
from tests.slack_api.world import World

DEADLINE_SECONDS, MAX_SOCKETS = 3.0, 10
RETRY_AFTER_SECONDS = (0.0, 60.0, 300.0)
COMMAND, INTERACTIVE, EVENT = "slash_commands", "interactive", "events_api"


@dataclass(eq=False)
class Act:
    """Something that a person did, or that happened, and what came of it."""

    id: str
    kind: str
    """`slash_commands`, `interactive` or `events_api`."""
    payload: dict[str, Any] = field(repr=False)
    user: User | None
    channel: Channel | None
    at: float
    ack: dict[str, Any] | None = None
    """What the app answered; empty where it only acknowledged, None as long as it did not."""
    deliveries: int = 0
    """How often it was sent to the app."""
    status: int | None = None
    """The last HTTP status that the app answered with; 200 over a socket."""
    failure: str | None = None
    """What the person reads if nobody answered: `dispatch_failed`, `operation_timeout`."""
    acked_after: float | None = None
    """Seconds until the first acknowledgement."""
    messages: list[Message] = field(default_factory=list)
    """What was said through its response URL or in the acknowledgement."""
    views: list[View] = field(default_factory=list)
    """The modals that its trigger opened."""
    view: View | None = None
    """The view that it was done in."""
    message: Message | None = None
    """The message that it was done on: pressed, or the target of a shortcut, or what was said."""
    sent: tuple[bytes, dict[str, str]] = (b"", {})
    """Over HTTP: the body and the headers as they went out the first time."""
    answered: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def is_dead(self) -> bool:
        return self.failure is not None

    @property
    def modal(self) -> View:
        """The form that it opened."""
        assert self.views, "no form was opened"
        return self.views[-1]

    @property
    def answer(self) -> Message:
        """The last thing that was said through its response URL."""
        assert self.messages, "nothing was said"
        return self.messages[-1]


class Socket:
    def __init__(self, number: int, socket: web.WebSocketResponse, transport: asyncio.Transport):
        self.number, self._socket, self._transport = number, socket, transport
        self.is_warned = False
        self.has_left = asyncio.Event()

    async def send(self, document: dict[str, Any]) -> bool:
        try:
            await self._socket.send_str(json.dumps(document))
        except (ConnectionError, RuntimeError):
            return False
        return True

    async def close(self) -> None:
        self._socket._close_timeout = 0.1
        with contextlib.suppress(ConnectionError):
            await self._socket.close()

    def break_off(self) -> None:
        """As a cable that is pulled out."""
        self._transport.abort()


class Delivery(Faults, World):
    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.sockets: list[Socket] = []
        self.socket_log: list[str] = []
        """`open`, `hello`, `ack`, `leave`, `refused` as they came."""
        self.request_url: str | None = None
        """Where the app takes signed HTTP; None is Socket Mode."""
        self.violations: list[str] = []
        """What the app did that Slack would take but that is not right, or answered where nobody can use it."""
        self.signed_at = time.time
        self.refresh_seconds = 0.3
        """How long a warning comes before the end of a socket: ten seconds at Slack."""
        self._tickets: set[str] = set()
        self._waiting: dict[str, tuple[Act, Socket]] = {}
        self._turn = 0
        self._http: aiohttp.ClientSession | None = None
        super().__init__()

    @property
    def is_connected(self) -> bool:
        return bool(self.sockets) or self.request_url is not None

    def deliver_to(self, request_url: str | None) -> None:
        """Signed HTTP to this address from now on (`http://127.0.0.1:3000/slack/events`), or Socket Mode again."""
        self.request_url = request_url

    # sockets

    def new_ticket(self) -> str:
        ticket = self.new_id("ticket")
        self._tickets.add(ticket)
        return f"{self.url_root.replace('http', 'ws')}/link/?ticket={ticket}&app_id={self.app_id}"

    async def socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            self.socket_log.append("refused")
            raise web.HTTPForbidden(text="expired ticket")
        self._tickets.discard(ticket)
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        assert request.transport is not None
        socket = Socket(len(self.socket_log), ws, request.transport)
        if len(self.sockets) >= MAX_SOCKETS:
            self.socket_log.append("too_many")
            await socket.send({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {}})
            await socket.close()
            return ws
        self.sockets.append(socket)
        self.socket_log.append("open")
        await socket.send(
            {
                "type": "hello",
                "num_connections": len(self.sockets),
                "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
                "connection_info": {"app_id": self.app_id},
            }
        )
        self.touch()
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self._heard(json.loads(message.data))
        finally:
            self._left(socket)
        return ws

    def _heard(self, document: dict[str, Any]) -> None:
        self.socket_log.append("ack")
        known = self._waiting.pop(document.get("envelope_id", ""), None)
        if known is not None:
            known[0].status = 200
            self._answered(known[0], document.get("payload") or {})
        self.touch()

    def _left(self, socket: Socket) -> None:
        if socket in self.sockets:
            self.sockets.remove(socket)
            self.socket_log.append("leave")
        socket.has_left.set()
        self.touch()

    async def refresh_sockets(self, *, warning: bool = True, every: bool = True) -> None:
        """As every few hours: a warning some seconds ahead, then the end; comes back once they are gone.

        Not `every`: the oldest only.
        """
        leaving = list(self.sockets) if every else self.sockets[:1]
        for socket in leaving:
            socket.is_warned = True
            reason = "warning" if warning else "refresh_requested"
            await socket.send({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.refresh_seconds):
                await asyncio.gather(*(socket.has_left.wait() for socket in leaving))
        for socket in (s for s in leaving if not s.has_left.is_set()):
            if warning:
                await socket.send({"type": "disconnect", "reason": "refresh_requested", "debug_info": {}})
            await socket.close()

    def drop_sockets(self) -> None:
        """All connections break off."""
        for socket in list(self.sockets):
            socket.break_off()

    # the way of an act

    def new_act(
        self, kind: str, payload: dict[str, Any], user: User | None = None, channel: Channel | None = None
    ) -> Act:
        act = Act(self.new_id("E"), kind, payload, user, channel, self.clock())
        self.acts.append(act)
        return act

    async def bring(self, act: Act, *, wait: float | None = DEADLINE_SECONDS) -> Act:
        """To the app, with an event's retries; back once it is answered or dead; `wait=None` does not wait."""
        task = self.go_on(self._bring(act))
        if wait is not None:
            answered = asyncio.create_task(act.answered.wait())
            await asyncio.wait({task, answered}, timeout=wait + 1, return_when=asyncio.FIRST_COMPLETED)
            answered.cancel()
        return act

    async def _bring(self, act: Act) -> None:
        began = self.clock()
        reason = await self.send(act)
        if act.kind != EVENT:
            if reason is not None and not act.answered.is_set():
                act.failure = reason
                act.answered.set()
                self.touch()
            return
        for number, pause in enumerate(RETRY_AFTER_SECONDS, 1):
            if reason is None:
                return
            await self.wait_until(began + pause)
            reason = await self.send(act, retry=(number, reason))
        if reason is not None:
            act.failure = reason

    async def redeliver(self, act: Act, *, retry: tuple[int, str] | None = None) -> int | None:
        """The same once more, as Slack does after an acknowledgement that got lost: a new envelope, or a new
        signature, and for events its retry number and reason. The HTTP status of the answer, 200 over a socket."""
        if act.kind == EVENT and retry is None:
            retry = (1, "http_timeout" if self.request_url else "timeout")
        act.status = None
        await self.send(act, retry=retry)
        return act.status

    async def send(self, act: Act, *, retry: tuple[int, str] | None = None) -> str | None:
        """Once; the reason why it counts as not delivered, or None."""
        act.deliveries += 1
        if self.request_url is not None:
            return await self._send_signed(act, retry)
        return await self._send_by_socket(act, retry)

    async def _send_by_socket(self, act: Act, retry: tuple[int, str] | None) -> str | None:
        if not self.sockets:
            return "dispatch_failed"
        envelope_id = act.id if retry is None and act.deliveries == 1 else self.new_id("R")
        self._turn += 1
        socket = self.sockets[self._turn % len(self.sockets)]
        envelope: dict[str, Any] = {"envelope_id": envelope_id, "type": act.kind, "payload": act.payload}
        envelope["accepts_response_payload"] = act.kind != EVENT
        if act.kind == EVENT:
            envelope |= {"retry_attempt": retry[0] if retry else 0, "retry_reason": retry[1] if retry else ""}
        self._waiting[envelope_id] = (act, socket)
        if not await socket.send(envelope):
            self._waiting.pop(envelope_id, None)
            return "dispatch_failed"
        end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while envelope_id in self._waiting:
            left = end - asyncio.get_running_loop().time()
            if left <= 0 or socket.has_left.is_set():
                self._waiting.pop(envelope_id, None)
                return "timeout" if act.kind == EVENT else "operation_timeout"
            await self.changed(min(left, 0.25))
        return None

    # signed HTTP

    def body_of(self, act: Act) -> tuple[bytes, str]:
        """(the raw body, its content type) as Slack writes them."""
        if act.kind == EVENT:
            return json.dumps(act.payload).encode(), "application/json"
        form = act.payload if act.kind == COMMAND else {"payload": json.dumps(act.payload)}
        return urlencode(form).encode(), "application/x-www-form-urlencoded"

    def sign(self, body: bytes, *, at: float | None = None, secret: str | None = None) -> dict[str, str]:
        moment = str(int(self.signed_at() if at is None else at))
        based = b"v0:" + moment.encode() + b":" + body
        digest = hmac.new((secret or self.signing_secret).encode(), based, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": moment, "X-Slack-Signature": f"v0={digest}"}

    async def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """(status, content type, body) of the app's answer to a request as it is given; 0 where there is none."""
        self._http = self._http or aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
        assert self.request_url is not None
        try:
            async with self._http.post(self.request_url, data=body, headers=headers, timeout=timeout) as answer:
                return answer.status, answer.content_type, await answer.read()
        except TimeoutError:
            return 0, "operation_timeout", b""
        except aiohttp.ClientError:
            return 0, "dispatch_failed", b""

    async def _send_signed(self, act: Act, retry: tuple[int, str] | None) -> str | None:
        body, kind = self.body_of(act)
        headers = {"Content-Type": kind, "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
        headers |= self.sign(body, at=self.signed_at() + act.deliveries - 1)  # later than the one before
        if retry is not None:
            headers |= {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        if not act.sent[0]:
            act.sent = (body, headers)
        act.status, content_type, answer = await self.post(body, headers)
        if act.status == 0:
            names = {"operation_timeout": "http_timeout", "dispatch_failed": "connection_failed"}
            return names[content_type] if act.kind == EVENT else content_type
        if act.status != 200:
            return "http_error" if act.kind == EVENT else "dispatch_failed"
        document: dict[str, Any] = {}
        if content_type == "application/json" and answer.strip():
            document = json.loads(answer)
        elif answer.strip():
            document = {"text": answer.decode()}
        self._answered(act, document)
        return None

    async def replay(self, act: Act) -> int:
        """The very request again, as an eavesdropper sends it: the status of the answer."""
        return (await self.post(*act.sent))[0]

    async def forge(
        self, act: Act, *, secret: str | None = None, at: float | None = None, headers: dict[str, str] | None = None
    ) -> int:
        """It goes out signed with another secret, at another time, or with other headers: the status of the answer."""
        body, kind = self.body_of(act)
        signed = {"Content-Type": kind} | self.sign(body, at=at, secret=secret) | (headers or {})
        return (await self.post(body, signed))[0]

    # what the app answered

    def _answered(self, act: Act, document: dict[str, Any]) -> None:
        if act.ack is None:
            act.acked_after = self.clock() - act.at
            act.ack = document
        if document:
            try:
                self.take_answer(act, document)
            except Refusal as refusal:
                self.violations.append(f"the answer to {act.kind} is refused: {refusal} {document!r:.300}")
        act.answered.set()
        self.touch()

    def take_answer(self, act: Act, document: dict[str, Any]) -> None:
        raise NotImplementedError

    async def _end_delivery(self) -> None:
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(socket.close() for socket in list(self.sockets)))
        if self._http is not None:
            await self._http.close()
