"""The App Home: units, defaults, the last pictures, and for admins the queue."""

from collections.abc import Callable, Mapping, Sequence

from slack_sdk.errors import SlackApiError

from bot import answers, wording
from bot.allowances import EVERYWHERE
from bot.controls import Control, Press
from bot.jobs import Job, Person, Place, Status
from bot.phrases import clip
from bot.slack import messages
from bot.slack.faults import Fault, fault
from bot.slack.forms import View, plain_text
from bot.slack.messages import Block, moment
from bot.slack.web import Web
from bot.store import Account, Halt, Store
from bot.studio import Studio
from bot.views import QueueView

LAST_PICTURES = 3

Pictures = Sequence[tuple[Job, Mapping[int, str]]]  # with the files that Slack keeps of them


class Home:
    def __init__(self, web: Web, studio: Studio, store: Store, now_ms: Callable[[], int]):
        self._web, self._studio, self._store, self._now_ms = web, studio, store, now_ms

    async def tell(self, user_id: str, it: wording.Sentence) -> None:
        """In place of everything else."""
        await self._web.views_publish(user_id=user_id, view={"type": "home", "blocks": messages.sentence(it)["blocks"]})

    async def publish(self, person: Person, user_id: str, *, is_admin: bool) -> None:
        studio, store = self._studio, self._store
        last = [job for job in await studio.history(person, 10) if job.stored][:LAST_PICTURES]
        own: Pictures = [(job, await store.chat.uploads(job.id)) for job in last]
        queue = await studio.queue(person) if is_admin else None
        halts = await store.rules.pauses(self._now_ms()) if is_admin else {}
        pause = halts.get(("slack", self._web.team_id)) or halts.get(EVERYWHERE)
        quota = await studio.quota(person, Place("slack", self._web.team_id))
        defaults = self._web.named(answers.settings(await studio.settings(person)))
        bare: Pictures = [(job, {}) for job in last]
        for shown in (own, bare):  # without the pictures, where one is gone
            try:
                await self._web.views_publish(user_id=user_id, view=view(quota, shown, defaults, queue, pause))
                return
            except SlackApiError as error:
                if fault(error) != Fault.NOT_YET:
                    raise


def view(quota: Account, own: Pictures, defaults: str, queue: QueueView | None, pause: Halt | None = None) -> View:
    blocks = [_header("Your units"), messages.rich(*messages.runs(answers.quota(quota, moment)))]
    blocks += messages.actions([Control("New image", Press("new")), Control("Refresh", Press("home"))])
    blocks += [_header("Defaults"), messages.rich(*messages.runs(defaults))]
    if queue is not None:
        waiting = clip(answers.queue(queue, moment, messages.plain), messages.MAX_TEXT)
        steps = [Control("Resume", Press("resume")) if pause else Control("Pause", Press("pause"))]
        reason = messages.literal(f"Paused {pause.reason}".strip() + "\n") if pause else []
        blocks += [_header("Queue"), messages.rich(*reason, *messages.runs(waiting)), *messages.actions(steps)]
    blocks += [_header("Your last pictures")] if own else []
    for job, files in own:
        line = wording.done_line(job) if job.status == Status.DELIVERED else str(job.status)
        title = messages.literal(clip(" ".join(wording.title(job).split()), 200), bold=True)
        blocks.append(messages.rich(*title, *messages.runs(f"\n{line}")))
        blocks += [messages.image(job, file_id) for file_id in files.values()]
    return {"type": "home", "blocks": blocks[:100]}


def _header(text: str) -> Block:
    return {"type": "header", "text": plain_text(text)}
