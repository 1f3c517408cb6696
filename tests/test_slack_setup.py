"""What the operator does for Slack: the manifest, the tokens, and what the doctor and the first start say of them."""

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from bot.doctor import _tokens
from bot.errors import CannotStart
from bot.settings import Settings, read_settings
from bot.slack.manifest import manifest
from bot.slack.web import SCOPES
from tests.slack_api import SlackAPI
from tests.slack_house import SlackHouse, slack_settings

SCHEMA = Path(os.environ.get("LIMNER_CONTRACTS", "/nowhere")) / "slack" / "manifest.schema.2.0.0.json"
URL = "https://limner.example/slack/events"
NAMES = ("/draw", "/imagine", "/limner")


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api


# the manifest


@pytest.mark.skipif(not SCHEMA.is_file(), reason="LIMNER_CONTRACTS does not name Slack's schema")
@pytest.mark.parametrize("url", ["", URL])
@pytest.mark.parametrize("names", [Settings().slack_commands, NAMES])
def test_the_manifest_is_as_slack_describes_it(url, names):
    document = yaml.safe_load(manifest(Settings(slack_commands=names), url))
    errors = Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(document)
    assert [error.message for error in errors] == []


def scopes(more=()):
    return set(yaml.safe_load(manifest(Settings(), more=more))["oauth_config"]["scopes"]["bot"])


def test_the_manifest_asks_for_the_least_scopes_and_for_more_only_when_told():
    least = {"commands", "chat:write", "files:write", "files:read", "app_mentions:read", "users:read", "im:write"}
    assert scopes() == SCOPES == least
    assert scopes(["user groups"]) - least == {"usergroups:read"}
    assert scopes(["history"]) - least == {"channels:history", "groups:history", "im:history"}


def test_a_manifest_for_http_needs_the_address():
    settings = Settings(slack_signing_secret="x")
    with pytest.raises(CannotStart, match="--url"):
        manifest(settings)
    assert URL in manifest(settings, URL)


def test_the_manifest_has_the_names_of_the_commands_here():
    features = yaml.safe_load(manifest(Settings(slack_commands=NAMES)))["features"]
    assert tuple(each["command"] for each in features["slash_commands"]) == NAMES


def test_the_manifest_says_where_slack_is_to_send_to_only_over_http():
    document = yaml.safe_load(manifest(Settings(), URL))
    settings = document["settings"]
    assert not settings["socket_mode_enabled"]
    assert settings["event_subscriptions"]["request_url"] == settings["interactivity"]["request_url"] == URL
    assert {each["url"] for each in document["features"]["slash_commands"]} == {URL}
    assert yaml.safe_load(manifest(Settings()))["settings"]["socket_mode_enabled"]
    assert "url" not in manifest(Settings()).replace("should_", "")


@pytest.mark.parametrize("names", ["/imagine", "/a, /b, /b", "/a, /b, /c!", "/a, /b, /" + 40 * "c"])
def test_names_that_slack_does_not_take_are_refused(monkeypatch, names):
    monkeypatch.setenv("LIMNER_SLACK_COMMANDS", names)
    with pytest.raises(CannotStart, match="three names"):
        read_settings()


def test_names_may_be_written_without_their_slash(monkeypatch):
    monkeypatch.setenv("LIMNER_SLACK_COMMANDS", "Draw, limner, limner-admin")
    assert read_settings().slack_commands == ("/draw", "/limner", "/limner-admin")


# the doctor


async def told(api, mode="socket", **changes):
    """What the doctor says of Slack, by name."""
    settings = Settings(**(slack_settings(api, mode, 0) | changes))
    checks = await asyncio.to_thread(lambda: list(_tokens(settings)))
    secrets = (api.bot_token, api.app_token, api.signing_secret)
    assert not any(secret in check.found + check.fix for check in checks for secret in secrets)
    return {check.name: check for check in checks if check.name.startswith("slack")}


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_an_app_that_is_set_up_passes(api, mode):
    found = await told(api, mode)
    assert {check.state for check in found.values()} == {"ok"}
    assert found["slack"].found == "signed in as limner in The Studio"
    assert "not asked for: user groups, history" in found["slack scopes"].found
    assert set(found) == {"slack", "slack scopes", "slack sockets" if mode == "socket" else "slack http"}


async def test_a_scope_that_is_missing_is_named(api):
    api.scopes = tuple(scope for scope in api.scopes if scope != "files:write")
    found = (await told(api))["slack scopes"]
    assert (found.state, "files:write" in found.found, "slack-manifest" in found.fix) == ("fail", True, True)


@pytest.mark.parametrize(
    ("changes", "variable"),
    [({"slack_bot_token": "xoxb-wrong"}, "LIMNER_SLACK_BOT_TOKEN"), ({"slack_app_token": "xapp-wrong"}, "APP_TOKEN")],
)
async def test_a_token_that_slack_does_not_accept_is_named(api, changes, variable):
    found = (await told(api, **changes))["slack"]
    assert found.state == "fail" or variable == "APP_TOKEN"
    assert variable in " ".join(check.found for check in (await told(api, **changes)).values())


@pytest.mark.parametrize(
    "changes",
    [{"slack_app_token": None}, {"slack_bot_token": None}, {"slack_bot_token": None, "slack_app_token": None}],
)
async def test_half_of_the_settings_is_noticed(api, changes):
    found = (await told(api, **changes))["slack"]
    is_nothing = len(changes) == 2
    assert (found.state, "docs/slack.md" in found.found + found.fix) == ("ok" if is_nothing else "fail", True)


async def test_a_slack_that_cannot_be_reached_is_worth_a_look(api):
    found = (await told(api, slack_api_url="http://127.0.0.1:9/api/"))["slack"]
    assert (found.state, "cannot be reached" in found.found) == ("warn", True)


async def test_a_port_in_use_is_noticed(api):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = (await told(api, "http", slack_port=taken.getsockname()[1]))["slack http"]
    assert found.state == "warn"


# the first start


async def test_a_clock_that_goes_wrong_is_told_of_once(api, tmp_path, caplog):
    async with SlackHouse(api, tmp_path / "data", mode="http"):
        act = api.new_act("slash_commands", {"command": "/imagine", "text": "a boat"}, api.ada, api.channel)
        for _ in range(3):
            assert await api.forge(act, at=api.clock() - 400) == 401
    [said] = [record.message for record in caplog.records if "this machine's clock" in record.message]
    assert "400 s" in said or "401 s" in said


async def refused(api, tmp_path, mode="socket", **settings):
    """The sentence that the process leaves with."""
    house = await SlackHouse(api, tmp_path / "data", mode=mode, **settings).open(until_connected=False)
    try:
        with pytest.raises(CannotStart) as error:
            async with asyncio.timeout(20):
                await house.running[-1]
        assert error.value.exit_code == 78
        return str(error.value)
    finally:
        await house.close()


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_wrong_bot_token_ends_it(api, tmp_path, mode):
    said = await refused(api, tmp_path, mode, slack_bot_token="xoxb-wrong")
    assert "LIMNER_SLACK_BOT_TOKEN" in said
    assert "xoxb" not in said


async def test_a_wrong_app_token_ends_it(api, tmp_path):
    assert "LIMNER_SLACK_APP_TOKEN" in await refused(api, tmp_path, slack_app_token="xapp-wrong")


async def test_a_bot_token_alone_ends_it(api, tmp_path):
    assert "LIMNER_SLACK_SIGNING_SECRET" in await refused(api, tmp_path, slack_app_token=None)


async def test_a_missing_scope_ends_it(api, tmp_path):
    api.scopes = tuple(scope for scope in api.scopes if scope != "im:write")
    assert "lacks the scope im:write" in await refused(api, tmp_path)


async def test_a_port_in_use_ends_it(api, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = await refused(api, tmp_path, "http", slack_port=taken.getsockname()[1])
    assert "LIMNER_SLACK_PORT" in said


@pytest.mark.parametrize("how", ["revoked", "removed", "app token revoked"])
async def test_what_is_revoked_while_it_runs_ends_it(api, tmp_path, how):
    house = await SlackHouse(api, tmp_path / "data").open()
    try:
        match how:
            case "revoked":
                api.revoke_token()
                await api.slash(api.ada, api.channel, "/imagine", "a red car")
            case "removed":
                await api.remove_app()
            case _:
                api.revoke_app_token()
        with pytest.raises(CannotStart, match="Slack does not accept"):
            async with asyncio.timeout(30):
                await house.running[-1]
    finally:
        await house.close()
