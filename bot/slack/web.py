"""Slack's Web API: one limiter for the workspace, and nothing is sent twice but what Slack refused unread."""

import asyncio
import logging
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import CannotStart
from bot.slack.faults import Fault, fault, name_of

log = logging.getLogger(__name__)

REQUEST_SECONDS, UPLOAD_SECONDS = 30, 240
UNREACHED = (SlackApiError, aiohttp.ClientError, TimeoutError, OSError)
COMMANDS = ("/imagine", "/limner", "/limner-admin")  # as our own texts name them
_COMMAND = re.compile(r"(?:(?<=`)|(?<=for )|^)/(?:imagine|limner-admin|limner)(?=[ `.]|$)", re.MULTILINE)
SCOPES = frozenset(
    ["commands", "chat:write", "files:write", "files:read", "app_mentions:read", "users:read", "im:write"]
)
USER_GROUPS = "usergroups:read"  # this and the next only where the operator wants them
HISTORY = frozenset(["channels:history", "groups:history", "im:history"])
_OPTIONAL = HISTORY | {USER_GROUPS, "mpim:history"}  # a group conversation asks for the last, which is never granted
_TRIES = 20  # of one that comes too often
_APPS = "https://api.slack.com/apps"
HALF_SET = (
    "LIMNER_SLACK_BOT_TOKEN is set, but neither LIMNER_SLACK_APP_TOKEN nor LIMNER_SLACK_SIGNING_SECRET: "
    "set the one of them that docs/slack.md tells for Socket Mode or HTTP."
)
# Seconds between two, and how many may come at once; https://docs.slack.dev/apis/web-api/rate-limits
_TIER_3, _TIER_4 = (1.4, 10), (0.75, 25)
_PACES = {"chat.postMessage": (1.0, 5)} | dict.fromkeys(
    ("chat.update", "chat.delete", "conversations.open", "conversations.history", "conversations.replies"), _TIER_3
)
LATE_SECONDS = 5.0  # a change that would come later than that is left to the one after it
_AT_ONCE = frozenset({"views.open", "views.update"})  # somebody waits before it, and it soon is too late


class Web(AsyncWebClient):
    """`refused` is set once Slack refuses the token or a scope for good."""

    def __init__(self, token: str, url: str, commands: tuple[str, ...] = COMMANDS):
        quiet = logging.getLogger(f"{__name__}.sdk")
        quiet.setLevel(logging.CRITICAL)  # it would log what people say
        super().__init__(token, base_url=url, timeout=REQUEST_SECONDS, retry_handlers=[], logger=quiet)
        self.commands = commands  # to draw, to ask, to order
        self.team_id = self.bot_name = ""  # known once signed in
        self.scopes: frozenset[str] = frozenset()  # as Slack last said
        self.refused: asyncio.Future[CannotStart] = asyncio.get_running_loop().create_future()
        self._next: dict[tuple[str, str], float] = {}  # when one that kept the pace exactly would be sent
        self._rests_until: dict[str, float] = {}

    async def api_call(self, api_method: str, **request: Any) -> AsyncSlackResponse:
        """Raises SlackApiError, aiohttp.ClientError, TimeoutError; what came too often is sent when Slack says."""
        channel = str((request.get("json") or {}).get("channel", "")) if api_method == "chat.postMessage" else ""
        for _ in range(_TRIES):
            if api_method not in _AT_ONCE:
                await asyncio.sleep(self._turn(api_method, channel))
            try:
                answer = await super().api_call(api_method, **request)
                self.scopes = granted(answer) or self.scopes
                return answer
            except SlackApiError as error:
                found = fault(error)
                is_final = found == Fault.REVOKED or (found == Fault.NO_SCOPE and not needed(error) & _OPTIONAL)
                if is_final and not self.refused.done():
                    self.refused.set_result(refusal(error, is_app_token=api_method == "apps.connections.open"))
                if api_method == "apps.connections.open":
                    log.warning("no socket to Slack can be opened now (%s)", name_of(error))
                if found != Fault.TOO_OFTEN or api_method in _AT_ONCE:
                    raise
                pause = _retry_after(error)
                log.info("Slack takes no %s for %.0f s", api_method, pause)
                self._rests_until[api_method] = time.monotonic() + pause
        raise TimeoutError(f"Slack takes no {api_method} now")

    def named(self, text: str) -> str:
        """One of our own texts, with the commands by the names that they have here."""
        names = dict(zip(COMMANDS, self.commands, strict=True))
        return _COMMAND.sub(lambda found: names[found[0]], text)

    def has_room(self, *, is_new_state: bool) -> bool:
        """Whether messages may be changed before their end: while it is quiet for progress, else for a new state."""
        pace, burst = _PACES["chat.update"]
        now = time.monotonic()
        rests = self._rests_until.get("chat.update", 0.0) - now
        ahead = self._next.get(("chat.update", ""), 0.0) - now - pace * burst
        return max(rests, ahead) < (LATE_SECONDS if is_new_state else -pace * burst / 2)

    async def respond(self, url: str, message: Mapping[str, object]) -> bool:
        """Through a response URL: for five answers in half an hour. False if Slack does not take this one."""
        try:
            async with self._session().post(url, json=message, allow_redirects=False) as answer:
                return answer.status == 200
        except UNREACHED as error:
            log.info("a response URL was not reached: %s", type(error).__name__)
            return False

    async def send_file(self, url: str, data: BinaryIO) -> None:
        """The second of the three steps. Raises aiohttp.ClientError and TimeoutError."""
        timeout = aiohttp.ClientTimeout(total=UPLOAD_SECONDS)
        async with self._session().post(url, data=data, timeout=timeout, allow_redirects=False) as answer:
            answer.raise_for_status()

    def _session(self) -> aiohttp.ClientSession:
        assert self.session
        return self.session

    def _turn(self, method: str, channel: str) -> float:
        """Seconds to wait; who asks is next in the line."""
        pace, burst = _PACES.get(method, _TIER_4)
        now = time.monotonic()
        next_at = max(now, self._next.get((method, channel), 0.0)) + pace
        self._next[method, channel] = next_at
        return max(0.0, next_at - pace * burst - now, self._rests_until.get(method, 0.0) - now)


def refusal(error: SlackApiError, *, is_app_token: bool = False) -> CannotStart:
    if fault(error) == Fault.NO_SCOPE:
        return missing(needed(error))
    variable, page = "LIMNER_SLACK_BOT_TOKEN", "OAuth & Permissions"
    if is_app_token:
        variable, page = "LIMNER_SLACK_APP_TOKEN", "Basic Information, App-Level Tokens"
    return CannotStart(
        f"Slack does not accept {variable} ({name_of(error)}): copy it from {_APPS}, {page}, and set it."
    )


def needed(error: SlackApiError) -> frozenset[str]:
    """The scopes of which Slack says that one is missing."""
    return _listed(getattr(error.response, "data", {}).get("needed") or "one that the manifest has")


def granted(answer: AsyncSlackResponse) -> frozenset[str]:
    """The scopes of the token that asked; none where Slack does not say."""
    return _listed(answer.headers.get("x-oauth-scopes", ""))


def _listed(names: str) -> frozenset[str]:
    return frozenset(name.strip() for name in names.split(",")) - {""}


def missing(scopes: Iterable[str]) -> CannotStart:
    return CannotStart(
        f"The Slack app lacks the scope {', '.join(sorted(scopes))}: put the manifest of `limner slack-manifest` "
        f"into {_APPS}, App Manifest, and install the app again."
    )


def _retry_after(error: SlackApiError) -> float:
    try:
        return max(0.5, float(getattr(error.response, "headers", {}).get("Retry-After", 1)))
    except ValueError:
        return 1.0
