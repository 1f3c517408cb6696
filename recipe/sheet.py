"""A contact sheet of what the model draws, good and bad: `python -m recipe.sheet FILE`."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from .evaluate import MODEL, draw_prompts
from .export import WEIGHTS, load_pipeline, load_upscaler

TILE = 320  # px
LINE = 30  # px for the prompt under a tile
COLUMNS = 4
PROMPTS = [
    "A person standing on road wearing jacket with Mountain in background and its raining",
    "a red car on a mountain road",
    "night city, snow, man in a blue jacket",
    "a woman with red hair in a yellow raincoat on a beach at sunset",
    "a white sailboat on a lake with mountains behind",
    "a grey cat in a snowy field at night",
    "a brown dog in a meadow, sunny",
    "a teal house in the fog, hills in the background",
    "a pink tree in a meadow at sunset",
    "an orange car in the desert under the moon",
    "a girl in a purple coat walking in the forest while it snows",
    "someone with grey hair by the sea in pouring rain",
    "a red cube on top of a blue cylinder",
    "a green pyramid to the left of a yellow sphere",
    "a purple cone in front of a white cube",
    "a blue ball, a red cone and an orange box in a row",
]


def sheet(pictures: Iterable[Image.Image], labels: list[str], columns: int = COLUMNS) -> Image.Image:
    """A grid of pictures of any shape, each with its label under it."""
    page = Image.new("RGB", (columns * TILE, -(-len(labels) // columns) * (TILE + LINE)), "white")
    write = ImageDraw.Draw(page)
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = i % columns * TILE, i // columns * (TILE + LINE)
        page.paste(ImageOps.contain(picture, (TILE - 4, TILE - 4), Image.Resampling.LANCZOS), (x + 2, y + 2))
        for n, text in enumerate(_lines(label)):
            write.text((x + 4, y + TILE + 12 * n), text, fill="black")
    return page


@torch.inference_mode()
def enlarged(pictures: Iterable[Tensor]) -> Iterator[Image.Image]:
    """[1,3,H,W] in −1…1 each, as people get them: eight times as large."""
    upscaler = load_upscaler()
    for picture in pictures:
        yield Image.fromarray(upscaler((picture + 1) / 2)[0].permute(1, 2, 0).mul(255).byte().numpy())


def _lines(text: str, width: int = 52) -> list[str]:
    if len(text) <= width:
        return [text]
    cut = text.rfind(" ", 0, width)
    return [text[:cut], text[cut + 1 :]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m recipe.sheet", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    pipeline = load_pipeline(options.weights)
    pictures = draw_prompts(pipeline, PROMPTS, options.steps, MODEL.guidance_scale, batch=4, seed=options.seed)
    sheet(enlarged(pictures), PROMPTS).save(options.file, quality=85)


if __name__ == "__main__":
    main()
