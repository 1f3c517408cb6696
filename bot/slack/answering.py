"""The outermost handler of a turn: a refusal or a fault becomes one private sentence, with what can be done next."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from bot import wording
from bot.controls import Control, Press
from bot.errors import CannotPost, Refused, Unconfirmed
from bot.logs import broken
from bot.offers import Offers
from bot.slack import forms, messages
from bot.slack.faults import Fault, fault
from bot.slack.interactions import Turn
from bot.slack.messages import clock
from bot.slack.web import Web


@asynccontextmanager
async def answering(turn: Turn, web: Web, offers: Offers) -> AsyncIterator[None]:
    """Whatever happens, the turn is acknowledged and answered."""
    try:
        yield
    except Refused as error:
        await _refuse(turn, web, offers, error)
    except Exception as error:
        if fault(error) != Fault.NO_VIEW:
            it = wording.broken(broken(f"a {turn.asked.kind} on Slack", error))
            await turn.tell(messages.sentence(it))
    finally:
        turn.ack()


async def _refuse(turn: Turn, web: Web, offers: Offers, error: Refused) -> None:
    asked, it, named = turn.asked, wording.refusal(error, clock), web.named
    it = replace(it, title=named(it.title), body=named(it.body))
    if asked.kind == "form" and not isinstance(error, Unconfirmed):
        at_fields = forms.errors(error, it, asked.values, turn.picture)
        if turn.ack({"response_action": "errors", "errors": at_fields}):
            return
    if isinstance(error, CannotPost):
        others = len(error.job_ids) - 1
        steps = [
            Control(f"Send {number} by DM" if others else "Send by DM", Press("dm", job_id, others))
            for number, job_id in enumerate(error.job_ids, 1)
        ]
    else:
        steps = offers.controls(it, asked.user_id, turn.what)
    await turn.tell(messages.sentence(it, steps))
