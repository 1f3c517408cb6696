"""The views that people fill in or look at: the form of a new image, a text to change, the App Home."""

from collections.abc import Iterable, Mapping
from typing import Any

from bot import flags, quota, wording
from bot.commands import Imagine
from bot.controls import Press
from bot.errors import BadImage, BadOption, Refused
from bot.phrases import clip, units
from bot.prompt import ASPECTS, MAX_COUNT, PICTURES
from bot.slack import messages
from bot.slack.messages import Block
from engine.catalogue import Catalogue
from engine.protocol import MAX_SEED, Quality

MAX_TYPED = 3000  # characters, Slack's most
MAX_CHOICES = 100
MAX_ERROR = 300
_QUALITIES: tuple[tuple[Quality, str], ...] = (("full", "full · 2048 px"), ("draft", "draft"))

View = dict[str, Any]


def new_image(models: Catalogue, default_model: str, styles: Iterable[str]) -> View:
    """Everything that `/imagine` takes. Where nothing is chosen, a flag of the prompt counts, then the default."""
    model = models[default_model]
    qualities = {
        str(quality): f"{label} · {units(quota.price(model.plain_draw(quality), model))}"
        for quality, label in _QUALITIES
    }
    counts = {str(count): str(count) for count in range(1, MAX_COUNT + 1)}
    titles = {model.name: model.title for model in models.values()}
    names = {name: name for name in styles}
    fields = [
        _input("prompt", "Prompt", _typed(), "Flags may follow, {red, blue} makes one job of each.", needed=True),
        _input("negative", "Without", _typed()),
        _input("aspect", "Aspect", _select({each: each for each in ASPECTS})),
        _input("quality", "Quality", _select(qualities)),
        _input("count", "Count", _select(counts)),
        _input("seed", "Seed", _number(MAX_SEED), "The same seed draws the same picture."),
        _input("model", "Model", _select(titles)),
        *([_input("style", "Style", _select(names))] if names else []),
        _input("image", "Image", _file(), "A picture to draw over."),
        _input("mask", "Mask", _file(), "Where that picture is drawn over: white, the rest stays."),
        _input("strength", "Strength", _number(1, is_decimal=True), "How much of that picture changes, 0 to 1."),
        _input("where", "Where to post", _conversation(), "Nowhere: only for you, in your messages with me."),
    ]
    return _modal("New image", Press("imagine"), fields, "Draw")


def text_form(title: str, press: Press, text: str | None, metadata: str = "") -> View:
    """One field. While `text` is not known yet, a view that waits for it: it has to be open within three seconds."""
    if text is None:
        return _modal(title, press, [messages.rich(*messages.literal("…"))], "", metadata)
    return _modal(title, press, [_input("prompt", "Prompt and flags", _typed(text), needed=True)], "Draw", metadata)


def told(title: str, it: wording.Sentence) -> View:
    return _modal(title, Press("told"), messages.sentence(it)["blocks"], "")


def filled_in(values: Mapping[str, Mapping[str, Any]]) -> tuple[Imagine, dict[str, str], str]:
    """What a form of a new image asks for; the files of its pictures, by field; the channel to post in, or ""."""
    found = {name: _value(next(iter(fields.values()), {})) for name, fields in values.items()}
    given = {name: value for name, value in found.items() if value is not None}
    text, where = given.pop("prompt", ""), given.pop("where", "")
    pictures = {name: given.pop(name) for name in PICTURES if name in given}
    return Imagine(text, given if where else {**given, "private": True}), pictures, where


def errors(error: Refused, it: wording.Sentence, values: Mapping[str, object], picture: str) -> dict[str, str]:
    """A refusal at the field that it is about; `picture` is the one whose file was looked at."""
    field = "prompt"
    if isinstance(error, BadOption):
        field = error.option.split()[0].lstrip("-")
        field = flags.FLAGS.get(field, field)
    elif isinstance(error, BadImage):
        field = picture
    said = f"{it.title}. {it.body}".strip().replace("..", ".")
    return {field if field in values else "prompt": clip(messages.spoken(said), MAX_ERROR)}


def _modal(title: str, press: Press, blocks: list[Block], submit: str, metadata: str = "") -> View:
    view: View = {"type": "modal", "callback_id": press.id, "title": plain_text(title), "close": plain_text("Close")}
    view |= {"blocks": blocks, "private_metadata": metadata}
    return view | ({"submit": plain_text(submit)} if submit else {})


def _input(name: str, label: str, element: Block, hint: str = "", *, needed: bool = False) -> Block:
    """The name of a field is the option's."""
    made = {"type": "input", "block_id": name, "label": plain_text(label), "element": element | {"action_id": name}}
    return made | {"optional": not needed} | ({"hint": plain_text(hint)} if hint else {})


def _typed(text: str = "") -> Block:
    made: Block = {"type": "plain_text_input", "multiline": True, "max_length": MAX_TYPED}
    return made | ({"initial_value": clip(text, MAX_TYPED)} if text else {})


def _select(choices: Mapping[str, str]) -> Block:
    found = list(choices.items())[:MAX_CHOICES]
    options = [{"text": plain_text(clip(label, 75)), "value": clip(value, 150)} for value, label in found]
    return {"type": "static_select", "options": options}


def _number(most: int, *, is_decimal: bool = False) -> Block:
    return {
        "type": "number_input", "is_decimal_allowed": is_decimal, "min_value": "0", "max_value": str(most),
    }  # fmt: skip


def _file() -> Block:
    return {"type": "file_input", "filetypes": ["png", "jpg", "jpeg", "webp"], "max_files": 1}


def _conversation() -> Block:
    """With a URL that answers there, also where the bot is not."""
    return {"type": "conversations_select", "default_to_current_conversation": True, "response_url_enabled": True}


def plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def _value(state: Mapping[str, Any]) -> str | None:
    if files := state.get("files"):
        return str(files[0]["id"])
    chosen = (state.get("selected_option") or {}).get("value")
    return state.get("value") or chosen or state.get("selected_conversation")
