"""The connection to Discord: signs in, registers the commands, stays connected, and says why if it cannot."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import discord
import yarl

from bot import given
from bot.admin import Admin
from bot.discord import commands
from bot.discord.adapter import NO_ONE, DiscordAdapter
from bot.discord.admin import GuildPlatform
from bot.discord.desk import Desk
from bot.discord.faults import Fault, fault
from bot.discord.interactions import UNREACHED
from bot.discord.messages import Button
from bot.errors import CannotStart, Unavailable
from bot.settings import Settings
from bot.store import Store
from bot.studio import Studio
from engine.catalogue import Catalogue

log = logging.getLogger(__name__)

INTENTS = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
LONGEST_PAUSE_SECONDS = 300.0
RECOVER_SECONDS = 60.0
CONNECTIONS, KEPT_SECONDS = 100, 60.0  # to open one takes longer than an answer
_COMMANDS_NOTE = "discord commands"
_PORTAL = "Discord's developer portal (https://discord.com/developers/applications)"
_FATAL = {
    4004: "Discord does not accept LIMNER_DISCORD_TOKEN any more: make a new one in {portal}, Bot, and set it.",
    4010: "Discord says that this shard does not exist: remove what sets a number of shards and start again.",
    4011: "Discord asks for more shards than it was told of: start again.",
    4012: "Discord no longer speaks this version of its gateway: install a newer Limner.",
    4013: "Discord does not know an intent that was asked for: install a newer Limner.",
    4014: "Discord refuses an intent that was asked for: it needs none of the privileged ones; see {portal}, Bot.",
}


class Client(discord.AutoShardedClient):
    desk: Desk
    on_guild_join: Callable[[discord.Guild], Awaitable[None]]
    on_guild_available: Callable[[discord.Guild], Awaitable[None]]
    tree: discord.app_commands.CommandTree

    def __init__(self) -> None:
        super().__init__(
            intents=INTENTS,
            allowed_mentions=NO_ONE,
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
        )
        self._hear_less()

    def _hear_less(self) -> None:
        """discord.py makes objects of every message on every server, and of its own edits; this takes those to us."""
        parsers = self._connection.parsers
        parsers.pop("MESSAGE_UPDATE")
        take = parsers["MESSAGE_CREATE"]

        def take_ours(said: Any) -> None:
            if any(user["id"] == str(self._connection.self_id) for user in said.get("mentions", ())):
                take(said)

        parsers["MESSAGE_CREATE"] = take_ours

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Forms, which discord.py forgets at a restart, and buttons that their message does not have (any more)."""
        if interaction.type == discord.InteractionType.modal_submit:
            await self.desk.submitted(interaction)
        elif interaction.type == discord.InteractionType.component and not _is_on_its_message(interaction):
            await self.desk.pressed(interaction)

    async def on_message(self, message: discord.Message) -> None:
        is_ours = isinstance(message.channel, discord.Thread) and not message.author.bot
        if is_ours and self.user and self.user in message.mentions:
            await self.desk.mentioned(message)


def connect(
    settings: Settings,
    studio: Studio,
    store: Store,
    admin: Admin,
    *,
    models: Catalogue,
    spool: Path,
    now_ms: Callable[[], int],
) -> tuple["Connection", DiscordAdapter]:
    _pin(settings.discord_api_url)
    client = Client()
    adapter = DiscordAdapter(client, store, now_ms=now_ms)
    admin.platforms["discord"] = GuildPlatform(client, adapter)
    hosts = frozenset(settings.discord_attachment_hosts)
    take = partial(given.take, allowed_hosts=hosts, folder=spool / "given", turns=asyncio.Semaphore(given.AT_ONCE))
    client.desk = Desk(studio, store, adapter, admin, models=models, take=take)
    client.tree = commands.build(client, client.desk, models, settings.model)
    return Connection(settings, client, store), adapter


class Connection:
    def __init__(self, settings: Settings, client: Client, store: Store):
        self._settings, self._client, self._store = settings, client, store
        self._ending: asyncio.Task[None] | None = None
        client.on_guild_join = client.on_guild_available = self._reached

    async def run(self) -> None:
        """Until cancelled. Raises CannotStart where only the operator can mend it; an outage is waited for."""
        try:
            async with self._client:
                await self._until_reached(self._sign_in)
                self._end_when_revoked()
                recovering = asyncio.create_task(self._recover_now_and_then())
                try:
                    await self._until_reached(self._client.connect)
                finally:
                    recovering.cancel()
            if self._ending:
                raise _fatal(4004)
        except discord.PrivilegedIntentsRequired:
            raise _fatal(4014) from None
        except discord.LoginFailure:
            raise _fatal(4004) from None
        except discord.ConnectionClosed as error:
            raise _fatal(error.code) from error

    async def _recover_now_and_then(self) -> None:
        """What was accepted and could not be queued then, by a full disk or a fault: it is, while its token lasts."""
        while True:
            await asyncio.sleep(RECOVER_SECONDS)
            try:
                await self._client.desk.recover(int((time.time() - RECOVER_SECONDS) * 1000))
            except (Unavailable, *UNREACHED) as error:
                log.warning("what waits for its answer cannot be looked up: %r", error)

    async def _until_reached(self, step: Callable[[], Awaitable[None]]) -> None:
        pause = 1.0
        while True:
            try:
                return await step()
            except (*UNREACHED, discord.GatewayNotFound) as error:
                if fault(error) == Fault.REVOKED:
                    raise _fatal(4004) from None
                reason = str(error) or type(error).__name__
                log.warning("Discord cannot be reached (%s); trying again in %.0f s", reason, pause)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)

    async def _sign_in(self) -> None:
        client = self._client
        await client.http.close()  # of a try before this one
        client.http.connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_SECONDS)
        assert self._settings.discord_token
        await client.login(self._settings.discord_token.get_secret_value())
        client.add_dynamic_items(Button)
        await _use_gateway(client, self._settings.discord_gateway_url)
        await client.tree.set_translator(commands.Languages())
        await self._register()
        await client.desk.recover()

    async def _register(self) -> None:
        """The commands, everywhere or on the servers that the settings name."""
        payload, digest = await commands.definition(self._client.tree)
        guild_ids = self._settings.discord_guilds
        # those registered everywhere would stand beside those of a server
        await self._put_commands(None, [] if guild_ids else payload, digest)
        for guild_id in guild_ids:
            await self._put_commands(guild_id, payload, digest)

    async def _put_commands(self, guild_id: int | None, payload: list[Any], digest: str) -> None:
        """If they are not what was registered last; where the bot is not yet, they are once it is invited."""
        http, application_id = self._client.http, self._client.application_id or 0
        note, wanted = f"{_COMMANDS_NOTE} {guild_id or 'everywhere'}", f"{application_id} {len(payload)} {digest}"
        if await self._store.chat.note(note) == wanted:
            return
        try:
            if guild_id is None:
                await http.bulk_upsert_global_commands(application_id, payload)
            else:
                await http.bulk_upsert_guild_commands(application_id, guild_id, payload)
        except (discord.Forbidden, discord.NotFound):
            log.error("LIMNER_DISCORD_GUILDS names %s, a server that the bot is not in: invite it", guild_id)
            return
        await self._store.chat.set_note(note, wanted)
        log.info("%d commands are registered with Discord", len(payload))

    async def _reached(self, guild: discord.Guild) -> None:
        """On a server that was named before the bot was invited, the commands are registered now."""
        if guild.id in self._settings.discord_guilds:
            await self._put_commands(guild.id, *await commands.definition(self._client.tree))

    def _end_when_revoked(self) -> None:
        """A request with the bot's token that Discord does not accept any more ends the connection.

        The token of an interaction, which ends in time, travels another way and never comes through here.
        """
        plain = self._client.http.request

        async def request(*what: Any, **more: Any) -> Any:
            try:
                return await plain(*what, **more)
            except discord.HTTPException as error:
                if fault(error) == Fault.REVOKED and self._ending is None:
                    self._ending = asyncio.create_task(self._client.close())
                raise

        self._client.http.request = request  # type: ignore[method-assign]


def _pin(api_url: str) -> None:
    """discord.py keeps these on its classes. Below INFO it would log tokens; at INFO it tells each try to sign in."""
    discord.http.Route.BASE = api_url.rstrip("/")
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # there is no voice here
    for name in ("discord.http", "discord.webhook.async_", "discord.gateway", "discord.client"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


async def _use_gateway(client: Client, url: str | None) -> None:
    """The gateway that the API names, or `url`, for every connection: discord.py would come back to a fixed one."""
    ask = client.http.get_bot_gateway
    shards, named, limits = await ask()

    async def at_ours() -> Any:
        return shards, url or named, limits

    client.http.get_bot_gateway = at_ours  # type: ignore[method-assign]
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url or named)


def _is_on_its_message(interaction: discord.Interaction) -> bool:
    data: Any = interaction.data or {}
    if interaction.message is None or not Button.__discord_ui_compiled_template__.fullmatch(data.get("custom_id", "")):
        return False
    shown = discord.ui.View.from_message(interaction.message).children
    return any(getattr(item, "custom_id", None) == data["custom_id"] for item in shown)


def _fatal(code: int) -> CannotStart:
    reason = _FATAL.get(code, f"Discord has closed the connection for good (code {code}): see docs/discord.md.")
    return CannotStart(reason.format(portal=_PORTAL))
