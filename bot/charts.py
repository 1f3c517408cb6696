"""What was drawn by day, as a picture. Pillow is loaded only when somebody asks."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from bot.reports import Stats

WIDTH, ROW = 960, 150  # px
_LEFT, _RIGHT, _TOP, _FOOT = 16, 16, 30, 34
_PAPER, _INK, _FAINT = "#ffffff", "#1c1e21", "#8a8f98"
_BARS = ("#3b6fd4", "#2a9d6f", "#b8741a", "#8a4fbf", "#c8443c", "#4d7c8a")


def draw(table: "Sequence[Stats]") -> bytes:
    """A PNG: a row of bars for each of images, people, units, GPU minutes, failures and waiting times."""
    from PIL import Image, ImageDraw, ImageFont

    rows: list[tuple[str, list[float]]] = [
        ("images", [each.images for each in table]),
        ("people", [each.people for each in table]),
        ("units", [each.units for each in table]),
        ("GPU minutes", [each.gpu_seconds / 60 for each in table]),
        ("failures", [each.failures for each in table]),
        ("waited, median seconds", [each.wait_seconds or 0.0 for each in table]),
    ]
    picture = Image.new("RGB", (WIDTH, ROW * len(rows) + _FOOT), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for number, (name, values) in enumerate(rows):
        top = number * ROW
        pen.text((_LEFT, top + 8), f"{name} · most {amount(max(values))}", fill=_INK, font=font)
        _bars(pen, top + _TOP, values, _BARS[number])
    names = [each.name for each in table]
    pen.text((_LEFT, ROW * len(rows) + 8), names[0], fill=_FAINT, font=font)
    pen.text((WIDTH - _RIGHT, ROW * len(rows) + 8), names[-1], fill=_FAINT, font=font, anchor="ra")
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def amount(value: float) -> str:
    """`0`, `2.35`, `32.9`, `1,976`."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bars(pen: "ImageDraw", top: int, values: Sequence[float], colour: str) -> None:
    height, step, most = ROW - _TOP - 12, (WIDTH - _LEFT - _RIGHT) / len(values), max(values) or 1.0
    bottom = top + height
    pen.line((_LEFT, bottom, WIDTH - _RIGHT, bottom), fill=_FAINT)
    for place, value in enumerate(values):
        if value > 0:
            left = _LEFT + place * step
            tall = max(2.0, value / most * height)
            pen.rectangle((left + step * 0.12, bottom - tall, left + step * 0.88, bottom), fill=colour)
