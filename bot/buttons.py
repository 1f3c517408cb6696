"""What each button under a picture asks for: a stored job → the next request. Pure."""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from bot import prompt
from bot.errors import BadOption, Gone, Unknown
from bot.jobs import Image, Job
from bot.prompt import Known
from engine.catalogue import Catalogue
from engine.protocol import MAX_SEED, Draw, Request, Upscale

STRENGTHS = {"vary": 0.6, "vary_slightly": 0.3}
MANY = 4
FILES = {"how": "strip.jpg", "original": "png"}  # what shows a file, and its suffix


def recipe(job: Job) -> Draw:
    """What draws the job's pictures from nothing; of an enlarged draft, the same picture drawn at full quality."""
    request = job.request
    if isinstance(request, Draw):
        return request
    return replace(request.of, quality="full", width=request.width, height=request.height)


def image_draw(job: Job, index: int) -> Draw:
    """What draws one image of the job alone. Raises Unknown if it never had that image."""
    draw = recipe(job)
    if not 0 <= index < draw.count:
        raise Unknown(f"{job.id}:{index}")
    return replace(draw, seed=(draw.seed + index) & MAX_SEED, count=1)


def stored_image(job: Job, index: int) -> Image:
    """Raises Gone if the image is not stored (any more), Unknown if the job never had it."""
    image_draw(job, index)
    for image in job.stored:
        if image.index == index:
            return image
    raise Gone


def stored_file(job: Job, index: int, suffix: str) -> Path:
    """The original as "png", its "jpg", or the "strip.jpg" of how it was made. Raises as `stored_image`."""
    path = Path(stored_image(job, index).path).with_suffix(f".{suffix}")
    if not path.is_file():
        raise Gone
    return path


def as_text(job: Job, index: int, models: Catalogue) -> str:
    """What a form to remix one image is filled with: its prompt and every flag."""
    return prompt.to_text(image_draw(job, index), models).removeprefix("/imagine ")


def pressed(verb: str, job: Job, index: int, text: str, known: Known) -> tuple[Sequence[Request], bool]:
    """What any button asks for, and whether it is private, as all is that comes of a private job.

    `text` is what a remix changes.

    Raises Unknown, Gone, BadPrompt and BadOption.
    """
    if verb == "remix":
        changed = prompt.change(text, recipe(job), known)
        return changed.draws, changed.is_private or job.is_private
    return [_request(verb, job, index, known)], job.is_private


def _request(verb: str, job: Job, index: int, known: Known) -> Request:
    draw, one = recipe(job), image_draw(job, index)
    match verb:
        case "reroll":
            return replace(draw, seed=known.new_seed())
        case "again":
            return draw
        case "four_more":
            return replace(one, seed=known.new_seed(), count=MANY)
        case "vary" | "vary_slightly":
            source = stored_image(job, index).path
            return replace(one, seed=known.new_seed(), init_image=source, strength=STRENGTHS[verb], mask=None)
        case "full_size":
            return _enlarged(job, index, one, known.models)
    raise Unknown(verb)


def _enlarged(job: Job, index: int, one: Draw, models: Catalogue) -> Upscale:
    if one.quality == "full":
        raise BadOption("Full size", "is what this picture has already")
    size = prompt.full_size_of(one, models)
    return Upscale(source=stored_image(job, index).path, of=one, width=size.width, height=size.height)
