"""Sky, far background, ground and weather of a scene, from back to front."""

import math
import random

from .canvas import RGB, Canvas, Light, Point, mix, shade
from .spec import Scene

HORIZON = 0.6
SKIES: dict[str, tuple[RGB, RGB]] = {
    "day": ((58, 142, 226), (190, 228, 246)),
    "sunset": ((92, 58, 142), (255, 178, 92)), "night": ((10, 16, 48), (44, 66, 124)),
}  # fmt: skip
GREYS: dict[str, RGB] = {"day": (168, 178, 190), "sunset": (176, 126, 128), "night": (34, 40, 62)}
GREYNESS = {"clear": 0.0, "cloudy": 0.5, "rain": 0.8, "snow": 0.55, "fog": 0.75}
MIST: dict[str, RGB] = {"day": (222, 228, 232), "sunset": (240, 200, 176), "night": (92, 104, 134)}
LIGHTS = {
    "day": Light(), "sunset": Light((0.94, 0.74, 0.66), (16, 2, 0)), "night": Light((0.36, 0.42, 0.62), (2, 6, 20)),
}  # fmt: skip
SUBJECT_LIGHTS = {
    "day": Light(), "sunset": Light((1.0, 0.92, 0.86), (4, 0, 0)), "night": Light((0.74, 0.76, 0.88), (2, 4, 12)),
}  # fmt: skip
GREEN, SAND, SNOW, WATER = (104, 172, 84), (238, 206, 146), (240, 246, 252), (52, 130, 196)
LAMP: RGB = (255, 214, 112)


def sky(c: Canvas, scene: Scene, rng: random.Random) -> None:
    grey = GREYNESS[scene.weather]
    top, bottom = (mix(tone, GREYS[scene.time], grey) for tone in SKIES[scene.time])
    c.gradient(0, 1, shade(top, -0.15 * grey), mix(top, bottom, 1.4 if grey == 0 else 1.1), raw=True)
    x, y = rng.uniform(-0.75, 0.75) * c.side, rng.uniform(0.12, 0.2)
    if scene.time == "night" and scene.weather in ("clear", "cloudy"):
        for _ in range(int(90 * c.side)):
            r = rng.uniform(0.003, 0.006)
            c.ellipse(rng.uniform(-c.side, c.side), rng.uniform(0, 0.5), r, r, (255, 255, 240), raw=True)
    if scene.weather in ("clear", "cloudy"):
        _sun_or_moon(c, scene.time, x, y)
    if scene.weather in ("cloudy", "rain", "snow") or rng.random() < 0.4:
        _clouds(c, scene, rng)


def _sun_or_moon(c: Canvas, time: str, x: float, y: float) -> None:
    if time == "day":
        c.glow(x, y, 0.3, (255, 250, 214), 0.8)
        c.ellipse(x, y, 0.06, 0.06, (255, 240, 150), raw=True)
    elif time == "sunset":
        c.glow(x, 0.5, 0.55, (255, 214, 120), 0.9)
        c.ellipse(x, 0.5, 0.12, 0.12, (255, 236, 160), raw=True)
    else:
        c.glow(x, y, 0.26, (170, 190, 240), 0.6)
        c.ellipse(x, y, 0.065, 0.065, (248, 244, 220), raw=True)
        c.ellipse(x + 0.015, y + 0.012, 0.016, 0.014, (222, 216, 192), raw=True)
        c.ellipse(x - 0.022, y - 0.02, 0.012, 0.011, (222, 216, 192), raw=True)


def _clouds(c: Canvas, scene: Scene, rng: random.Random) -> None:
    heavy = scene.weather in ("cloudy", "rain", "snow")
    white = {"day": (255, 255, 255), "sunset": (255, 208, 186), "night": (92, 102, 140)}[scene.time]
    tone = mix(white, GREYS[scene.time], 0.85 if scene.weather == "rain" else 0.25 if heavy else 0)
    count = max(2, round((7 if heavy else 2.5) * c.side * 2))
    for i in range(count):
        x = (i + rng.uniform(0.2, 0.8)) / count * 2 * c.side - c.side
        y, w = rng.uniform(0.06, 0.26 if heavy else 0.22), rng.uniform(0.12, 0.2)
        for dx, dy, r in ((-0.6, 0, 0.3), (-0.15, -0.14, 0.42), (0.3, -0.05, 0.36), (0.65, 0.04, 0.24)):
            c.ellipse(x + dx * w, y + dy * w + 0.012, r * w, r * w, shade(tone, -0.13), raw=True)
        for dx, dy, r in ((-0.6, 0, 0.3), (-0.15, -0.14, 0.42), (0.3, -0.05, 0.36), (0.65, 0.04, 0.24)):
            c.ellipse(x + dx * w, y + dy * w, r * w, r * w, tone, raw=True)
        c.rect(x - 0.85 * w, y, x + 0.85 * w, y + 0.26 * w, tone, radius=0.12 * w, raw=True)


def background(c: Canvas, scene: Scene, rng: random.Random) -> None:
    if scene.background == "mountains":
        _mountains(c, rng)
    elif scene.background == "hills":
        for base, height, tone in ((0.5, 0.06, (126, 172, 152)), (0.56, 0.055, (96, 152, 108))):
            phase, bend = rng.uniform(0, 6), rng.uniform(7, 9)
            crest = [(x, base - height * math.sin(phase + bend * x)) for x in _steps(c, 40)]
            c.poly([(-c.side, 0.7), *crest, (c.side, 0.7)], tone)
    elif scene.background == "skyline":
        _skyline(c, scene, rng)
    elif scene.background == "sea":
        _water(c, 0.5, 0.7, rng)


def _steps(c: Canvas, count: int) -> list[float]:
    return [c.side * (2 * i / count - 1) for i in range(count + 1)]


def _mountains(c: Canvas, rng: random.Random) -> None:
    start = -c.side - rng.uniform(0, 0.25)
    while start < c.side + 0.1:
        width, peak = rng.uniform(0.46, 0.6), rng.uniform(0.2, 0.3)
        top = start + width * rng.uniform(0.45, 0.55)
        c.poly([(start - 0.08, 0.68), (top, peak), (start + width + 0.08, 0.68)], (108, 122, 158))
        c.poly([(top, peak), (start + width + 0.08, 0.68), (top + 0.06, 0.68), (top - 0.02, peak + 0.2)], (84, 96, 136))
        slope = (width / 2 + 0.08) / (0.68 - peak)
        snow = [(0, 0), (0.115, 0.115), (0.06, 0.1), (0.02, 0.15), (-0.03, 0.1), (-0.07, 0.14), (-0.115, 0.115)]
        c.poly([(top + dx * slope, peak + dy) for dx, dy in snow], (250, 252, 255))
        start += width * rng.uniform(0.55, 0.7)


def _skyline(c: Canvas, scene: Scene, rng: random.Random) -> None:
    x = -c.side
    while x < c.side:
        width, height = rng.uniform(0.07, 0.11), rng.uniform(0.12, 0.36)
        tone = rng.choice(((116, 134, 168), (96, 114, 150), (136, 150, 178)))
        c.rect(x, HORIZON - height, x + width, 0.7, tone)
        if height > 0.3:
            c.rect(x + width / 2 - 0.006, HORIZON - height - 0.06, x + width / 2 + 0.006, HORIZON - height, tone)
        _windows(c, x, HORIZON - height, x + width, 0.6, 0.03, scene, rng)
        x += width + rng.choice((0, 0, 0.02))


def _windows(
    c: Canvas, x0: float, y0: float, x1: float, y1: float, step: float, scene: Scene, rng: random.Random
) -> None:
    lit = scene.time != "day"
    columns, rows = max(1, int((x1 - x0) / step - 0.4)), int((y1 - y0) / (step * 1.3))
    pad = ((x1 - x0) - columns * step) / 2 + step * 0.22
    for column in range(columns):
        for row in range(rows):
            glows = lit and rng.random() < 0.6
            x, y = x0 + pad + column * step, y0 + step * (0.5 + 1.3 * row)
            c.rect(x, y, x + step * 0.56, y + step * 0.75, LAMP if glows else (70, 88, 122), raw=glows)


def _water(c: Canvas, y0: float, y1: float, rng: random.Random, tone: RGB = WATER) -> None:
    c.gradient(y0, y1, mix(tone, (255, 255, 255), 0.25), shade(tone, -0.1))
    for i in range(int(26 * c.side)):
        y = y0 + 0.015 + (y1 - y0 - 0.02) * (i * 0.618 % 1)
        x, w = rng.uniform(-c.side, c.side), rng.uniform(0.04, 0.09) * (0.6 + (y - y0) * 2)
        c.stroke([(x - w, y), (x + w, y)], 0.007, mix(tone, (255, 255, 255), 0.55))


def ground(c: Canvas, scene: Scene, rng: random.Random) -> None:
    _GROUNDS[scene.setting](c, scene, rng)
    if scene.weather == "snow" and scene.setting != "snow field":
        c.veil(0.66, 1, SNOW, 0.3, 0.5)


def _meadow(c: Canvas, scene: Scene, rng: random.Random) -> None:
    c.gradient(HORIZON, 1, (150, 204, 102), (82, 156, 66))
    for tone in ((255, 240, 120), (250, 120, 140), (255, 255, 255)):
        for _ in range(int(14 * c.side)):
            y = rng.uniform(0.68, 0.98)
            r, x = 0.016 * (y - 0.3), rng.uniform(-c.side, c.side)
            c.stroke([(x, y), (x, y + 3 * r)], 0.008, (60, 124, 52))
            c.ellipse(x, y, r, r, tone)


def _road(c: Canvas, scene: Scene, rng: random.Random) -> None:
    c.gradient(HORIZON, 1, (146, 188, 100), (92, 150, 74))
    vanish = rng.uniform(-0.06, 0.06)

    def across(offset: float, y: float) -> Point:
        return vanish * (1 - y) / (1 - HORIZON) + offset * (0.05 + (y - HORIZON) / (1 - HORIZON)), y

    c.poly([across(-0.4, HORIZON), across(0.4, HORIZON), across(0.4, 1), across(-0.4, 1)], (92, 96, 108))
    for side in (-0.36, 0.36):
        c.poly(
            [
                across(side - 0.013, HORIZON),
                across(side + 0.013, HORIZON),
                across(side + 0.013, 1),
                across(side - 0.013, 1),
            ],
            (244, 244, 240),
        )
    for y0, y1 in ((0.615, 0.64), (0.66, 0.7), (0.735, 0.8), (0.86, 0.97)):
        c.poly([across(-0.02, y0), across(0.02, y0), across(0.02, y1), across(-0.02, y1)], (250, 214, 84))


def _beach(c: Canvas, scene: Scene, rng: random.Random) -> None:
    _water(c, 0.55, 0.76, rng, (34, 152, 190))
    wave = rng.uniform(0, 6)
    for lift, tone in ((0.0, (255, 255, 255)), (0.02, shade(SAND, -0.12)), (0.045, SAND)):
        edge = [(x, 0.735 + lift + 0.012 * math.sin(9 * x + wave)) for x in _steps(c, 30)]
        c.poly([*edge, (c.side, 1), (-c.side, 1)], tone)
    if c.side > 0.3:
        _palm(c, rng.choice((-1, 1)) * (c.side - 0.1), 0.86)


def _palm(c: Canvas, x: float, y: float) -> None:
    c.stroke([(x, y), (x + 0.015, y - 0.2), (x, y - 0.4)], 0.032, (150, 108, 70))
    for turn in (-200, -165, -125, -55, -15, 20):
        a = math.radians(turn)
        tip = (x + 0.19 * math.cos(a), y - 0.4 + 0.13 * math.sin(a) + 0.03)
        c.poly([(x, y - 0.42), ((x + tip[0]) / 2, (y - 0.4 + tip[1]) / 2 - 0.055), tip, (x, y - 0.38)], (52, 146, 84))


def _forest(c: Canvas, scene: Scene, rng: random.Random) -> None:
    c.gradient(HORIZON, 1, (104, 140, 72), (68, 98, 52))
    c.poly([(-0.05, HORIZON), (0.05, HORIZON), (0.4, 1), (-0.4, 1)], (172, 138, 96))
    for y, h, gap, tone, aisle in ((0.64, 0.34, 0.085, (62, 118, 82), 0.05), (0.72, 0.5, 0.15, (40, 96, 62), 0.18)):
        x = -c.side
        while x < c.side + gap:
            if abs(x) > aisle:
                fir(
                    c,
                    x + rng.uniform(-0.02, 0.02),
                    y + rng.uniform(-0.01, 0.03),
                    h * rng.uniform(0.85, 1.15),
                    tone,
                    scene.weather == "snow",
                )
            x += gap
    for side in (-1, 1):
        fir(c, side * max(0.42, c.side * 0.85), 0.93, 0.85, (34, 84, 54), scene.weather == "snow")


def fir(c: Canvas, x: float, y: float, h: float, tone: RGB, snowy: bool = False) -> None:
    c.rect(x - 0.03 * h, y - 0.15 * h, x + 0.03 * h, y, (96, 66, 46))
    for low, high, w in ((0.1, 0.5, 0.22), (0.34, 0.76, 0.17), (0.6, 1.0, 0.12)):
        c.poly([(x - w * h, y - low * h), (x, y - high * h), (x + w * h, y - low * h)], tone)
        c.poly([(x, y - low * h), (x, y - high * h), (x + w * h, y - low * h)], shade(tone, -0.2))
        if snowy:
            c.poly(
                [
                    (x - w * h * 0.5, y - (low + high) / 2 * h),
                    (x, y - high * h),
                    (x + w * h * 0.5, y - (low + high) / 2 * h),
                ],
                SNOW,
            )


def _city(c: Canvas, scene: Scene, rng: random.Random) -> None:
    c.gradient(HORIZON, 0.82, (190, 188, 190), (164, 164, 170))
    c.gradient(0.82, 1, (96, 98, 110), (76, 78, 90))
    c.rect(-c.side, 0.81, c.side, 0.83, (222, 222, 222))
    x = -c.side
    while x < c.side:
        width, middle = rng.uniform(0.2, 0.28), abs(x + 0.12) < 0.2
        top = rng.uniform(0.4, 0.46) if middle else rng.uniform(0.08, 0.26)
        tone = rng.choice(((198, 120, 92), (222, 188, 146), (120, 144, 168), (176, 150, 160), (146, 120, 108)))
        if not (middle and scene.background != "none"):
            c.rect(x, top, x + width, 0.68, tone)
            c.rect(x + width * 0.86, top, x + width, 0.68, shade(tone, -0.2))
            c.rect(x, top, x + width, top + 0.015, shade(tone, 0.3))
            _windows(c, x, top + 0.01, x + width * 0.86, 0.6, 0.06, scene, rng)
        x += width
    for dash in range(int(c.side / 0.2) + 1):
        for side in (-1, 1):
            c.rect(side * dash * 0.3 - 0.06, 0.905, side * dash * 0.3 + 0.06, 0.92, (240, 240, 236))


def _desert(c: Canvas, scene: Scene, rng: random.Random) -> None:
    c.gradient(HORIZON, 1, (240, 186, 112), (226, 158, 86))
    for base, tone in ((0.66, (234, 170, 96)), (0.76, (244, 188, 112)), (0.88, (228, 158, 84))):
        phase = rng.uniform(0, 6)
        c.poly([(-c.side, 1), *((x, base + 0.03 * math.sin(5 * x + phase)) for x in _steps(c, 30)), (c.side, 1)], tone)
    for side in (-1, 1):
        _cactus(c, side * rng.uniform(0.72, 0.86) * c.side, rng.uniform(0.74, 0.84), rng.uniform(0.2, 0.28))


def _cactus(c: Canvas, x: float, y: float, h: float) -> None:
    for points in ([(0, 0), (0, 1)], [(0, 0.35), (0.3, 0.4), (0.3, 0.7)], [(0, 0.5), (-0.28, 0.55), (-0.28, 0.82)]):
        c.stroke([(x + dx * h, y - dy * h) for dx, dy in points], 0.17 * h, (62, 140, 80))


def _lake(c: Canvas, scene: Scene, rng: random.Random) -> None:
    for x in _steps(c, int(36 * c.side) + 6):
        fir(c, x, 0.625, rng.uniform(0.07, 0.12), (58, 112, 84))
    _water(c, 0.62, 0.9, rng)
    if scene.subject not in ("boat", "none"):
        c.poly([(-0.17, 0.74), (0.17, 0.74), (0.42, 1), (-0.42, 1)], (160, 112, 74))
        for y in (0.78, 0.83, 0.89, 0.96):
            c.rect(-0.17 - (y - 0.74) * 0.96, y, 0.17 + (y - 0.74) * 0.96, y + 0.008, (112, 76, 50))
    shore = [(x, 0.9 + 0.05 * (1 - abs(x) / c.side)) for x in _steps(c, 20)]
    if scene.subject in ("boat", "none"):
        c.poly([*shore, (c.side, 1), (-c.side, 1)], (92, 150, 74))
    else:
        c.gradient(0.9, 0.9, WATER, WATER)
        for side in (-1, 1):
            c.poly([(side * c.side, 0.86), (side * c.side, 1), (side * 0.42, 1), (side * 0.36, 0.94)], (92, 150, 74))
    for side in (-1, 1):
        for i in range(5):
            x = side * (c.side - 0.02 - 0.028 * i)
            c.stroke([(x, 0.95), (x + 0.01 * side, 0.78 + 0.02 * i)], 0.011, (70, 130, 62))
            c.stroke([(x + 0.008 * side, 0.82 + 0.02 * i), (x + 0.01 * side, 0.78 + 0.02 * i)], 0.02, (120, 80, 48))


def _snow_field(c: Canvas, scene: Scene, rng: random.Random) -> None:
    c.gradient(HORIZON, 1, (226, 236, 248), (246, 250, 254))
    for base, tone in ((0.68, (214, 228, 244)), (0.82, (250, 252, 255))):
        phase = rng.uniform(0, 6)
        c.poly([(-c.side, 1), *((x, base + 0.025 * math.sin(5 * x + phase)) for x in _steps(c, 30)), (c.side, 1)], tone)
    for side in (-1, 1):
        fir(c, side * 0.86 * c.side, 0.72, 0.24, (60, 116, 100), snowy=True)
        fir(c, side * 0.62 * c.side, 0.66, 0.16, (60, 116, 100), snowy=True)


_GROUNDS = {
    "meadow": _meadow, "road": _road, "beach": _beach, "forest": _forest, "city": _city, "desert": _desert,
    "lake": _lake, "snow field": _snow_field,
}  # fmt: skip


def weather(c: Canvas, scene: Scene, rng: random.Random) -> None:
    """What falls in front of everything."""
    if scene.weather == "rain":
        _rain(c, scene, rng)
    elif scene.weather == "snow":
        _flakes(c, rng)
    elif scene.weather == "fog":
        c.veil(0.72, 1, MIST[scene.time], 0.1, 0.55)


def _rain(c: Canvas, scene: Scene, rng: random.Random) -> None:
    tone = {"day": (226, 238, 250), "sunset": (255, 226, 214), "night": (150, 172, 216)}[scene.time]
    columns, rows = max(4, round(c.side * 2 * 9)), 8
    for i in range(columns):
        for j in range(rows):
            x = ((i + rng.uniform(0.1, 0.9)) / columns * 2 - 1) * c.side
            y = (j + 0.5 * (i % 2) + rng.uniform(0, 0.4)) / rows - 0.05
            c.stroke([(x, y), (x - 0.02, y + 0.075)], 0.0095, tone, raw=True)


def _flakes(c: Canvas, rng: random.Random) -> None:
    columns, rows = max(4, round(c.side * 2 * 9)), 9
    for i in range(columns):
        for j in range(rows):
            x, y = ((i + rng.random()) / columns * 2 - 1) * c.side, (j + rng.random()) / rows
            r = rng.choice((0.008, 0.011, 0.014))
            c.ellipse(x, y, r, r, (255, 255, 255), raw=True)
