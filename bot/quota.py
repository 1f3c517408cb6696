"""What a request costs, in units, and which smaller one fits. Pure."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from msgspec.structs import replace

from bot.prompt import draft_of
from engine.catalogue import Catalogue, Model
from engine.protocol import Draw, Request, Upscale

_FULL_UNITS, _DRAFT_UNITS, _UPSCALE_UNITS = 2, 1, 1


def price(request: Request, model: Model) -> int:
    """Units of the whole request; each of its images costs an equal, whole share."""
    if isinstance(request, Upscale):
        return ceil(_UPSCALE_UNITS * _exactly(model.weight))
    each = _FULL_UNITS if request.quality == "full" else _DRAFT_UNITS
    extra = max(Fraction(1), Fraction(request.steps, model.steps))
    return request.count * ceil(each * _exactly(model.weight) * extra)


def _exactly(weight: float) -> Fraction:
    """1.1 as it is written, so that nothing is rounded up for the sake of its last binary digit."""
    return Fraction(str(weight))


def smaller(draw: Draw, models: Catalogue, left: int) -> tuple[Draw, int] | None:
    """The request nearest to `draw` that costs at most `left` units, and its price: as a draft, then fewer images."""
    model = models[draw.model]
    priced = ((each, price(each, model)) for each in _smaller_ones(draw, models))
    return next(((each, units) for each, units in priced if units <= left), None)


def _smaller_ones(draw: Draw, models: Catalogue) -> Iterator[Draw]:
    draft = draft_of(draw, models)
    if draft != draw:
        yield draft
    for count in range(draw.count - 1, 0, -1):
        yield replace(draft, count=count)


def bar(done: float, whole: float) -> str:
    """`▓▓▓▓▓▓░░░░`: full only when all is done, empty only when nothing is."""
    share = min(1.0, max(0.0, done / whole)) if whole > 0 else 1.0
    filled = int(share * 10 + 0.5)
    if 0 < share < 1:
        filled = min(9, max(1, filled))
    return "▓" * filled + "░" * (10 - filled)
