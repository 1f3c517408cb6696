"""What Slack says of the tokens and the app: the part of `limner doctor` that asks it."""

import asyncio
from collections.abc import Iterator

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.doctor import Check, port_problem, unreached
from bot.settings import Settings
from bot.slack.faults import Fault, fault, reason
from bot.slack.web import HALF_SET, HISTORY, SCOPES, UNREACHED, USER_GROUPS, Web, granted, missing, refusal

ONE_REQUEST_SECONDS = 10


def examine(settings: Settings) -> Iterator[Check]:
    """At most 10 s for each of two requests. The tokens go to `slack_api_url` alone and stand in no answer."""
    if settings.slack_bot_token is None:
        yield Check("slack", "fail", "LIMNER_SLACK_BOT_TOKEN is not set", "Set it: docs/slack.md says where it is.")
        return
    if not (settings.slack_app_token or settings.slack_signing_secret):
        yield _failed(HALF_SET)
        return
    yield from _bot(settings)
    yield _sockets(settings) if settings.slack_app_token else _port(settings)


def _bot(settings: Settings) -> Iterator[Check]:
    assert settings.slack_bot_token
    answer = asyncio.run(_asked(settings, settings.slack_bot_token.get_secret_value(), "auth.test"))
    if isinstance(answer, Check):
        yield answer
        return
    yield Check("slack", "ok", f"signed in as {answer.get('user')} in {answer.get('team')}")
    scopes = granted(answer)
    if lacking := SCOPES - scopes:
        yield _failed(str(missing(lacking)), "slack scopes")
        return
    others = ["user groups"] * (USER_GROUPS not in scopes) + ["history"] * (not HISTORY & scopes)
    not_asked_for = f"; not asked for: {', '.join(others)}" if others else ""
    yield Check("slack scopes", "ok", f"all that are needed{not_asked_for}")


def _sockets(settings: Settings) -> Check:
    assert settings.slack_app_token
    answer = asyncio.run(_asked(settings, settings.slack_app_token.get_secret_value(), "apps.connections.open"))
    return answer if isinstance(answer, Check) else Check("slack sockets", "ok", "Slack gives connections")


def _port(settings: Settings) -> Check:
    where = f"{settings.slack_host}:{settings.slack_port}"
    if error := port_problem(settings.slack_host, settings.slack_port):
        fix = "If that is not Limner itself, set LIMNER_SLACK_HOST or LIMNER_SLACK_PORT."
        return Check("slack http", "warn", f"{where}: {error.strerror}", fix)
    return Check("slack http", "ok", f"{where} is free; Slack's requests have to be led there")


async def _asked(settings: Settings, token: str, method: str) -> AsyncSlackResponse | Check:
    web = Web(token, settings.slack_api_url)
    web.timeout = ONE_REQUEST_SECONDS
    try:
        return await web.api_call(method)
    except UNREACHED as error:
        if isinstance(error, SlackApiError) and fault(error) in (Fault.REVOKED, Fault.NO_SCOPE):
            return _failed(str(refusal(error, is_app_token=method == "apps.connections.open")))
        return unreached("slack", settings.slack_api_url, reason(error))


def _failed(sentence: str, name: str = "slack") -> Check:
    found, _, fix = sentence.partition(": ")
    return Check(name, "fail", found, fix)
