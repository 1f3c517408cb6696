"""The websocket: sessions that outlive their connection and are told again what they missed."""

import asyncio
import contextlib
import json
import zlib
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.discord_api.things import Guild
from tests.discord_api.world import World

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
INTENTS = {"guilds": 1 << 0, "guild_messages": 1 << 9, "direct_messages": 1 << 12, "message_content": 1 << 15}
PRIVILEGED = 1 << 1 | 1 << 8 | 1 << 15
KNOWN_INTENTS = (1 << 17) - 1 | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25


class Connection:
    """One websocket, compressed as its address asked for."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport, compression: str | None):
        self.socket, self.transport = socket, transport
        self._pack = _packer(compression)
        self._unsent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write())

    def send(self, op: int, data: Any = None, *, seq: int | None = None, event: str | None = None) -> None:
        self._unsent.put_nowait({"op": op, "d": data, "s": seq, "t": event})

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                text = json.dumps(await self._unsent.get())
                if self._pack is None:
                    await self.socket.send_str(text)
                else:
                    await self.socket.send_bytes(self._pack(text.encode()))

    async def close(self, code: int, reason: str = "") -> None:
        self._writer.cancel()
        await self.socket.close(code=code, message=reason.encode())

    def break_off(self) -> None:
        """As a cable that is pulled out."""
        self._writer.cancel()
        self.transport.abort()

    def forget(self) -> None:
        self._writer.cancel()


def _packer(compression: str | None):
    if compression == "zlib-stream":
        stream = zlib.compressobj()
        return lambda data: stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
    if compression == "zstd-stream":
        with contextlib.suppress(ImportError):
            import zstandard

            frames = zstandard.ZstdCompressor().compressobj()
            return lambda data: frames.compress(data) + frames.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return None


class Session:
    """What a shard has been told since it identified itself."""

    def __init__(self, session_id: str, shard: int, intents: int):
        self.id, self.shard, self.intents = session_id, shard, intents
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.connection: Connection | None = None
        self.is_resumable = True

    def tell(self, event: str, data: dict[str, Any]) -> None:
        self.events.append((event, data))
        self._send(len(self.events))

    def _send(self, seq: int) -> None:
        if self.connection is not None:
            event, data = self.events[seq - 1]
            self.connection.send(DISPATCH, data, seq=seq, event=event)

    def replay(self, after: int) -> None:
        for seq in range(after + 1, len(self.events) + 1):
            self._send(seq)


class Gateway(World):
    """The sessions of all shards, and what a test can do to them."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.gateway_log: list[tuple[str, Any]] = []
        """("identify" or "resume", its data) as they came; ("close", code) for what was refused."""
        self.token = "the-bot-token"
        self.application_flags = 0
        self.heartbeat_interval_ms = 41_250
        self.allowed_intents = KNOWN_INTENTS & ~PRIVILEGED
        self._closing: set[asyncio.Task[None]] = set()
        super().__init__()

    def touch(self) -> None:
        raise NotImplementedError

    @property
    def gateway_url(self) -> str:
        return self.url_root.replace("http", "ws") + "/gateway/"

    @property
    def is_connected(self) -> bool:
        """Is there a live session of every shard?"""
        return {s.shard for s in self.sessions.values() if s.connection} == set(range(self.shards))

    def emit(self, event: str, data: dict[str, Any], *, guild: Guild | None, needs: str = "") -> bool:
        """True where a session of the right shard gets it, at once or when it comes back."""
        shard, told = (guild.id >> 22) % self.shards if guild else 0, False
        for session in self.sessions.values():
            wanted = not needs or session.intents & INTENTS[needs]
            if session.shard == shard and wanted and (guild is None or guild.has_bot or event == "GUILD_DELETE"):
                session.tell(event, data)
                told = True
        self.touch()
        return told

    async def gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=4096, compress=False)
        await socket.prepare(request)
        connection = Connection(socket, request.transport, request.query.get("compress"))
        connection.send(HELLO, {"heartbeat_interval": self.heartbeat_interval_ms})
        session = None
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                session = await self._hear(connection, session, json.loads(message.data))
        finally:
            connection.forget()
            self._leave(session, connection, socket.close_code)
        return socket

    async def _hear(self, connection: Connection, session: Session | None, frame: dict[str, Any]) -> Session | None:
        op, data = frame["op"], frame.get("d")
        if op == HEARTBEAT:
            connection.send(ACK)
        elif op in (IDENTIFY, RESUME) and session is not None:
            await self._refuse(connection, 4005, "Already authenticated.")
        elif op == IDENTIFY:
            return await self._identify(connection, data)
        elif op == RESUME:
            return await self._resume(connection, data)
        elif session is None:
            await self._refuse(connection, 4003, "Not authenticated.")
        return session

    async def _refuse(self, connection: Connection, code: int, reason: str) -> None:
        self.gateway_log.append(("close", code))
        self.touch()
        await connection.close(code, reason)

    async def _identify(self, connection: Connection, data: dict[str, Any]) -> Session | None:
        self.gateway_log.append(("identify", data))
        shard, count = data.get("shard", (0, 1))
        intents = data.get("intents")
        if data.get("token") != self.token:
            await self._refuse(connection, 4004, "Authentication failed.")
        elif not 0 <= shard < count:
            await self._refuse(connection, 4010, "Invalid shard.")
        elif count < self.shards:
            await self._refuse(connection, 4011, "Sharding required.")
        elif not isinstance(intents, int) or intents & ~KNOWN_INTENTS:
            await self._refuse(connection, 4013, "Invalid intent(s).")
        elif intents & ~self.allowed_intents:
            await self._refuse(connection, 4014, "Disallowed intent(s).")
        else:
            return self._start(connection, shard, count, intents)
        return None

    def _start(self, connection: Connection, shard: int, count: int, intents: int) -> Session:
        for old in [s for s in self.sessions.values() if s.shard == shard and s.connection is None]:
            del self.sessions[old.id]
        session = Session(f"{self.new_id():x}", shard, intents)
        session.connection = connection
        self.sessions[session.id] = session
        self.reads_all_messages = bool(intents & INTENTS["message_content"])
        guilds = [g for g in self.guilds.values() if g.has_bot and (g.id >> 22) % count == shard]
        session.tell(
            "READY",
            {
                "v": 10,
                "user": self.me_json(),
                "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
                "session_id": session.id,
                "resume_gateway_url": self.gateway_url,
                "shard": [shard, count],
                "application": {"id": str(self.application_id), "flags": self.application_flags},
            },
        )
        if intents & INTENTS["guilds"]:
            for guild in guilds:
                session.tell("GUILD_CREATE", self.guild_json(guild, whole=True))
        self.touch()
        return session

    async def _resume(self, connection: Connection, data: dict[str, Any]) -> Session | None:
        self.gateway_log.append(("resume", data))
        session = self.sessions.get(data.get("session_id"))
        if data.get("token") != self.token:
            await self._refuse(connection, 4004, "Authentication failed.")
            return None
        if session is None or not session.is_resumable or not 0 <= (data.get("seq") or 0) <= len(session.events):
            connection.send(INVALID_SESSION, False)
            return None
        if session.connection is not None:
            session.connection.break_off()
        session.connection = connection
        session.replay(data.get("seq") or 0)
        session.tell("RESUMED", {})
        self.touch()
        return session

    def _leave(self, session: Session | None, connection: Connection, code: int | None) -> None:
        if session is None or session.connection is not connection:
            return
        session.connection = None
        if code in (1000, 1001) or not session.is_resumable:
            self.sessions.pop(session.id, None)
        self.touch()

    def me_json(self) -> dict[str, Any]:
        return self.bot.json() | {"verified": True, "mfa_enabled": False, "email": None, "locale": "en-US"}

    def _connected(self) -> list[Session]:
        return [session for session in self.sessions.values() if session.connection is not None]

    async def drop_gateway(self, code: int | None = None) -> None:
        """Every connection ends: with a close code, or broken off. The sessions can be resumed."""
        for session in self._connected():
            connection, session.connection = session.connection, None
            if code is None:
                connection.break_off()
            else:
                await connection.close(code)
        self.touch()

    async def ask_reconnect(self) -> None:
        for session in self._connected():
            session.connection.send(RECONNECT)

    async def invalidate_session(self, *, resumable: bool = False) -> None:
        for session in self._connected():
            session.is_resumable = resumable
            session.connection.send(INVALID_SESSION, resumable)

    def revoke_token(self) -> None:
        """As the button in the developer portal: 401 for everything, and the gateway closes with 4004."""
        self.token = "revoked"
        for session in self._connected():
            closing = asyncio.create_task(session.connection.close(4004, "Authentication failed."))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self.sessions.clear()

    async def _end_gateway(self) -> None:
        await asyncio.gather(*(s.connection.close(WSCloseCode.GOING_AWAY) for s in self._connected()))
