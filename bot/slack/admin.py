"""What the orders of `/limner-admin …` need of Slack, asked when it is needed."""

from bot.errors import BadOption
from bot.jobs import Identity, Job
from bot.slack.adapter import SlackAdapter
from bot.slack.people import People
from bot.slack.web import USER_GROUPS, Web


class WorkspacePlatform:
    def __init__(self, web: Web, people: People, adapter: SlackAdapter):
        self._web, self._people, self._adapter = web, people, adapter

    def reaches(self, workspace_id: str) -> bool:
        return workspace_id == self._web.team_id

    async def member(self, workspace_id: str, user_id: str) -> tuple[Identity, list[str]] | None:
        if user_id[:1] not in ("U", "W"):
            return None
        found = await self._people.member(user_id)
        if found is None or found.is_bot:
            return None
        return Identity("slack", workspace_id, user_id, found.name), await self._people.roles(user_id)

    async def role(self, workspace_id: str, text: str) -> tuple[str, str] | None:
        if USER_GROUPS not in self._web.scopes:
            fix = "whoever runs me adds it with `limner slack-manifest --user-groups`"
            raise BadOption("quota role", f"needs the scope {USER_GROUPS} of Slack", allowed=fix)
        names = {group["id"]: group.get("handle") or group["id"] for group in await self._people.groups()}
        found = [(each, name) for each, name in names.items() if text in (each, name)]
        return found[0] if found else None

    async def remove(self, job: Job) -> None:
        await self._adapter.remove(job)
