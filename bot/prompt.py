"""Text and options → Draw requests, every value resolved. Pure: no clock, no I/O, no chance of its own."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import get_args

from msgspec import structs

from bot import flags
from bot.errors import BadDefault, BadOption, BadPrompt
from bot.grammar import MAX_JOBS, clean, escaped, expand, taken_apart
from engine.catalogue import Catalogue, Model
from engine.protocol import MAX_SEED, Draw, Quality
from engine.sizes import Size, final_size

MAX_PROMPT = 1500  # characters; the same for a negative prompt
MAX_COUNT = 4
DEFAULT_STRENGTH = 0.6
MASKED_STRENGTH = 0.9  # what stands under a mask is to go
NO_STYLE = "none"
QUALITIES: tuple[Quality, ...] = get_args(Quality)
ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9")  # those that are offered

_STANDS_ALONE = re.compile(r"(a|an|the|one|two|three)\b")
_COMES_ON_TOP = re.compile(
    r"(above|against|among|and|around|as|at|behind|below|beneath|beside|between|but|by|during|for|from|holding|in|inside"
    r"|into|less|like|made|more|near|next|no|of|on|over|through|to|under|wearing|while|with|within|without)\b"
)


@dataclass(frozen=True, slots=True)
class Style:
    """An operator's preset: words around the prompt, and what to keep out."""

    before: str = ""
    after: str = ""
    negative: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    draws: tuple[Draw, ...]  # 1 .. 8, one for each permutation
    is_private: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What a text is read against."""

    models: Catalogue
    default_model: str
    new_seed: Callable[[], int]
    styles: Mapping[str, Style] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)  # the person's own, by flag
    options: Mapping[str, object] = field(default_factory=dict)  # by their names in `/imagine`, beside the text
    base: Draw | None = None  # what is not said stays as it is there, the seed included

    def picture(self, name: str) -> str | None:
        """The path of one of the PICTURES, which was checked."""
        value = self.options.get(name)
        return None if value is None else str(value)


PICTURES = ("image", "mask")  # options that no flag can be
_Compose = Callable[[str, str], str]  # the words that were written, the base's prompt → the prompt


def parse(text: str, known: Known) -> Parsed:
    """What `text` asks for: a prompt with `{a, b}` permutations, then flags. An option beats a flag, a flag a default.

    Raises BadPrompt, BadOption or BadDefault; nothing is clamped.
    """
    return _parse(text, lambda words, before: words or before, known)


def compare(text: str, known: Known) -> Parsed:
    """What `text` asks for, once by every model and with the same seed. Raises as `parse` does."""
    seed, models = known.new_seed(), known.models
    others = {flag: value for flag, value in known.defaults.items() if flag != "model"}
    known = replace(known, new_seed=lambda: seed, defaults=others)
    each = [parse(text, replace(known, default_model=name)) for name in models]
    draws = tuple(draw for parsed in each for draw in parsed.draws)
    if len({draw.model for draw in draws}) < len(models):
        raise BadOption(f"--model {draws[0].model}", "has no place in a comparison", allowed=", ".join(models))
    if len(draws) > MAX_JOBS:
        raise BadPrompt("too_many_jobs", limit=MAX_JOBS, amount=len(draws))
    return Parsed(draws, each[0].is_private)


def change(text: str, base: Draw, known: Known) -> Parsed:
    """What a remix or a mention in a thread means: `--seed 7`, `at night`, or another prompt.

    Words that only come on top of the picture, or start with `+`, follow the prompt of `base`; others replace it,
    and so does everything after `/imagine`, which is what a filled-in form sends. Raises as `parse` does.
    """
    command, _, rest = text.strip().partition(" ")
    if command.lower() == "/imagine":
        return parse(rest, replace(known, base=base))
    return _parse(text, _added, replace(known, base=base))


def to_text(draw: Draw, models: Catalogue) -> str:
    """A command line that draws the same picture again; an init image is not part of it."""
    model = models.get(draw.model)
    line = ["/imagine", escaped(draw.prompt), f"--seed {draw.seed}"]
    if (aspect := aspect_of(draw, models)) != "1:1":
        line.append(f"--ar {aspect}")
    if draw.count != 1:
        line.append(f"--n {draw.count}")
    if draw.quality != "full":
        line.append(f"--quality {draw.quality}")
    if model is None or draw.steps != model.default_steps(draw.quality):
        line.append(f"--steps {draw.steps}")
    if model is None or draw.guidance_scale != model.guidance_scale:
        line.append("--guidance " + f"{draw.guidance_scale:.6f}".rstrip("0").rstrip("."))
    if model is None or draw.scheduler != model.scheduler:
        line.append(f"--scheduler {draw.scheduler}")
    if draw.negative_prompt:
        line.append(f"--no {escaped(draw.negative_prompt)}")
    return " ".join(part for part in (*line, f"--model {draw.model}") if part)


def aspect_of(draw: Draw, models: Catalogue) -> str:
    """The W:H that gives the size of `draw`: a familiar one where it can be."""
    model = models.get(draw.model)
    for aspect in (*ASPECTS, "9:21", "2:1", "1:2", "5:4", "4:5", "3:1", "1:3"):
        ratio = flags.ratio(aspect)
        size = final_size(ratio) if draw.quality == "full" else model and model.base_size(ratio)
        if size == Size(draw.width, draw.height):
            return aspect
    return f"{draw.width}:{draw.height}"


def full_size_of(draw: Draw, models: Catalogue) -> Size:
    """The final size, px, of a draft that is enlarged."""
    return final_size(_ratio_of(draw, models))


def draft_of(draw: Draw, models: Catalogue) -> Draw:
    """The same picture as a draft: half the steps, base size. A draft is its own."""
    if draw.quality == "draft":
        return draw
    size = models[draw.model].base_size(_ratio_of(draw, models))
    return structs.replace(draw, quality="draft", steps=ceil(draw.steps / 2), width=size.width, height=size.height)


def _by_flag(options: Mapping[str, object]) -> dict[str, str]:
    """The options that were given, but for the pictures."""
    given = {name: value for name, value in options.items() if value is not None and name not in PICTURES}
    for name in given.keys() - flags.FLAG_OF.keys():
        raise flags.unknown(name)
    return {flags.FLAG_OF[name]: clean(flags.as_written(value)) for name, value in given.items()}


def _parse(text: str, compose: _Compose, known: Known) -> Parsed:
    if len(text) > flags.MAX_TEXT:
        raise BadPrompt("too_long", limit=MAX_PROMPT, amount=len(text))
    options = _by_flag(known.options)
    asked = [(words, values | options) for words, values in map(taken_apart, expand(clean(text)))]
    is_private = any(
        flags.choice("private", {"private": "no", **known.defaults, **values}["private"] or "yes", ("yes", "no"))
        == "yes"
        for _, values in asked
    )
    return Parsed(tuple(_draw(words, values, compose, known) for words, values in asked), is_private)


def _draw(words: str, said: Mapping[str, str], compose: _Compose, known: Known) -> Draw:
    if not (words or said or any(known.picture(name) for name in PICTURES)):
        raise BadPrompt("empty")
    try:
        return _drawn(words, {**known.defaults, **said}, compose, known)
    except BadOption as error:
        flag = error.option.removeprefix("--").partition(" ")[0]
        if flag in said or flag not in known.defaults:
            raise
        raise BadDefault(error.option, error.allowed) from None


def _drawn(words: str, values: Mapping[str, str], compose: _Compose, known: Known) -> Draw:
    start = _start(values, known)
    model = known.models[start.model]
    style = _style(values.get("style", NO_STYLE), known.styles)
    prompt = clean(f"{style.before} {_within_limit(compose(words, start.prompt))} {style.after}")
    if not (prompt or model.knows_words):
        raise BadPrompt("empty")
    image = known.picture("image") or start.init_image
    mask = known.picture("mask") or (start.mask if image == start.init_image else None)
    if image is None and "strength" in values:
        raise BadOption(flags.written("strength", values["strength"]), "needs an image", allowed="only with an image")
    if image is None and mask is not None:
        raise BadOption("mask", "needs an image", allowed="it says where that image is drawn over")
    changes = _changes(values, model, start.quality)
    return structs.replace(
        start,
        prompt=prompt,
        negative_prompt=_negative(values, style, start, known),
        seed=_seed(values, known),
        init_image=image,
        mask=mask,
        **{"strength": _strength(start, image, mask)} | changes,
    )


def _start(values: Mapping[str, str], known: Known) -> Draw:
    """The Draw that the values change: `known.base`, in the wanted model and quality, or a plain one."""
    base = known.base
    name = values.get("model", base.model if base else known.default_model)
    model = known.models[flags.choice("model", name, tuple(known.models))]
    quality: Quality = base.quality if base else "full"
    if "quality" in values:
        quality = "draft" if flags.choice("quality", values["quality"], QUALITIES) == "draft" else "full"
    if base and (base.model, base.quality) == (model.name, quality):
        return base
    if base is None:
        return model.plain_draw(quality)
    plain = model.plain_draw(quality, _ratio_of(base, known.models))
    kept = ("prompt", "negative_prompt", "seed", "count", "init_image", "strength", "mask")
    return structs.replace(plain, **{name: getattr(base, name) for name in kept})


def _style(name: str, styles: Mapping[str, Style]) -> Style:
    if name.lower() == NO_STYLE and NO_STYLE not in styles:
        return Style()
    return styles[flags.choice("style", name, tuple(styles))]


def _changes(values: Mapping[str, str], model: Model, quality: Quality) -> dict[str, object]:
    whose = f" for {model.name}"
    readers: dict[str, tuple[str, Callable[[str], object]]] = {
        "n": ("count", lambda value: flags.whole("n", value, 1, MAX_COUNT)),
        "steps": ("steps", lambda value: flags.whole("steps", value, 1, model.max_steps, whose)),
        "guidance": (
            "guidance_scale",
            lambda value: flags.decimal("guidance", value, 0, model.max_guidance_scale, whose),
        ),
        "scheduler": ("scheduler", flags.scheduler),
        "strength": ("strength", lambda value: flags.decimal("strength", value, 0, 1)),
    }
    changes = {name: read(values[flag]) for flag, (name, read) in readers.items() if flag in values}
    if "ar" in values:
        size = model.size(flags.ratio(values["ar"]), quality)
        changes |= {"width": size.width, "height": size.height}
    return changes


def _strength(start: Draw, image: str | None, mask: str | None) -> float | None:
    if image is None:
        return None
    default = DEFAULT_STRENGTH if mask is None else MASKED_STRENGTH
    return default if start.strength is None else start.strength


def _seed(values: Mapping[str, str], known: Known) -> int:
    """`--seed random` asks a remix, which else keeps the seed of its base, for a new one."""
    value = values.get("seed", str(known.base.seed) if known.base else "random")
    return known.new_seed() if value.lower() == "random" else flags.whole("seed", value, 0, MAX_SEED)


def _negative(values: Mapping[str, str], style: Style, start: Draw, known: Known) -> str | None:
    """None where there is none. A remix takes its base's away with a bare `--no`."""
    if values.get("no") == "" and known.base is None and known.options.get("negative") is None:
        raise BadOption("--no", "needs words", allowed="what the picture must not show")
    own = _within_limit(clean(values.get("no", start.negative_prompt or "")))
    return ", ".join(part for part in (own, style.negative) if part) or None


def _within_limit(prompt: str) -> str:
    if len(prompt) > MAX_PROMPT:
        raise BadPrompt("too_long", limit=MAX_PROMPT, amount=len(prompt))
    return prompt


def _ratio_of(draw: Draw, models: Catalogue) -> float:
    width, height = aspect_of(draw, models).split(":")
    return int(width) / int(height)


def _added(words: str, before: str) -> str:
    if words.startswith("+"):
        return _followed(before, words[1:].strip())
    return words if words and not _comes_on_top(words, before) else _followed(before, words)


def _followed(before: str, words: str) -> str:
    return ", ".join(part for part in (before, words) if part)


def _comes_on_top(words: str, before: str) -> bool:
    """Whether `words` only add to a picture: "at night", "snow"; not "a dog on the beach", nor most of it again."""
    said, known = words.lower(), set(before.lower().split())
    if known and 2 * len(known.intersection(said.split())) >= len(known):
        return False
    return bool(_COMES_ON_TOP.match(said)) or (len(said.split()) <= 3 and not _STANDS_ALONE.match(said))
