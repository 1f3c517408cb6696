"""The answers to `/limner …`, the same on every platform."""

from bot import answers
from bot.commands import Ask
from bot.jobs import Job, Person, Place
from bot.phrases import When
from bot.studio import Studio
from engine.catalogue import Catalogue

HISTORY = 10  # jobs


async def answer(
    studio: Studio,
    person: Person,
    place: Place,
    ask: Ask,
    *,
    key: str,
    when: When,
    models: Catalogue,
    quote: answers.Quote = str,
) -> str | list[Job]:
    """What is read, or the jobs that it is about; `reroll` makes new ones. Raises Refused."""
    match ask.verb, ask.args:
        case "show", (job_id,):
            return [await studio.job(person, job_id, place)]
        case "cancel", (job_id,):
            return [await studio.cancel(person, job_id, place)]
        case "cancel", _ if own := (await studio.queue(person)).own:
            return [await studio.cancel(person, own[-1][0].id)]
        case "reroll", (job_id,):
            return await studio.press(person, place, "reroll", job_id, 0, key=key)
        case "reroll", (job_id, seed):
            return await studio.press(person, place, "remix", job_id, 0, key=key, text=f"--seed {seed}")
        case "quota", _:
            return answers.quota(await studio.quota(person), when)
        case "queue" | "cancel", _:
            return answers.queue(await studio.queue(person), when, quote)
        case "history", _:
            return answers.history(await studio.history(person, HISTORY), when, quote)
        case "models", _:
            return answers.models(models)
    return answers.help_text()
