"""The connection to Slack: signs in, takes what comes by sockets or signed HTTP, and says why if it cannot."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web as http
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.admin import Admin
from bot.errors import CannotStart, Unavailable
from bot.settings import Settings
from bot.slack.adapter import CLOCKS_APART_SECONDS, SlackAdapter
from bot.slack.desk import Desk
from bot.slack.faults import Fault, fault, reason
from bot.slack.interactions import Turn, read
from bot.slack.web import HALF_SET, SCOPES, UNREACHED, Web, missing, refusal
from bot.store import Store
from bot.studio import Studio
from engine.catalogue import Catalogue

log = logging.getLogger(__name__)

PATH = "/slack/events"
SOCKETS = 2  # so that one is there while the other is replaced
ACK_SECONDS = 2.0  # Slack waits for three
LONGEST_PAUSE_SECONDS = 300.0
RECOVER_SECONDS = 60.0
MOST_REMEMBERED = 20_000
_MAX_BODY_BYTES = 2**20


def connect(
    settings: Settings, studio: Studio, store: Store, admin: Admin, *,
    models: Catalogue, spool: Path, now_ms: Callable[[], int],
) -> tuple["Connection", SlackAdapter]:  # fmt: skip
    assert settings.slack_bot_token
    web = Web(settings.slack_bot_token.get_secret_value(), settings.slack_api_url, settings.slack_commands)
    adapter = SlackAdapter(web, store, now_ms=now_ms)
    desk = Desk(
        settings, studio, store, adapter, web, admin, models=models, given_folder=spool / "given", now_ms=now_ms
    )
    return Connection(settings, web, desk), adapter


class Connection:
    def __init__(self, settings: Settings, web: Web, desk: Desk):
        self._settings, self._web, self._desk = settings, web, desk
        self._seen: OrderedDict[str, asyncio.Future[Mapping[str, object]] | None] = OrderedDict()
        self._warned_at, self._listens_since = -3600.0, 0
        self._turns: set[asyncio.Task[None]] = set()
        secret, quiet = settings.slack_signing_secret, logging.getLogger(f"{__name__}.bolt")
        quiet.setLevel(logging.CRITICAL)  # it would log bodies and tickets; what matters of it is logged here

        async def authorize() -> AuthorizeResult:
            return self._bot

        self._app = AsyncApp(
            client=web, authorize=authorize, logger=quiet, signing_secret=secret.get_secret_value() if secret else "",
            ssl_check_enabled=False, attaching_function_token_enabled=False,
        )  # fmt: skip
        self._app.middleware(self._take)
        self.port: int | None = None  # of signed HTTP, once it listens

    async def run(self) -> None:
        """Until cancelled. Raises CannotStart where only the operator can mend it; an outage is waited for."""
        if not (self._settings.slack_app_token or self._settings.slack_signing_secret):
            raise CannotStart(HALF_SET)
        async with AsyncExitStack() as ends:
            self._web.session = await ends.enter_async_context(
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._web.timeout))
            )
            ends.push_async_callback(self._end_turns)
            await self._sign_in()
            self._begin(self._recover_now_and_then())
            if self._settings.slack_app_token:
                await self._open_sockets(ends)
            else:
                await self._listen(ends)
            raise await asyncio.shield(self._web.refused)

    async def _recover_now_and_then(self) -> None:
        older_ms = 0  # nothing of this process waits yet
        while True:
            try:
                await self._desk.recover(older_ms)
            except Unavailable as error:
                log.warning("what waits for its message cannot be looked up: %s", error.reason)
            await asyncio.sleep(RECOVER_SECONDS)
            older_ms = int(RECOVER_SECONDS * 1000)

    async def _sign_in(self) -> None:
        pause = 1.0
        while True:
            try:
                answer = await self._web.auth_test()
                break
            except UNREACHED as error:
                if fault(error) in (Fault.REVOKED, Fault.NO_SCOPE):
                    raise refusal(error) from None  # type: ignore[arg-type]
                log.warning("Slack cannot be reached (%s); trying again in %.0f s", reason(error), pause)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)
        if self._web.scopes and (lacking := SCOPES - self._web.scopes):
            raise missing(lacking)
        self._web.team_id, self._web.bot_name = str(answer.get("team_id")), str(answer.get("user"))
        self._bot = AuthorizeResult(
            enterprise_id=answer.get("enterprise_id"), team_id=answer.get("team_id"), bot_token=self._web.token,
            bot_id=answer.get("bot_id"), bot_user_id=answer.get("user_id"),
        )  # fmt: skip
        log.info("signed in to Slack as %s in %s", answer.get("user"), answer.get("team"))

    async def _open_sockets(self, ends: AsyncExitStack) -> None:
        assert self._settings.slack_app_token
        token = self._settings.slack_app_token.get_secret_value().strip()
        asking = Web(token, self._settings.slack_api_url)
        asking.session, asking.refused = self._web.session, self._web.refused
        for _ in range(SOCKETS):
            handler = AsyncSocketModeHandler(self._app, token, web_client=asking, ping_interval=5)
            ends.push_async_callback(handler.close_async)
            opening = asyncio.create_task(handler.connect_async())
            await asyncio.wait({opening, self._web.refused}, return_when=asyncio.FIRST_COMPLETED)
            opening.cancel()

    async def _listen(self, ends: AsyncExitStack) -> None:
        """Only `PATH`, and of that only what Slack signed."""
        settings, app = self._settings, http.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_post(PATH, self._signed)
        runner = http.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=ACK_SECONDS)
        await runner.setup()
        ends.push_async_callback(runner.cleanup)
        try:
            await http.TCPSite(runner, settings.slack_host, settings.slack_port).start()
        except OSError as error:
            where = f"{settings.slack_host}:{settings.slack_port}"
            raise CannotStart(
                f"{where} cannot be listened on ({error.strerror}): set LIMNER_SLACK_HOST or LIMNER_SLACK_PORT."
            ) from None
        self.port, self._listens_since = runner.addresses[0][1], int(time.time())
        log.info("Slack is to send to %s of http://%s:%d", PATH, settings.slack_host, self.port)

    async def _signed(self, request: http.Request) -> http.StreamResponse:
        """Bolt looks at the signature; what it could not even read is nothing of Slack's.

        Which requests came before a restart is not remembered, so those that were signed before it are refused.
        """
        try:
            sent_at = int(request.headers.get("X-Slack-Request-Timestamp", ""))
            asked = await to_bolt_request(request)
        except (ValueError, TypeError, AttributeError):  # Bolt takes for granted that a body is a JSON object
            return http.Response(status=401)
        self._look_at_clock(sent_at)
        if sent_at < self._listens_since:
            return http.Response(status=401)
        response = await self._app.async_dispatch(asked)
        answer: http.StreamResponse = await to_aiohttp_response(response)
        return answer

    def _look_at_clock(self, sent_at: int) -> None:
        """What is older than five minutes is refused, so a clock that goes wrong refuses everything."""
        apart = abs(time.time() - sent_at)
        if apart > CLOCKS_APART_SECONDS and time.monotonic() > self._warned_at + 3600:
            self._warned_at = time.monotonic()
            log.warning("a request says it was sent %.0f s away from this machine's clock: is that right?", apart)

    async def _take(self, req: AsyncBoltRequest, body: Mapping[str, Any]) -> BoltResponse:
        """What is signed or came by a socket: written down, then acknowledged, however often it is delivered.

        Only a form whose picture is still being fetched is acknowledged before, in time for Slack.
        """
        signature = (req.headers.get("x-slack-signature") or [""])[0]
        if signature and signature in self._seen:
            return BoltResponse(status=401, body="")
        if signature:
            self._remember(signature, None)
        asked = read(body)
        if asked is None:
            return BoltResponse(status=200, body="")
        acked = self._seen.get(asked.key)
        if acked is None:
            turn = Turn(asked, self._web)
            acked = turn.acked
            self._remember(asked.key, acked)
            self._begin(self._desk.take(turn))
            await asyncio.wait({acked}, timeout=ACK_SECONDS)
            if turn.picture:
                turn.ack()
        answer = await asyncio.shield(acked)
        if answer:  # a form that was refused: unchanged, it may fit another time
            self._seen.pop(asked.key, None)
        return BoltResponse(status=200, body=dict(answer) if answer else "")

    def _begin(self, turn: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(turn)
        self._turns.add(task)
        task.add_done_callback(self._turns.discard)

    def _remember(self, key: str, acked: "asyncio.Future[Mapping[str, object]] | None") -> None:
        """Slack delivers some things twice; those that made jobs the store knows for ever."""
        self._seen[key] = acked
        while len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)

    async def _end_turns(self) -> None:
        for task in list(self._turns):
            task.cancel()
        await asyncio.gather(*self._turns, return_exceptions=True)
