"""The subjects, drawn large: every function stands its figure on (x, y), `h` tall, all in picture heights.

Dogs, cats, cars and boats always look to the right: no caption says where to, and a model that has seen
half of them each way draws neither.
"""

import math
import random

from .canvas import RGB, Canvas, Point, mix, shade
from .spec import COLOURS, FUR, HAIR, Scene

SKIN: tuple[RGB, ...] = ((255, 219, 190), (240, 194, 154), (198, 138, 96), (130, 84, 58))
TROUSERS: tuple[RGB, ...] = ((48, 58, 88), (70, 74, 84), (92, 74, 60))
LEAF: dict[str, RGB] = {
    "green": (70, 158, 74), "orange": (236, 132, 44), "red": (206, 64, 50),
    "yellow": (244, 196, 58), "pink": (246, 160, 194),
}  # fmt: skip
GLASS: RGB = (168, 208, 226)
LAMP: RGB = (255, 214, 112)
INK: RGB = (40, 34, 44)


def shadow(c: Canvas, x: float, y: float, width: float) -> None:
    c.ellipse(x, y, width / 2, width * 0.07, (10, 12, 30), alpha=80, raw=True)


def person(c: Canvas, x: float, y: float, h: float, scene: Scene, rng: random.Random) -> None:
    jacket, hair = COLOURS[scene.colour], HAIR[scene.hair]
    skin, trousers = rng.choice(SKIN), rng.choice(TROUSERS)
    walking = scene.pose == "walking"
    stride, swing = (0.12, 0.1) if walking else (0.0, 0.0)
    shadow(c, x, y, 0.42 * h)

    def p(px: float, py: float) -> Point:
        return x + px * h, y - py * h

    for side, back in ((-1, True), (1, False)):
        foot = p(side * (0.062 + stride), 0.03 + (0.03 if walking and back else 0))
        leg = shade(trousers, -0.25) if back else trousers
        knee = p(side * (0.064 + stride * 0.6), 0.22)
        c.stroke([p(side * 0.055, 0.42), knee, foot], 0.1 * h, leg)
        c.stroke([foot, (foot[0] + (0.05 * h if walking else side * 0.025 * h), foot[1] + 0.006 * h)], 0.055 * h, INK)
    if scene.who == "woman":
        c.ellipse(*p(0, 0.83), 0.145 * h, 0.16 * h, shade(hair, -0.2))
        c.rect(*p(-0.14, 0.84), *p(0.14, 0.64), shade(hair, -0.2), radius=0.06 * h)
    for side in (-1, 1):
        hand = p(side * (0.2 + swing), 0.42 + (0.07 if walking else 0))
        c.stroke([p(side * 0.135, 0.66), p(side * (0.19 + swing * 0.5), 0.54), hand], 0.085 * h, shade(jacket, -0.2))
        c.ellipse(hand[0], hand[1] + 0.02 * h, 0.036 * h, 0.036 * h, skin)
    c.rect(*p(-0.165, 0.71), *p(0.165, 0.37), jacket, radius=0.055 * h)
    c.rect(*p(0.03, 0.71), *p(0.165, 0.37), shade(jacket, -0.14), radius=0.055 * h)
    c.rect(*p(-0.165, 0.405), *p(0.165, 0.37), shade(jacket, -0.3), radius=0.015 * h)
    c.stroke([p(0, 0.68), p(0, 0.385)], 0.012 * h, mix(jacket, (255, 255, 255), 0.55))
    for side in (-1, 1):
        c.stroke([p(side * 0.06, 0.49), p(side * 0.115, 0.46)], 0.014 * h, shade(jacket, -0.35))
    c.rect(*p(-0.045, 0.76), *p(0.045, 0.68), shade(skin, -0.15), radius=0.02 * h)
    c.poly([p(-0.085, 0.725), p(0, 0.655), p(0.085, 0.725), p(0.05, 0.735), p(-0.05, 0.735)], shade(jacket, 0.25))
    _face(c, *p(0, 0.855), 0.118 * h, skin, hair, scene.who)


def _face(c: Canvas, x: float, y: float, r: float, skin: RGB, hair: RGB, who: str) -> None:
    for side in (-1, 1):
        c.ellipse(x + side * r, y + 0.1 * r, 0.2 * r, 0.25 * r, shade(skin, -0.1))
    if who == "man":
        c.ellipse(x, y - 0.3 * r, 1.1 * r, 0.93 * r, hair)
    else:
        c.ellipse(x, y - 0.2 * r, 1.18 * r, 1.08 * r, hair)
    c.ellipse(x, y + 0.08 * r, 0.95 * r, 1.02 * r, skin)
    fringe = [(-1.0, 0.0), (-0.95, -0.75), (-0.3, -1.1), (0.4, -1.1), (0.97, -0.7), (1.0, 0.0), (0.75, -0.4)]
    fringe += (
        [(0.1, -0.42), (-0.5, -0.3), (-0.8, -0.2)] if who == "man" else [(0.35, -0.62), (-0.3, -0.25), (-0.82, 0.1)]
    )
    c.poly([(x + fx * r, y + fy * r) for fx, fy in fringe], hair)
    for side in (-1, 1):
        c.ellipse(x + side * 0.37 * r, y + 0.12 * r, 0.12 * r, 0.17 * r, INK)
        c.ellipse(x + side * 0.6 * r, y + 0.48 * r, 0.18 * r, 0.11 * r, (236, 120, 110), alpha=110)
    c.arc(x, y + 0.38 * r, 0.3 * r, 0.26 * r, 20, 160, 0.1 * r, (150, 52, 52))


def dog(c: Canvas, x: float, y: float, h: float, scene: Scene, rng: random.Random) -> None:
    fur = FUR[scene.colour]
    dark, light = shade(fur, -0.28), shade(fur, 0.3)
    shadow(c, x, y, 1.05 * h)

    def p(px: float, py: float) -> Point:
        return x + px * h, y - py * h

    c.stroke([p(-0.4, 0.5), p(-0.55, 0.66), p(-0.56, 0.82)], 0.08 * h, fur)
    for lx, back in ((-0.26, True), (0.3, True), (-0.36, False), (0.2, False)):
        c.stroke([p(lx, 0.32), p(lx, 0.05), p(lx + 0.03, 0.045)], 0.11 * h, dark if back else fur)
    c.ellipse(*p(-0.3, 0.42), 0.17 * h, 0.19 * h, fur)
    c.stroke([p(-0.28, 0.44), p(0.2, 0.46)], 0.33 * h, fur)
    c.ellipse(*p(0.22, 0.42), 0.14 * h, 0.18 * h, light)
    c.stroke([p(0.24, 0.52), p(0.38, 0.74)], 0.22 * h, fur)
    c.stroke([p(0.21, 0.63), p(0.4, 0.55)], 0.05 * h, COLOURS["red"])
    c.ellipse(*p(0.4, 0.8), 0.19 * h, 0.185 * h, fur)
    c.stroke([p(0.5, 0.745), p(0.61, 0.735)], 0.14 * h, light)
    c.ellipse(*p(0.67, 0.765), 0.046 * h, 0.04 * h, INK)
    c.stroke([p(0.5, 0.69), p(0.62, 0.685)], 0.014 * h, INK)
    c.ellipse(*p(0.46, 0.85), 0.033 * h, 0.04 * h, INK)
    c.stroke([p(0.29, 0.9), p(0.22, 0.72)], 0.13 * h, dark)


def cat(c: Canvas, x: float, y: float, h: float, scene: Scene, rng: random.Random) -> None:
    fur = FUR[scene.colour]
    dark, light = shade(fur, -0.28), shade(fur, 0.4)
    shadow(c, x, y, 0.7 * h)

    def p(px: float, py: float) -> Point:
        return x + px * h, y - py * h

    c.stroke([p(0.2, 0.07), p(0.4, 0.08), p(0.46, 0.22), p(0.4, 0.36)], 0.085 * h, dark)
    c.ellipse(*p(0, 0.22), 0.27 * h, 0.22 * h, fur)
    c.poly([p(-0.25, 0.2), p(-0.17, 0.58), p(0.17, 0.58), p(0.25, 0.2)], fur)
    c.ellipse(*p(0, 0.36), 0.12 * h, 0.18 * h, light)
    for side in (-1, 1):
        c.stroke([p(side * 0.075, 0.3), p(side * 0.075, 0.05)], 0.1 * h, fur)
        c.ellipse(*p(side * 0.08, 0.035), 0.065 * h, 0.038 * h, light)
        c.poly([p(side * 0.25, 0.7), p(side * 0.24, 1.0), p(side * 0.05, 0.86)], fur)
        c.poly([p(side * 0.21, 0.77), p(side * 0.205, 0.92), p(side * 0.1, 0.85)], (240, 150, 150))
    c.ellipse(*p(0, 0.7), 0.27 * h, 0.215 * h, fur)
    c.ellipse(*p(0, 0.62), 0.12 * h, 0.085 * h, light)
    for side in (-1, 1):
        c.ellipse(*p(side * 0.115, 0.73), 0.055 * h, 0.06 * h, (180, 214, 76))
        c.ellipse(*p(side * 0.115, 0.73), 0.022 * h, 0.052 * h, INK)
        for up in (0.0, 0.05):
            c.stroke([p(side * 0.12, 0.625 - up / 2), p(side * 0.34, 0.64 - up)], 0.012 * h, mix(fur, INK, 0.6))
    for sx in (-0.06, 0, 0.06):
        c.stroke([p(sx, 0.91 - abs(sx) * 0.2), p(sx, 0.83)], 0.025 * h, dark)
    c.poly([p(-0.035, 0.665), p(0.035, 0.665), p(0, 0.625)], (226, 104, 112))


def house(c: Canvas, x: float, y: float, h: float, scene: Scene, rng: random.Random) -> None:
    wall = COLOURS[scene.colour]
    roof = rng.choice([r for r in ((150, 62, 48), (70, 76, 96), (112, 74, 54)) if math.dist(r, wall) > 70])
    pane = LAMP if scene.time != "day" else GLASS
    frame = (250, 248, 240) if scene.colour != "white" else (96, 104, 120)
    shadow(c, x, y, 1.35 * h)

    def box(x0: float, y0: float, x1: float, y1: float, colour: RGB, alpha: int = 255, raw: bool = False) -> None:
        c.rect(x + x0 * h, y - y1 * h, x + x1 * h, y - y0 * h, colour, alpha, raw=raw)

    box(0.24, 0.7, 0.36, 1.0, shade(roof, -0.3))
    box(-0.55, 0, 0.55, 0.56, wall)
    box(0.2, 0, 0.55, 0.56, shade(wall, -0.16))
    box(-0.55, 0, 0.55, 0.05, shade(wall, -0.4))
    corners = [(-0.68, 0.53), (-0.42, 0.92), (0.42, 0.92), (0.68, 0.53)]
    c.poly([(x + px * h, y - py * h) for px, py in corners], roof)
    c.poly(
        [(x + px * h, y - py * h) for px, py in [(0.68, 0.53), (0.42, 0.92), (0.2, 0.92), (0.34, 0.53)]],
        shade(roof, -0.2),
    )
    box(-0.11, 0, 0.11, 0.38, frame)
    box(-0.08, 0, 0.08, 0.35, (112, 70, 44))
    c.ellipse(x + 0.05 * h, y - 0.17 * h, 0.015 * h, 0.015 * h, LAMP)
    for wx in (-0.34, 0.34):
        box(wx - 0.14, 0.14, wx + 0.14, 0.42, frame)
        box(wx - 0.11, 0.17, wx + 0.11, 0.39, pane, raw=pane is LAMP)
        box(wx - 0.012, 0.17, wx + 0.012, 0.39, frame)
        box(wx - 0.11, 0.27, wx + 0.11, 0.294, frame)
        if pane is LAMP:
            c.glow(x + wx * h, y - 0.28 * h, 0.3 * h, LAMP, 0.45)


def tree(c: Canvas, x: float, y: float, h: float, scene: Scene, rng: random.Random) -> None:
    leaf = LEAF[scene.colour]
    shadow(c, x, y, 0.7 * h)
    c.poly(
        [(x - 0.08 * h, y), (x - 0.045 * h, y - 0.5 * h), (x + 0.045 * h, y - 0.5 * h), (x + 0.08 * h, y)],
        (112, 74, 48),
    )
    c.poly(
        [(x + 0.01 * h, y), (x + 0.01 * h, y - 0.5 * h), (x + 0.045 * h, y - 0.5 * h), (x + 0.08 * h, y)], (86, 54, 38)
    )
    c.stroke([(x, y - 0.34 * h), (x + 0.16 * h, y - 0.5 * h)], 0.035 * h, (96, 62, 42))
    crown = [
        (0.22, 0.52, 0.2),
        (-0.22, 0.52, 0.2),
        (0.24, 0.7, 0.2),
        (-0.22, 0.7, 0.21),
        (0, 0.6, 0.24),
        (0.02, 0.82, 0.2),
    ]
    for dx, dy, r in crown:
        c.ellipse(x + dx * h, y - dy * h, r * h, r * h, shade(leaf, -0.24))
    for dx, dy, r in crown:
        c.ellipse(x + (dx - 0.03) * h, y - (dy + 0.03) * h, r * 0.86 * h, r * 0.86 * h, leaf)
    for dx, dy, r in crown[3:]:
        c.ellipse(x + (dx - 0.07) * h, y - (dy + 0.07) * h, r * 0.45 * h, r * 0.42 * h, shade(leaf, 0.2))


def car(c: Canvas, x: float, y: float, h: float, scene: Scene, rng: random.Random) -> None:
    paint = COLOURS[scene.colour]
    shadow(c, x, y, 2.4 * h)

    def shape(points: list[Point], colour: RGB) -> None:
        c.poly([(x + px * h, y - py * h) for px, py in points], colour)

    c.rect(x - 1.13 * h, y - 0.58 * h, x + 1.13 * h, y - 0.16 * h, paint, radius=0.17 * h)
    shape([(-0.8, 0.52), (-0.55, 0.94), (-0.45, 1.0), (0.22, 1.0), (0.32, 0.95), (0.66, 0.54)], paint)
    shape([(-0.66, 0.56), (-0.47, 0.88), (-0.12, 0.88), (-0.12, 0.56)], GLASS)
    shape([(-0.03, 0.56), (-0.03, 0.88), (0.22, 0.88), (0.5, 0.56)], GLASS)
    shape([(-0.4, 0.88), (-0.3, 0.88), (-0.46, 0.56), (-0.56, 0.56)], (226, 242, 246))
    c.rect(x - 1.13 * h, y - 0.32 * h, x + 1.13 * h, y - 0.16 * h, shade(paint, -0.28), radius=0.08 * h)
    c.stroke([(x - 0.075 * h, y - 0.52 * h), (x - 0.075 * h, y - 0.32 * h)], 0.02 * h, shade(paint, -0.35))
    c.stroke([(x - 0.3 * h, y - 0.46 * h), (x - 0.2 * h, y - 0.46 * h)], 0.035 * h, shade(paint, -0.45))
    c.ellipse(x + 1.04 * h, y - 0.44 * h, 0.09 * h, 0.08 * h, (255, 240, 180), raw=True)
    c.ellipse(x - 1.06 * h, y - 0.44 * h, 0.06 * h, 0.08 * h, (196, 40, 36), raw=True)
    for wx in (-0.64, 0.64):
        c.ellipse(x + wx * h, y - 0.2 * h, 0.22 * h, 0.22 * h, INK)
        c.ellipse(x + wx * h, y - 0.2 * h, 0.11 * h, 0.11 * h, (200, 204, 210))
    if scene.time == "night":
        c.glow(x + 1.12 * h, y - 0.42 * h, 0.5 * h, LAMP, 0.6)


def boat(c: Canvas, x: float, y: float, h: float, scene: Scene, rng: random.Random) -> None:
    paint = COLOURS[scene.colour]
    c.ellipse(x, y, 0.56 * h, 0.06 * h, (10, 20, 50), alpha=90, raw=True)

    def shape(points: list[Point], colour: RGB) -> None:
        c.poly([(x + px * h, y - py * h) for px, py in points], colour)

    c.stroke([(x, y - 0.2 * h), (x, y - 1.0 * h)], 0.028 * h, (120, 82, 54))
    shape([(0.04, 0.97), (0.46, 0.3), (0.04, 0.3)], (252, 248, 238))
    shape([(0.2, 0.72), (0.28, 0.59), (0.04, 0.59), (0.04, 0.72)], mix(paint, (255, 255, 255), 0.15))
    shape([(-0.04, 0.88), (-0.36, 0.3), (-0.04, 0.3)], (224, 222, 222))
    shape([(-0.5, 0.24), (-0.36, 0.0), (0.38, 0.0), (0.58, 0.24)], paint)
    shape([(-0.42, 0.1), (-0.36, 0.0), (0.38, 0.0), (0.46, 0.1)], shade(paint, -0.35))
    c.stroke([(x - 0.48 * h, y - 0.23 * h), (x + 0.55 * h, y - 0.23 * h)], 0.03 * h, (250, 244, 230))


DRAW = {"person": person, "dog": dog, "cat": cat, "house": house, "tree": tree, "car": car, "boat": boat}
