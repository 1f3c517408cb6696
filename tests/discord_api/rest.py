"""The routes under /api/v10: each request is noted, authorised, perhaps spoilt, and answered."""

import json
import re
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from tests.discord_api import contract, rules
from tests.discord_api.faults import Fault, Faults, rate_limited
from tests.discord_api.interactions import Interactions
from tests.discord_api.posts import Request
from tests.discord_api.rules import Refusal, invalid_form, unauthorized, unknown
from tests.discord_api.things import NEWS, TEXT, Channel, Guild, Permission

PREFIX = "/api/v10"
ROUTES = """
GET    /gateway                                                                get_gateway
GET    /gateway/bot                                                            get_bot_gateway
GET    /users/@me                                                              get_me
GET    /users/@me/guilds                                                       get_my_guilds
POST   /users/@me/channels                                                     post_dm
GET    /users/{user_id}                                                        get_user
GET    /applications/@me                                                       get_application
GET    /oauth2/applications/@me                                                get_application
GET    /applications/{application_id}/commands                                 get_commands
PUT    /applications/{application_id}/commands                                 put_commands
GET    /applications/{application_id}/guilds/{guild_id}/commands               get_commands
PUT    /applications/{application_id}/guilds/{guild_id}/commands               put_commands
GET    /guilds/{guild_id}                                                      get_guild
GET    /guilds/{guild_id}/channels                                             get_channels
GET    /guilds/{guild_id}/members/{user_id}                                    get_member
GET    /guilds/{guild_id}/threads/active                                       get_active_threads
GET    /channels/{channel_id}                                                  get_channel
PATCH  /channels/{channel_id}                                                  patch_channel
POST   /channels/{channel_id}/typing                                           post_typing
GET    /channels/{channel_id}/messages                                         get_messages
POST   /channels/{channel_id}/messages                                         post_message
GET    /channels/{channel_id}/messages/{message_id}                            get_message
PATCH  /channels/{channel_id}/messages/{message_id}                            patch_message
DELETE /channels/{channel_id}/messages/{message_id}                            remove_message
POST   /channels/{channel_id}/messages/{message_id}/threads                    post_thread
PUT    /channels/{channel_id}/thread-members/@me                               put_thread_member
PUT    /channels/{channel_id}/thread-members/{user_id}                         put_thread_member
POST   /interactions/{interaction_id}/{interaction_token}/callback             callback
POST   /webhooks/{webhook_id}/{webhook_token}                                  hook_post
GET    /webhooks/{webhook_id}/{webhook_token}/messages/@original               hook_get
PATCH  /webhooks/{webhook_id}/{webhook_token}/messages/@original               hook_patch
DELETE /webhooks/{webhook_id}/{webhook_token}/messages/@original               hook_delete
GET    /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}            hook_get
PATCH  /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}            hook_patch
DELETE /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}            hook_delete
"""
TOKENLESS = ("/interactions/", "/webhooks/")
ARCHIVE_MINUTES = (60, 1440, 4320, 10080)


def _compiled() -> list[tuple[str, str, re.Pattern[str], str]]:
    found = []
    for line in ROUTES.split("\n"):
        if line:
            method, template, name = line.split()
            pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template)
            found.append((method, template, re.compile(pattern), name))
    return found


def _ids(found: dict[str, str]) -> dict[str, Any]:
    """Path parameters; ids become integers, tokens and a webhook's message stay as they are."""
    is_hook = "webhook_token" in found
    values: dict[str, Any] = {}
    for key, value in found.items():
        is_number = key.endswith("_id") and not (is_hook and key == "message_id")
        if is_number and not value.isdigit():
            raise invalid_form(key, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
        values[key] = int(value) if is_number else value
    return values


class Rest(Faults, Interactions):
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.downloads: list[str] = []
        """The paths of the files that were fetched."""
        self.commands: dict[int | None, list[dict[str, Any]]] = {}
        """As registered: those of a guild by its id, the global ones under None."""
        self.max_active_threads = 1000
        self.crashes: list[str] = []
        """What went wrong in the stand-in itself."""
        self._unchecked: list[tuple[str, str, str, dict[str, str], bytes]] = []
        self._violations: list[str] = []
        self._routes = _compiled()
        super().__init__()

    # the contract

    @property
    def has_contracts(self) -> bool:
        return contract.is_at_hand()

    @property
    def violations(self) -> list[str]:
        """What Discord's description objects to in the requests so far; checked here, so that nobody waits for it."""
        while self._unchecked:
            request = self._unchecked.pop(0)
            if self.has_contracts:
                self._violations += contract.violations(*request)
        return self._violations

    def assert_valid(self) -> None:
        """Every request so far was one that Discord describes and that this stand-in knows."""
        strange = [f"{r.method} {r.path}" for r in self.requests if not r.template]
        assert not strange, f"not in the stand-in: {strange}"
        assert not self.crashes, self.crashes[0]
        assert not self.violations, "\n".join(self.violations)

    def asked(self, method: str, template: str) -> list[Request]:
        """The requests for one route, as `"PATCH", "/channels/{channel_id}/messages/{message_id}"`."""
        return [request for request in self.requests if (request.method, request.template) == (method, template)]

    # the way of a request

    async def api(self, incoming: web.Request) -> web.StreamResponse:
        body = await incoming.read()
        path = incoming.path.removeprefix(PREFIX)
        template, call = self._route(incoming.method, path)
        headers = dict(incoming.headers)
        request = Request(incoming.method, path, template, dict(incoming.query), headers, None, {}, self.clock())
        self.requests.append(request)
        if self.has_contracts:
            kept = body if len(body) <= rules.REQUEST_LIMIT_BYTES else b""
            self._unchecked.append((incoming.method, path, incoming.query_string, headers, kept))
        faults = self._faults_of(incoming.method, path, template)
        spoilt = await self._delay(faults, is_after=False)
        limits = self._take(incoming.method, path, template)
        if spoilt is not None:
            return self._spoil(incoming, request, spoilt)
        if limits.get("X-RateLimit-Remaining") == "-1":
            document, more = rate_limited(float(limits["X-RateLimit-Reset-After"]), "user")
            return self._finish(request, 429, document, limits | more | {"X-RateLimit-Remaining": "0"})
        try:
            self._parse(request, body)
            self._authorise(request)
            if call is None:
                raise Refusal(404, 0, "404: Not Found")
            status, document = call(request)
        except Refusal as refusal:
            status, document = refusal.status, refusal.json()
        except Exception:
            self.crashes.append(traceback.format_exc())
            status, document = 500, {"message": "500: Internal Server Error", "code": 0}
        request.status, request.answer = status, document
        spoilt = await self._delay(faults, is_after=True)
        if spoilt is not None:
            return self._spoil(incoming, request, spoilt)
        return self._finish(request, status, document, limits)

    def _route(self, method: str, path: str) -> tuple[str, Callable[[Request], tuple[int, Any]] | None]:
        for known, template, pattern, name in self._routes:
            if known == method and (found := pattern.fullmatch(path)):
                groups = found.groupdict()
                if "messages/@original" in template:
                    groups["message_id"] = "@original"
                return template, partial(self._call, name, groups)
        return "", None

    def _call(self, name: str, groups: dict[str, str], request: Request) -> tuple[int, Any]:
        return getattr(self, name)(request, **_ids(groups))

    def _parse(self, request: Request, body: bytes) -> None:
        if len(body) > rules.REQUEST_LIMIT_BYTES:
            raise Refusal(413, 40005, "Request entity too large")
        content_type = request.headers.get("Content-Type", "")
        try:
            if content_type.startswith("multipart/form-data"):
                fields, request.files = rules.parse_multipart(content_type, body)
                request.form = json.loads(fields.get("payload_json", b"{}"))
            elif body:
                request.form = json.loads(body)
        except ValueError:
            raise Refusal(400, 50109, "The request body contains invalid JSON.") from None

    def _authorise(self, request: Request) -> None:
        if request.path.startswith(TOKENLESS):
            return
        if request.headers.get("Authorization") != f"Bot {self.token}" or self.token == "revoked":
            raise unauthorized()

    def _take(self, method: str, path: str, template: str) -> dict[str, str]:
        """Rate-limit headers: those of a limit that a test set, else generous ones."""
        major = "/".join(path.split("/")[1:3])
        headers = {"X-RateLimit-Bucket": f"{hash((method, template)) & 0xFFFFFFFF:08x}"}
        for bucket in self.buckets:
            if bucket.method in (None, method) and (bucket.pattern == template or re.fullmatch(bucket.pattern, path)):
                remaining, whole_after, allowed = bucket.take(major, self.clock())
                return headers | {
                    "X-RateLimit-Limit": str(bucket.limit),
                    "X-RateLimit-Remaining": str(remaining if allowed else -1),
                    "X-RateLimit-Reset": f"{self.clock() + whole_after:.3f}",
                    "X-RateLimit-Reset-After": f"{whole_after:.3f}",
                }
        return headers | {
            "X-RateLimit-Limit": "1000",
            "X-RateLimit-Remaining": "999",
            "X-RateLimit-Reset": f"{self.clock() + 1:.3f}",
            "X-RateLimit-Reset-After": "1.000",
        }

    def _spoil(self, incoming: web.Request, request: Request, fault: Fault) -> web.Response:
        if fault.drops:
            request.status = None
            incoming.transport.abort()
            self.touch()
            return web.Response()
        return self._finish(request, fault.status, fault.body, fault.headers)

    def _finish(self, request: Request, status: int, document: Any, headers: dict[str, str]) -> web.Response:
        request.status, request.answer = status, document
        self.touch()
        if status == 204:
            return web.Response(status=204, headers=headers)
        text = json.dumps(document).encode()
        return web.Response(status=status, body=text, content_type="application/json", headers=headers)

    async def download(self, incoming: web.Request) -> web.Response:
        self.downloads.append(incoming.path)
        faults = self._faults_of("GET", incoming.path, "")
        fault = await self._delay(faults, is_after=False)
        if fault is not None and fault.drops:
            incoming.transport.abort()
            return web.Response()
        if fault is not None:
            return web.Response(status=fault.status, headers=fault.headers)
        attachment = self.files.get(incoming.path)
        if attachment is None or self.clock() > int(incoming.query.get("ex", "0"), 16):
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=attachment.data, content_type=attachment.content_type)

    # who and where

    def get_gateway(self, request: Request) -> tuple[int, Any]:
        return 200, {"url": self.gateway_url}

    def get_bot_gateway(self, request: Request) -> tuple[int, Any]:
        limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
        return 200, {"url": self.gateway_url, "shards": self.shards, "session_start_limit": limit}

    def get_me(self, request: Request) -> tuple[int, Any]:
        return 200, self.me_json()

    def get_user(self, request: Request, user_id: int) -> tuple[int, Any]:
        if user_id not in self.users:
            raise unknown("User")
        return 200, self.users[user_id].json()

    def get_application(self, request: Request) -> tuple[int, Any]:
        return 200, {
            "id": str(self.application_id),
            "name": "Limner",
            "icon": None,
            "description": "",
            "summary": "",
            "type": None,
            "bot": self.bot.json(),
            "bot_public": False,
            "bot_require_code_grant": False,
            "is_monetized": False,
            "verify_key": "0" * 64,
            "flags": self.application_flags,
            "flags_new": str(self.application_flags),
            "owner": self.owner.json(),
            "team": None,
            "redirect_uris": [],
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "approximate_guild_count": len(self.guilds),
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "integration_types_config": {"0": {}},
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": [],
        }

    def get_my_guilds(self, request: Request) -> tuple[int, Any]:
        after, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "200"))
        mine = sorted((g for g in self.guilds.values() if g.has_bot and g.id > after), key=lambda g: g.id)
        return 200, [
            {
                "id": str(guild.id),
                "name": guild.name,
                "icon": None,
                "banner": None,
                "owner": False,
                "features": [],
                "permissions": str(int(self._guild_permissions(guild))),
            }
            for guild in mine[:limit]
        ]

    def _guild_permissions(self, guild: Guild) -> Permission:
        held = guild.everyone.permissions
        for role in guild.members[self.bot.id]:
            held |= guild.roles[role].permissions
        return held

    def _guild(self, guild_id: int) -> Guild:
        guild = self.guilds.get(guild_id)
        if guild is None:
            raise unknown("Guild")
        if not guild.has_bot:
            raise Refusal(403, 50001, "Missing Access")
        return guild

    def get_guild(self, request: Request, guild_id: int) -> tuple[int, Any]:
        return 200, self.guild_json(self._guild(guild_id))

    def get_channels(self, request: Request, guild_id: int) -> tuple[int, Any]:
        guild = self._guild(guild_id)
        channels = [c for c in self.channels.values() if c.guild is guild and not c.is_thread]
        return 200, [self.channel_json(channel) for channel in channels]

    def get_active_threads(self, request: Request, guild_id: int) -> tuple[int, Any]:
        guild = self._guild(guild_id)
        threads = [c for c in self.channels.values() if c.guild is guild and c.is_thread and not c.archived]
        return 200, {"threads": [self.channel_json(thread) for thread in threads], "members": [], "has_more": False}

    def get_member(self, request: Request, guild_id: int, user_id: int) -> tuple[int, Any]:
        guild = self._guild(guild_id)
        if user_id not in guild.members:
            raise Refusal(404, 10007, "Unknown Member")
        return 200, self.member_json(guild, self.users[user_id])

    def post_dm(self, request: Request) -> tuple[int, Any]:
        user = self.users.get(int(request.form["recipient_id"]))
        if user is None:
            raise unknown("User")
        return 200, self.channel_json(self.dm(user))

    # commands

    def _scope(self, application_id: int, guild_id: int | None) -> int | None:
        if application_id != self.application_id:
            raise Refusal(403, 20012, "You are not authorized to perform this action on this application")
        return self._guild(guild_id).id if guild_id else None

    def get_commands(self, request: Request, application_id: int, guild_id: int | None = None) -> tuple[int, Any]:
        found = self.commands.get(self._scope(application_id, guild_id), [])
        if request.query.get("with_localizations", "").lower() not in ("true", "1"):
            found = [{k: v for k, v in command.items() if not k.endswith("_localizations")} for command in found]
        return 200, found

    def put_commands(self, request: Request, application_id: int, guild_id: int | None = None) -> tuple[int, Any]:
        scope = self._scope(application_id, guild_id)
        rules.check_commands(request.form)
        known = {(c["name"], c["type"]): c["id"] for c in self.commands.get(scope, [])}
        fixed = {"application_id": str(self.application_id)} | ({"guild_id": str(scope)} if scope else {})
        self.commands[scope] = []
        for form in request.form:
            new = self.new_id()
            defaults = {"type": 1, "description": "", "nsfw": False, "default_member_permissions": None}
            if not scope:
                defaults |= {"contexts": None, "integration_types": [0]}
            command = defaults | {key: value for key, value in form.items() if value is not None}
            command |= fixed | {"version": str(new)}
            if command["default_member_permissions"] is not None:
                command["default_member_permissions"] = str(command["default_member_permissions"])
            command["id"] = known.get((command["name"], command["type"]), str(new))
            self.commands[scope].append(command)
        return 200, self.commands[scope]

    # channels and threads

    def get_channel(self, request: Request, channel_id: int) -> tuple[int, Any]:
        return 200, self.channel_json(self.place(channel_id))

    def patch_channel(self, request: Request, channel_id: int) -> tuple[int, Any]:
        channel, form = self.place(channel_id), request.form
        if not channel.is_thread:
            self.need(channel, Permission.MANAGE_CHANNELS)
            channel.name, channel.nsfw = form.get("name", channel.name), form.get("nsfw", channel.nsfw)
            return 200, self.channel_json(channel)
        manages = Permission.MANAGE_THREADS in self.permissions(self.bot, channel)
        opens = set(form) == {"archived"} and form["archived"] is False
        if channel.archived and not opens and form.get("archived") is not False:
            raise Refusal(400, 50083, "Thread is archived")
        if (channel.locked or "locked" in form) and not manages:
            raise Refusal(403, 50013, "Missing Permissions")
        if opens:
            self.need(channel, Permission.SEND_MESSAGES_IN_THREADS)
        elif channel.owner_id != self.bot.id and not manages:
            raise Refusal(403, 50013, "Missing Permissions")
        rules.within("name", form.get("name", channel.name), 1, 100)
        channel.name = form.get("name", channel.name)
        channel.auto_archive_minutes = form.get("auto_archive_duration", channel.auto_archive_minutes)
        self.archive(channel, archived=form.get("archived", channel.archived), locked=form.get("locked"))
        return 200, self.channel_json(channel)

    def post_thread(self, request: Request, channel_id: int, message_id: int) -> tuple[int, Any]:
        channel, form = self.place(channel_id), request.form
        if channel.type not in (TEXT, NEWS):
            raise Refusal(400, 50024, "Cannot execute action on this channel type")
        message = self.message_at(channel_id, message_id)
        self.need(channel, Permission.CREATE_PUBLIC_THREADS)
        rules.within("name", form.get("name"), 1, 100)
        minutes = form.get("auto_archive_duration") or 1440
        if minutes not in ARCHIVE_MINUTES:
            raise invalid_form("auto_archive_duration", "BASE_TYPE_CHOICES", f"Must be one of {ARCHIVE_MINUTES}.")
        if message.thread is not None or message.id in self.channels:
            raise Refusal(400, 160004, "A thread has already been created for this message")
        if sum(c.guild is channel.guild and c.is_thread and not c.archived for c in self.channels.values()) >= (
            self.max_active_threads
        ):
            raise Refusal(400, 160006, "Maximum number of active threads reached")
        thread = self.add_thread(channel, form["name"], of=message)
        thread.auto_archive_minutes = minutes
        return 201, self.channel_json(thread)

    def put_thread_member(self, request: Request, channel_id: int, user_id: int | None = None) -> tuple[int, Any]:
        thread = self._thread(channel_id)
        if thread.archived:
            raise Refusal(400, 50083, "Thread is archived")
        if user_id is not None:
            self.need(thread, Permission.SEND_MESSAGES_IN_THREADS)
            if user_id not in thread.guild.members:
                raise unknown("User")
        thread.thread_members.add(user_id or self.bot.id)
        return 204, None

    def _thread(self, channel_id: int) -> Channel:
        thread = self.place(channel_id)
        if not thread.is_thread:
            raise Refusal(400, 50024, "Cannot execute action on this channel type")
        return thread

    def post_typing(self, request: Request, channel_id: int) -> tuple[int, Any]:
        self.place(channel_id)
        return 204, None

    # messages

    def get_messages(self, request: Request, channel_id: int) -> tuple[int, Any]:
        channel, query = self.place(channel_id), request.query
        limit = int(query.get("limit", "50"))
        if not 1 <= limit <= 100:
            raise invalid_form("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
        if Permission.READ_MESSAGE_HISTORY not in self.permissions(self.bot, channel):
            return 200, []
        found = sorted(channel.messages, key=lambda message: message.id)
        if "after" in query:
            found = [m for m in found if m.id > int(query["after"])][:limit]
        elif "before" in query:
            found = [m for m in found if m.id < int(query["before"])]
        return 200, [self.message_json(message) for message in reversed(found[-limit:])]

    def get_message(self, request: Request, channel_id: int, message_id: int) -> tuple[int, Any]:
        message = self.message_at(channel_id, message_id)
        if Permission.READ_MESSAGE_HISTORY not in self.permissions(self.bot, message.channel):
            raise Refusal(403, 50001, "Missing Access")
        return 200, self.message_json(message)

    def post_message(self, request: Request, channel_id: int) -> tuple[int, Any]:
        return 200, self.message_json(self.send_as_bot(self.place(channel_id), request))

    def patch_message(self, request: Request, channel_id: int, message_id: int) -> tuple[int, Any]:
        return 200, self.message_json(self.edit_as_bot(self.message_at(channel_id, message_id), request))

    def remove_message(self, request: Request, channel_id: int, message_id: int) -> tuple[int, Any]:
        message = self.message_at(channel_id, message_id)
        if message.channel.archived:
            raise Refusal(400, 50083, "Thread is archived")
        if message.author is not self.bot:
            self.need(message.channel, Permission.MANAGE_MESSAGES)
        self.delete_message(message)
        return 204, None
