"""What Discord says of the token, the application and its servers: the part of `limner doctor` that asks it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import discord

from bot.discord.faults import PERMISSIONS
from bot.doctor import Check, unreached
from bot.phrases import clip, counted
from bot.settings import Settings
from engine import VERSION

ONE_REQUEST_SECONDS = 10.0
MOST_SERVERS = 200  # in one answer; a bot on more than that is looked at on these
_PORTAL = "https://discord.com/developers/applications"
# Two flags each: for few servers and for many. https://discord.com/developers/docs/resources/application
_PRIVILEGED = {"Presence": 3 << 12, "Server Members": 3 << 14, "Message Content": 3 << 18}
_TITLES = {"read_messages": "View Channels", "send_messages_in_threads": "Send Messages in Threads"}


def examine(settings: Settings) -> Iterator[Check]:
    """At most 10 s for each of three requests. The token goes to `discord_api_url` alone and stands in no answer."""
    try:
        bot, application, guilds = asyncio.run(_ask(settings))
    except aiohttp.ClientResponseError as error:
        yield _refused(error.status)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # a timeout is an OSError
        yield unreached("discord", settings.discord_api_url, str(error) or "no answer in 10 s")
    else:
        yield Check("discord", "ok", f"signed in as {bot['username']}, on {counted(len(guilds), 'server')}")
        yield _intents(application.get("flags", 0))
        yield from _servers(guilds, settings.discord_guilds)
        yield Check("invite", "ok", invite_link(application["id"]))


def invite_link(client_id: str) -> str:
    address = f"https://discord.com/oauth2/authorize?client_id={client_id}&permissions={PERMISSIONS.value}"
    return f"{address}&integration_type=0&scope=bot+applications.commands"


async def _ask(settings: Settings) -> list[Any]:
    """Raises aiohttp.ClientError, OSError or ValueError; so does a redirect, which could lead the token away."""
    token = settings.discord_token.get_secret_value().strip() if settings.discord_token else ""
    headers = {"Authorization": f"Bot {token}", "User-Agent": f"DiscordBot (https://discord.com, {VERSION})"}
    timeout = aiohttp.ClientTimeout(total=ONE_REQUEST_SECONDS)
    answers: list[Any] = []
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        for path in ("users/@me", "applications/@me", f"users/@me/guilds?limit={MOST_SERVERS}"):
            url = f"{settings.discord_api_url.rstrip('/')}/{path}"
            async with session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise aiohttp.ClientResponseError(response.request_info, (), status=response.status)
                answers.append(await response.json())
    return answers


def _refused(status: int) -> Check:
    if status == 401:
        fix = f"Make a new one in {_PORTAL}, Bot, Reset Token, and set it."
        return Check("discord", "fail", "Discord does not accept LIMNER_DISCORD_TOKEN", fix)
    fix = "Try again in some minutes; if it stays so, look at LIMNER_DISCORD_API_URL."
    return Check("discord", "warn", f"Discord's API answers with status {status}", fix)


def _intents(flags: int) -> Check:
    on = " and ".join(name for name, either in _PRIVILEGED.items() if flags & either)
    return Check("intents", "ok", f"no privileged one is needed{on and f'; switched on: {on}'}")


def _servers(guilds: list[dict[str, Any]], named: tuple[int, ...]) -> Iterator[Check]:
    absent = set(named) - {int(guild["id"]) for guild in guilds} if len(guilds) < MOST_SERVERS else set()
    if absent:
        found = f"LIMNER_DISCORD_GUILDS names {', '.join(map(str, sorted(absent)))}, where the bot is not"
        yield Check("servers", "fail", found, "Invite it with the link below, or remove what is not yours.")
    elif not guilds:
        yield Check("servers", "warn", "it is on none yet", "Open the link below and choose one of yours.")
    for guild in guilds:
        granted = discord.Permissions(int(guild["permissions"]))
        missing = [name for name, is_needed in PERMISSIONS if is_needed and not getattr(granted, name)]
        found, fix = f"{clip(guild['name'], 40)}: ", ""
        if missing and not granted.administrator:
            found += f"{', '.join(_TITLES.get(name, name.replace('_', ' ').title()) for name in missing)} missing"
            fix = "Give that to the bot's role in Server Settings, Roles, or open the link below again."
        yield Check("permissions", "warn" if fix else "ok", found + ("" if fix else "all that are needed"), fix)
