"""The answers to `/limner …`, the same on every platform."""

from bot import answers
from bot.commands import Ask
from bot.controls import Press
from bot.jobs import Job, Person, Place
from bot.phrases import Quote, When
from bot.privacy import Export
from bot.studio import Studio

HISTORY = 10  # jobs


async def answer(
    studio: Studio,
    person: Person,
    place: Place,
    ask: Ask,
    *,
    when: When,
    quote: Quote = str,
    file_bytes: int | None = None,
) -> str | Job | Press | Export:
    """What is read, the job that it is about, the button that it stands for, or a file for the asker alone.

    `file_bytes`: what such a file may have where it is sent. Raises Refused.
    """
    match ask.verb, ask.args:
        case "show", (job_id,):
            return await studio.job(person, job_id, place)
        case "cancel", (job_id,):
            return await studio.cancel(person, job_id, place)
        case "cancel", _ if own := (await studio.queue(person)).own:
            return await studio.cancel(person, own[-1][0].id)
        case "reroll", (job_id,):
            return Press("reroll", job_id)
        case "reroll", (job_id, seed):
            return Press("remix", job_id, text=f"--seed {seed}")
        case "quota", _:
            return answers.quota(await studio.quota(person, place), when)
        case "queue" | "cancel", _:
            return answers.queue(await studio.queue(person), when, quote)
        case "history", _:
            return answers.history(await studio.history(person, HISTORY), when, quote)
        case "settings", _:
            return answers.settings(await studio.settings(person, "".join(ask.args), ask.options))
        case "privacy", ("export",):
            return await studio.privacy.export(person, limit_bytes=file_bytes)
        case "privacy", ("erase",):
            await studio.privacy.ask_to_erase(person)
        case "privacy", ("erase", "yes"):
            await studio.privacy.erase(person)
            return answers.ERASED
        case "privacy", _:
            return answers.privacy(await studio.privacy.show(person))
        case "models", _:
            return answers.models((await studio.gate.at(person, place)).models)
    return answers.help_text()
