"""Who somebody is, asked of Slack and known for at most five minutes: who may draw, who is an admin."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from bot.errors import NotServed
from bot.orders import Authority
from bot.settings import Settings
from bot.slack.web import UNREACHED, USER_GROUPS, Web

log = logging.getLogger(__name__)

KNOWN_SECONDS = 300.0
MOST_KNOWN = 20_000
_PATIENCE_SECONDS = 1.0  # Slack waits for three


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    is_admin: bool = False
    is_guest: bool = False
    is_stranger: bool = False
    is_deactivated: bool = False
    is_bot: bool = False


class People:
    def __init__(self, settings: Settings, web: Web):
        self._settings, self._web = settings, web
        self._known: dict[str, tuple[float, asyncio.Task[Any]]] = {}

    async def require_may_draw(self, user_id: str) -> Member:
        """Raises NotServed for whom the operator does not serve, and for whoever Slack does not tell of."""
        member = await self.member(user_id)
        if member is None:
            raise NotServed("unseen")
        if member.is_deactivated or member.is_bot:
            raise NotServed("deactivated")
        if member.is_stranger and not self._settings.slack_strangers:
            raise NotServed("stranger")
        if member.is_guest and not self._settings.slack_guests:
            raise NotServed("guest")
        return member

    def known(self, user_id: str) -> Member | None:
        """Without asking Slack."""
        until, asking = self._known.get(user_id, (0.0, None))
        return asking.result() if asking and asking.done() and until > time.monotonic() else None

    async def authority(self, user_id: str) -> Authority:
        """NOBODY's where Slack does not say who it is."""
        member, settings = await self.member(user_id), self._settings
        if member is None or member.is_deactivated:
            return Authority.NOBODY
        of_workspace = settings.slack_workspace_admins and member.is_admin and not member.is_stranger
        if of_workspace or user_id in settings.slack_admins:
            return Authority.ADMIN
        return Authority.MODERATOR if user_id in settings.slack_moderators else Authority.NOBODY

    async def member(self, user_id: str) -> Member | None:
        """None where Slack does not say."""
        found: Member | None = await self._asked(user_id, lambda: self._ask(user_id))
        return found

    async def groups(self) -> list[Mapping[str, Any]]:
        """The workspace's user groups, as Slack tells them; none where it does not in time, or may not be asked."""
        if USER_GROUPS not in self._web.scopes:
            return []
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await self._asked("groups", self._ask_groups) or []
        except TimeoutError:
            return []

    async def roles(self, user_id: str) -> list[str]:
        """The ids of the user groups that somebody is in."""
        return [group["id"] for group in await self.groups() if user_id in group.get("users", ())]

    async def _asked(self, name: str, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What was asked of Slack less than five minutes ago, or is asked now; None is asked again."""
        until, asking = self._known.get(name, (0.0, None))
        if asking is None or until < time.monotonic():
            asking = asyncio.create_task(ask())
            self._known[name] = (time.monotonic() + KNOWN_SECONDS, asking)
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        found = await asyncio.shield(asking)
        if found is None and self._known.get(name, (0.0, None))[1] is asking:
            del self._known[name]
        return found

    async def _ask_groups(self) -> list[Mapping[str, Any]] | None:
        try:
            return (await self._web.usergroups_list(include_users=True)).get("usergroups") or []
        except UNREACHED as error:
            log.warning("Slack does not say what user groups there are: %s", type(error).__name__)
            return None

    async def _ask(self, user_id: str) -> Member | None:
        try:
            user = (await self._web.users_info(user=user_id)).get("user") or {}
        except UNREACHED as error:
            log.warning("Slack does not say who somebody is: %s", type(error).__name__)
            return None
        profile = user.get("profile") or {}
        teams = {user.get("team_id"), *(user.get("enterprise_user") or {}).get("teams", ())}
        name = profile.get("display_name") or user.get("real_name") or user.get("name") or user_id
        return Member(
            name=str(name)[:80],
            is_admin=any(user.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner")),
            is_guest=any(user.get(flag) for flag in ("is_restricted", "is_ultra_restricted")),
            is_stranger=bool(user.get("is_stranger")) or self._web.team_id not in teams,
            is_deactivated=bool(user.get("deleted")), is_bot=bool(user.get("is_bot")),
        )  # fmt: skip
