"""Who somebody is, asked of Slack and known for at most five minutes: who may draw, who is an admin."""

import asyncio
import logging
import time
from dataclasses import dataclass

from bot.errors import NotServed
from bot.settings import Settings
from bot.slack.web import UNREACHED, Web

log = logging.getLogger(__name__)

KNOWN_SECONDS = 300.0
MOST_KNOWN = 20_000
_PATIENCE_SECONDS = 1.0  # Slack waits for three


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    team_id: str
    is_admin: bool = False
    is_guest: bool = False
    is_stranger: bool = False
    is_deactivated: bool = False
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A user group of the workspace."""

    id: str
    name: str
    members: frozenset[str]


class People:
    def __init__(self, settings: Settings, web: Web):
        self._groups: tuple[float, asyncio.Task[list[Group]] | None] = (0.0, None)
        self._settings, self._web = settings, web
        self._known: dict[str, tuple[float, asyncio.Task[Member | None]]] = {}

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

    async def is_admin(self, user_id: str) -> bool:
        member = await self.member(user_id)
        if member is None or member.is_deactivated:
            return False
        of_workspace = self._settings.slack_workspace_admins and member.is_admin and not member.is_stranger
        return of_workspace or user_id in self._settings.slack_admins

    async def member(self, user_id: str) -> Member | None:
        """None where Slack does not say."""
        until, asking = self._known.get(user_id, (0.0, None))
        if asking is None or until < time.monotonic():
            asking = asyncio.create_task(self._ask(user_id))
            self._known[user_id] = (time.monotonic() + KNOWN_SECONDS, asking)
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        found = await asyncio.shield(asking)
        if found is None and self._known.get(user_id, (0.0, None))[1] is asking:
            del self._known[user_id]
        return found

    async def groups(self) -> list[Group]:
        """The workspace's user groups; none where Slack does not say in time."""
        until, asking = self._groups
        if asking is None or until < time.monotonic():
            asking = asyncio.create_task(self._ask_groups())
            self._groups = (time.monotonic() + KNOWN_SECONDS, asking)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await asyncio.shield(asking)
        except TimeoutError:
            return []

    async def roles(self, user_id: str) -> list[str]:
        """The ids of the user groups that somebody is in."""
        return [group.id for group in await self.groups() if user_id in group.members]

    async def _ask_groups(self) -> list[Group]:
        try:
            found = (await self._web.usergroups_list(include_users=True)).get("usergroups") or []
        except UNREACHED as error:
            log.warning("Slack does not say what user groups there are: %s", type(error).__name__)
            self._groups = (0.0, None)
            return []
        return [
            Group(each["id"], each.get("handle") or each["id"], frozenset(each.get("users") or ())) for each in found
        ]

    async def _ask(self, user_id: str) -> Member | None:
        try:
            user = (await self._web.users_info(user=user_id)).get("user") or {}
        except UNREACHED as error:
            log.warning("Slack does not say who %s is: %s", user_id, type(error).__name__)
            return None
        profile = user.get("profile") or {}
        teams = {user.get("team_id"), *(user.get("enterprise_user") or {}).get("teams", ())}
        name = profile.get("display_name") or user.get("real_name") or user.get("name") or user_id
        return Member(
            name=str(name)[:80], team_id=user.get("team_id", ""),
            is_admin=any(user.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner")),
            is_guest=any(user.get(flag) for flag in ("is_restricted", "is_ultra_restricted")),
            is_stranger=bool(user.get("is_stranger")) or self._web.team_id not in teams,
            is_deactivated=bool(user.get("deleted")), is_bot=bool(user.get("is_bot")),
        )  # fmt: skip
