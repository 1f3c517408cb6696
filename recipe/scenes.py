"""Draws a Scene: flat, modern illustration, the same picture for the same seed at every size."""

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from . import backdrops
from .canvas import Canvas
from .figures import DRAW
from .objects import draw_objects
from .spec import Scene

# figure height as a share of the picture's, width as a share of the figure's height, where it stands
_STANCE = {
    "person": (0.72, 0.5, 0.965), "dog": (0.6, 1.3, 0.94), "cat": (0.7, 0.8, 0.95), "house": (0.56, 1.4, 0.88),
    "tree": (0.74, 0.85, 0.92), "car": (0.34, 2.35, 0.92), "boat": (0.62, 1.15, 0.84),
}  # fmt: skip
# How many skies, backgrounds, grounds and falls of rain or snow there are: what differs without a meaning (the place of
# every flake, window and wave) would be noise that the model spends itself on. They are chosen one by one.
_PATTERNS = {"sky": 4, "background": 3, "ground": 3, "weather": 2}


def render(scene: Scene, width: int, height: int, supersample: int = 2) -> Image.Image:
    """The scene as an RGB picture of exactly `width` × `height` px."""
    canvas, rng = Canvas(width, height, supersample), random.Random(f"{scene.seed} layout")
    if scene.relation:
        draw_objects(canvas, scene, rng)
        return canvas.finish()
    patterns = {part: random.Random(f"{part} {rng.randrange(count)}") for part, count in _PATTERNS.items()}
    backdrops.sky(canvas, scene, patterns["sky"])
    canvas.light = backdrops.LIGHTS[scene.time]
    backdrops.background(canvas, scene, patterns["background"])
    mist = backdrops.MIST[scene.time]
    if scene.weather == "fog":
        canvas.veil(0, 0.7, mist, 0.25, 0.75)
    backdrops.ground(canvas, scene, patterns["ground"])
    if scene.weather == "fog":
        canvas.veil(0, 0.6, mist, 0.2, 0.5)
        canvas.veil(0.6, 1, mist, 0.7, 0.3)
    if scene.subject != "none":
        canvas.light = backdrops.SUBJECT_LIGHTS[scene.time]
        _stand(canvas, scene, rng)
    backdrops.weather(canvas, scene, patterns["weather"])
    return canvas.finish()


def emphasis(scene: Scene, columns: int, rows: int) -> np.ndarray:
    """float16 [rows,columns]: how much an error there matters: 1, and more where the picture tells an attribute.

    Hair and hills are a few of 256 latents; unless those count for more, a network learns skies first and hair last.
    """

    def seen(scene: Scene) -> np.ndarray:
        return np.asarray(render(scene, 8 * columns, 8 * rows, 1), dtype=np.int16)

    picture, total = seen(scene), np.ones((rows, columns))
    for other, more in _without(scene):
        differs = np.abs(picture - seen(other)).max(-1) > 12
        total += more * differs.reshape(rows, 8, columns, 8).mean((1, 3))
    return total.astype(np.float16)


def _without(scene: Scene) -> Iterator[tuple[Scene, float]]:
    """The scene with one attribute taken away or changed, and how much more what changes then matters."""
    if scene.relation:
        yield replace(scene, objects=()), 3
        return
    if scene.background != "none":
        yield replace(scene, background="none"), 2
    if scene.weather in ("rain", "snow"):
        yield replace(scene, weather="cloudy"), 1
    if scene.subject != "none":
        yield replace(scene, subject="none"), 2
    if scene.subject == "person":
        yield replace(scene, hair="blonde" if scene.hair in ("black", "brown") else "black"), 3
        yield replace(scene, who="man" if scene.who == "woman" else "woman"), 2
        yield replace(scene, pose="walking" if scene.pose == "standing" else "standing"), 1


def _stand(canvas: Canvas, scene: Scene, rng: random.Random) -> None:
    tall, wide, y = _STANCE[scene.subject]
    h = min(tall * rng.uniform(0.94, 1.04), 1.9 * canvas.side / wide)
    room = max(0.0, canvas.side - h * wide / 2)
    is_held = scene.subject in ("dog", "cat") or (scene.setting in ("lake", "road") and scene.subject != "boat")
    reach = 0.1 if is_held else 0.5
    x = rng.uniform(-1, 1) * min(room, reach * canvas.side)
    if scene.time == "night":
        canvas.glow(x, y - h / 2, h * 0.8, (120, 150, 220), 0.35)
    DRAW[scene.subject](canvas, x, y, h, scene, rng)
