"""A supersampled Pillow canvas in units of the picture's height, with light and gradients."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Light:
    """What a colour turns into under the sky: colour × gain + lift, per channel."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __call__(self, colour: RGB) -> RGB:
        r, g, b = (min(255, max(0, round(c * k + a))) for c, k, a in zip(colour, self.gain, self.lift, strict=True))
        return r, g, b


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`a` at 0, `b` at 1."""
    r, g, bl = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, bl


def shade(colour: RGB, amount: float) -> RGB:
    """Lighter for a positive amount, darker and a little cooler for a negative one."""
    return mix(colour, (255, 250, 235), amount) if amount > 0 else mix(colour, (18, 16, 48), -amount)


class Canvas:
    """y runs from 0 (top) to 1; x is 0 in the middle, ±`side` at the edges."""

    def __init__(self, width: int, height: int, supersample: int = 2) -> None:
        self.size = (width, height)
        self.unit = height * supersample
        self.side = width / height / 2
        self.image = Image.new("RGB", (width * supersample, height * supersample))
        self.draw = ImageDraw.Draw(self.image, "RGBA")
        self.light = Light()

    def finish(self) -> Image.Image:
        return self.image.resize(self.size, Image.Resampling.BOX)

    def at(self, point: Point) -> Point:
        return (point[0] + self.side) * self.unit, point[1] * self.unit

    def poly(self, points: Sequence[Point], colour: RGB, alpha: int = 255, raw: bool = False) -> None:
        self.draw.polygon([self.at(p) for p in points], fill=self._fill(colour, alpha, raw))

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: RGB, alpha: int = 255, raw: bool = False
    ) -> None:
        self.draw.ellipse([*self.at((x - rx, y - ry)), *self.at((x + rx, y + ry))], fill=self._fill(colour, alpha, raw))

    def rect(
        self, x0: float, y0: float, x1: float, y1: float, colour: RGB,
        alpha: int = 255, radius: float = 0, raw: bool = False,
    ) -> None:  # fmt: skip
        box = [*self.at((x0, y0)), *self.at((x1, y1))]
        self.draw.rounded_rectangle(box, radius * self.unit, fill=self._fill(colour, alpha, raw))

    def stroke(self, points: Sequence[Point], width: float, colour: RGB, alpha: int = 255, raw: bool = False) -> None:
        """A line with round ends and joints."""
        fill, px = self._fill(colour, alpha, raw), max(1, round(width * self.unit))
        places = [self.at(p) for p in points]
        self.draw.line(places, fill=fill, width=px, joint="curve")
        if alpha == 255:
            for x, y in (places[0], places[-1]):
                self.draw.ellipse([x - px / 2, y - px / 2, x + px / 2, y + px / 2], fill=fill)

    def arc(
        self, x: float, y: float, rx: float, ry: float, start: float, end: float, width: float, colour: RGB
    ) -> None:
        turns = np.linspace(math.radians(start), math.radians(end), 12)
        self.stroke([(x + rx * math.cos(t), y + ry * math.sin(t)) for t in turns], width, colour)

    def gradient(self, y0: float, y1: float, top: RGB, bottom: RGB, raw: bool = False) -> None:
        """The full width between two heights."""
        if not raw:
            top, bottom = self.light(top), self.light(bottom)
        rows = max(1, round(y1 * self.unit) - round(y0 * self.unit))
        column = np.linspace(top, bottom, rows).round().astype(np.uint8)[:, None]
        self.image.paste(Image.fromarray(column).resize((self.image.width, rows)), (0, round(y0 * self.unit)))

    def glow(self, x: float, y: float, radius: float, colour: RGB, strength: float) -> None:
        """A soft light of its own colour; `strength` 0…1 in the middle."""
        px = max(2, round(2 * radius * self.unit))
        mask = _halo().resize((px, px)).point(lambda v: int(v * strength))
        left, top = self.at((x - radius, y - radius))
        self.image.paste(colour, (round(left), round(top)), mask)

    def veil(self, y0: float, y1: float, colour: RGB, top: float, bottom: float) -> None:
        """Mist between two heights, its opacity 0…1 changing from top to bottom."""
        rows = max(1, round((y1 - y0) * self.unit))
        column = Image.fromarray((np.linspace(top, bottom, rows) * 255).astype(np.uint8)[:, None])
        self.image.paste(colour, (0, round(y0 * self.unit)), column.resize((self.image.width, rows)))

    def _fill(self, colour: RGB, alpha: int, raw: bool) -> tuple[int, int, int, int]:
        return (*(colour if raw else self.light(colour)), alpha)


@lru_cache(maxsize=1)
def _halo() -> Image.Image:
    axis = np.linspace(-1, 1, 96)
    fall = np.clip(1 - np.hypot(*np.meshgrid(axis, axis)), 0, 1) ** 1.8
    return Image.fromarray((fall * 255).astype(np.uint8))
