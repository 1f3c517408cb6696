"""Cubes, spheres, cylinders, pyramids and cones on a plain backdrop."""

import random

from .canvas import RGB, Canvas, shade
from .figures import shadow
from .spec import COLOURS, Scene

_WALLS: dict[str, RGB] = {
    "white": (244, 242, 238), "grey": (188, 192, 198), "blue": (150, 196, 238), "pink": (248, 200, 212),
    "yellow": (252, 232, 158), "green": (176, 220, 172), "black": (52, 52, 62),
}  # fmt: skip


def draw_objects(c: Canvas, scene: Scene, rng: random.Random) -> None:
    wall = _WALLS[scene.backdrop]
    c.gradient(0, 0.68, shade(wall, 0.12), wall)
    c.gradient(0.68, 1, shade(wall, -0.14), shade(wall, -0.04))
    c.glow(-0.2 * c.side, 0.3, 0.8, shade(wall, 0.5), 0.5)
    if not scene.objects:
        return
    for place, x, y, size in sorted(
        _places(c, scene, rng), key=lambda spot: spot[2] if scene.relation != "on" else -spot[2]
    ):
        shape, colour = scene.objects[place]
        if scene.relation != "on" or place == 1:
            shadow(c, x + 0.12 * size, y, 1.3 * size)
        _SHAPES[shape](c, x, y, size, COLOURS[colour])


def _places(c: Canvas, scene: Scene, rng: random.Random) -> list[tuple[int, float, float, float]]:
    """(index, x of the middle, y of the foot, size) of every object."""
    fit = min(1.25, c.side / 0.5) * rng.uniform(0.94, 1.04)
    x = rng.uniform(-0.06, 0.06) * c.side
    if scene.relation == "on":
        size = 0.36 * min(fit, 1.0)
        foot = 0.88
        return [(1, x, foot, size), (0, x, foot - size * _tops(scene.objects[1][0]), size * 0.92)]
    if scene.relation == "left":
        return [(0, x - 0.235 * fit, 0.84, 0.38 * fit), (1, x + 0.235 * fit, 0.84, 0.38 * fit)]
    if scene.relation == "front":
        return [(1, x + 0.12 * fit, 0.76, 0.46 * fit), (0, x - 0.13 * fit, 0.92, 0.36 * fit)]
    if scene.relation == "row":
        return [(i, x + (i - 1) * 0.32 * fit, 0.82, 0.27 * fit) for i in range(3)]
    return [(0, x, 0.86, 0.56 * fit)]


def _tops(shape: str) -> float:
    return {"cube": 0.9, "sphere": 0.97, "cylinder": 0.92}[shape]


def _cube(c: Canvas, x: float, y: float, s: float, colour: RGB) -> None:
    a, d = 0.5 * s, 0.2 * s
    x -= d / 2
    c.poly([(x - a, y), (x + a - d, y), (x + a - d, y - 0.8 * s), (x - a, y - 0.8 * s)], colour)
    c.poly(
        [(x + a - d, y), (x + a + d * 0.6, y - 0.16 * s), (x + a + d * 0.6, y - 0.96 * s), (x + a - d, y - 0.8 * s)],
        shade(colour, -0.32),
    )
    c.poly(
        [
            (x - a, y - 0.8 * s),
            (x + a - d, y - 0.8 * s),
            (x + a + d * 0.6, y - 0.96 * s),
            (x - a + 1.6 * d, y - 0.96 * s),
        ],
        shade(colour, 0.35),
    )


def _sphere(c: Canvas, x: float, y: float, s: float, colour: RGB) -> None:
    for i in range(28):
        t = i / 27
        r = 0.5 * s * (1 - 0.8 * t)
        c.ellipse(x - 0.15 * s * t, y - 0.5 * s - 0.16 * s * t, r, r, shade(colour, -0.34 + 0.74 * t))


def _cylinder(c: Canvas, x: float, y: float, s: float, colour: RGB) -> None:
    w, lip = 0.38 * s, 0.1 * s
    c.ellipse(x, y - lip, w, lip, shade(colour, -0.3))
    for i in range(28):
        left = -w + 2 * w * i / 28
        c.rect(x + left, y - 0.9 * s, x + w, y - lip, shade(colour, 0.25 - 0.6 * i / 27))
    for i in range(28):
        left = -w + 2 * w * i / 28
        depth = lip * (1 - ((left + w / 28) / w) ** 2) ** 0.5
        c.rect(x + left, y - lip - 0.01 * s, x + left + w / 14, y - lip + depth, shade(colour, 0.25 - 0.6 * i / 27))
    c.ellipse(x, y - 0.9 * s, w, lip, shade(colour, 0.42))


def _pyramid(c: Canvas, x: float, y: float, s: float, colour: RGB) -> None:
    top, ridge = (x + 0.04 * s, y - 0.95 * s), (x + 0.16 * s, y)
    c.poly([(x - 0.55 * s, y - 0.1 * s), top, ridge], shade(colour, 0.12))
    c.poly([ridge, top, (x + 0.55 * s, y - 0.14 * s)], shade(colour, -0.34))


def _cone(c: Canvas, x: float, y: float, s: float, colour: RGB) -> None:
    w, lip, top = 0.44 * s, 0.12 * s, (x, y - 1.0 * s)
    for i in range(32):
        left = -1 + 2 * i / 32
        right = left + 1 / 16
        base = [(x + w * e, y - lip + lip * (1 - min(1, e * e)) ** 0.5) for e in (left, right)]
        c.poly([top, *base], shade(colour, 0.3 - 0.68 * i / 31))


_SHAPES = {"cube": _cube, "sphere": _sphere, "cylinder": _cylinder, "pyramid": _pyramid, "cone": _cone}
