"""No secret and no prompt in any log, at any level, of any library: canaries through the real process at DEBUG."""

import logging

import pytest

from bot import logs
from tests.discord_api import DiscordAPI
from tests.discord_house import DiscordHouse
from tests.running import Limner
from tests.slack_api import SlackAPI
from tests.slack_house import SlackHouse
from tests.test_discord import drawn
from tests.test_discord import imagine as imagine_on_discord
from tests.test_slack_flows import a_picture as a_picture_on_slack

WORDS = "zanzibar wombat"
BLOCKED = "a nude child in zanzibar"


@pytest.fixture
def levels():
    """Every logger as it was before."""
    names = [None, *logging.root.manager.loggerDict]
    before = {name: logging.getLogger(name).level for name in names}
    handlers = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def heard(levels, caplog):
    """All that is logged at DEBUG, as the process would have it."""
    caplog.set_level(logging.DEBUG)
    logs.quieten()
    return caplog


def test_a_secret_is_redacted_wherever_it_stands(levels, capsys):
    logs.set_up("debug", ["hunter2-token", "abc"])
    log = logging.getLogger("bot.test")
    log.debug("signing in with %s", "hunter2-token")
    try:
        raise ValueError("no good: hunter2-token")
    except ValueError:
        log.exception("failed")
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert written.count("***") >= 2


@pytest.mark.parametrize(
    "name",
    ["discord.http", "discord.gateway", "slack_sdk.web.async_client", "slack_bolt.AsyncApp", "aiosqlite", "asyncio"],
)
def test_no_library_says_more_than_info(levels, name):
    logs.set_up("debug")
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    assert logging.getLogger("bot.dispatch").isEnabledFor(logging.DEBUG)


async def test_neither_prompts_nor_tokens_of_discord_are_logged(heard, tmp_path):
    async with DiscordAPI() as api, DiscordHouse(api, tmp_path / "data") as house:
        await drawn(api, house, await imagine_on_discord(api, f"a {WORDS}"))
        await imagine_on_discord(api, BLOCKED)
        await imagine_on_discord(api, f"{WORDS} --stlye noir")
        tokens = [api.token, *(each.token for each in api.interactions)]
    assert_clean(heard.text, *tokens, str(api.ada.id))


async def test_neither_prompts_nor_tokens_of_slack_are_logged(heard, tmp_path):
    async with SlackAPI() as api, SlackHouse(api, tmp_path / "data") as house:
        await a_picture_on_slack(api, house, f"a {WORDS}")
        secrets = [
            secret.get_secret_value() for secret in (house.settings.slack_bot_token, house.settings.slack_app_token)
        ]
    assert_clean(heard.text, *secrets, api.ada.id)


async def test_the_process_logs_no_prompt_at_debug(tmp_path):
    limner = Limner(tmp_path / "data", "tests.fake_engine", LIMNER_LOG_LEVEL="debug", LIMNER_DISCORD_TOKEN="")
    await limner.start()
    try:
        accepted = await limner.post("/api/commands", text=f"a {WORDS} --quality draft")
        await limner.when(accepted["job"]["id"], "delivered")
        assert "not allowed" in str(await limner.post("/api/commands", text=BLOCKED))
        await limner.post("/api/commands", text=f"{WORDS} {{never closed")
        await limner.get(f"/api/words?text={WORDS.replace(' ', '+')}")
        await limner.post("/api/commands", text="/limner privacy show")
    finally:
        await limner.close()
    assert_clean((tmp_path / "limner.log").read_text())


def assert_clean(text, *secrets):
    assert text
    for canary in ("zanzibar", "wombat", *secrets):
        assert canary not in text
