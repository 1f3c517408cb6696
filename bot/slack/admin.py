"""`/limner-admin …` on Slack: who may is asked of Slack at each use, and the text is `bot.orders`'s own."""

from bot.admin import Actor, Admin
from bot.jobs import Identity, Job, Person, Place
from bot.orders import Authority
from bot.slack import messages
from bot.slack.adapter import SlackAdapter
from bot.slack.interactions import Turn
from bot.slack.messages import moment
from bot.slack.people import People


class WorkspacePlatform:
    """What orders need of Slack, asked when it is needed."""

    def __init__(self, people: People, adapter: SlackAdapter):
        self._people, self._adapter = people, adapter

    async def member(self, workspace_id: str, user_id: str) -> Identity | None:
        if user_id[:1] not in ("U", "W"):
            return None
        found = await self._people.member(user_id)
        return Identity("slack", workspace_id, user_id, found.name) if found and not found.is_bot else None

    async def role(self, workspace_id: str, text: str) -> tuple[str, str] | None:
        found = [(group.id, group.name) for group in await self._people.groups() if text in (group.id, group.name)]
        return found[0] if found else None

    async def remove(self, job: Job) -> None:
        if job.place.message_id:
            await self._adapter.remove(job)


async def give(
    admin: Admin, people: People, adapter: SlackAdapter, turn: Turn, person: Person, place: Place, text: str
) -> None:
    """Carry the order out and say so to its giver alone. Raises Refused."""
    asked = turn.asked
    found = Authority.ADMIN if await people.is_admin(asked.user_id) else Authority.NOBODY
    authority = admin.authority(Identity("slack", place.workspace_id, asked.user_id), found)
    actor = Actor(person, authority, place)
    answer = await admin.administer(actor, text, key=asked.key, when=moment, quote=messages.plain)
    files = list(answer.files)
    if len(answer.text) > messages.MAX_TEXT:
        files.append(("limner.txt", answer.text.encode()))
    for name, data in files:
        await adapter.send_alone(asked.user_id, name, data, alt_text=name)
    await turn.tell(messages.answer(answer.text))
