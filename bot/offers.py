"""Buttons under a private answer, on every platform: correct the text, agree to the price, take what fits."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace

from bot.commands import Ask, Imagine, read_command
from bot.controls import Control, Press
from bot.errors import Expired
from bot.wording import Sentence

MAX_OFFERS = 1000
_EDIT = 1  # the index of the button that opens the text for correction


@dataclass(frozen=True, slots=True)
class Form:
    press: Press  # what submitting it asks for
    text: str


class Offers:
    """They hold what no id of a button can, so they are in memory: the last thousand, gone after a restart."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, Imagine | Ask | Press]] = OrderedDict()

    def controls(self, it: Sentence, user_id: str, asked: Imagine | Press | None) -> list[Control]:
        """The next steps of a refusal, as buttons that only this person can press."""
        found = []
        for action in it.actions:
            press = None
            if action.command:
                press = self._keep(user_id, read_command(action.command))
            elif action.verb == "again" and isinstance(asked, Press):
                press = Press("again", asked.job_id, asked.index)
            elif asked and (action.verb == "confirm" or (action.verb == "edit" and asked.text)):
                press = self._keep(user_id, asked, _EDIT if action.verb == "edit" else 0)
            found += [Control(action.label, press)] if press else []
        return found

    def take(self, press: Press, user_id: str) -> Imagine | Ask | Press | Form:
        """What the person has agreed to, once, or the form to correct its text in. Raises Expired."""
        what = self._of(press, user_id)
        if press.index != _EDIT:
            del self._kept[press.job_id]
            return what
        if isinstance(what, Press) and what.verb == "remix":
            return Form(what, what.text.removeprefix("/imagine "))
        text = "" if isinstance(what, Ask) else what.text
        named = isinstance(what, Imagine) and what != Imagine(what.text)
        return Form(Press("edit", press.job_id if named else ""), text.removeprefix("/imagine "))

    def edited(self, form: Press, user_id: str, text: str) -> Imagine:
        """What a form with another text asks for: the options beside it are what they were. Raises Expired."""
        what = self._of(form, user_id) if form.job_id else None
        return replace(what, text=text) if isinstance(what, Imagine) else Imagine(text)

    def _of(self, press: Press, user_id: str) -> Imagine | Ask | Press:
        owner, what = self._kept.get(press.job_id, ("", None))
        if what is None or owner != user_id:
            raise Expired
        return what

    def _keep(self, user_id: str, what: Imagine | Ask | Press, index: int = 0) -> Press:
        name = secrets.token_hex(5)
        self._kept[name] = (user_id, what)
        while len(self._kept) > MAX_OFFERS:
            self._kept.popitem(last=False)
        return Press("offer", name, index)
