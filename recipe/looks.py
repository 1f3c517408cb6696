"""What else the model is asked for, shown and measured: `python -m recipe.looks FOLDER`.

Drafts of the real engine: shapes from 1:2 to 2:1, every scheduler with few and many steps and with little and much
guidance, sixteen seeds, one word changed, and pictures that are drawn over; a sheet of each, and figures.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace
from PIL import Image
from torch import Tensor
from torch.nn import functional

from engine.drawing import draw
from engine.protocol import SCHEDULERS, Draw

from .captions import Caption
from .classifier import Classifier
from .evaluate import MODEL, mean, shares
from .export import WEIGHTS
from .scenes import render
from .sheet import sheet
from .spec import COLOURS, Scene

RATIOS = (("1:2", 1 / 2), ("2:3", 2 / 3), ("1:1", 1.0), ("3:2", 3 / 2), ("2:1", 2.0))
# Each colour stands in nothing else of its picture, so that its places can be counted.
SUBJECTS = [
    Caption("a man in a red jacket in a snow field at noon", {"subject": "person", "jacket": "red", "time": "day"}),
    Caption("a red car in a meadow at noon", {"subject": "car", "colour": "red", "setting": "meadow", "time": "day"}),
    Caption("a pink tree on a road at noon", {"subject": "tree", "colour": "pink", "setting": "road"}),
    Caption("a purple house in a meadow", {"subject": "house", "colour": "purple", "setting": "meadow"}),
]
GAP = 48  # px between two places of a colour; less is a window or a zip
WORDS = {
    "red": "purple",
    "man": "woman",
    "snow field": "meadow",
    "noon": "night",
}  # of the first of them, one at a time
GIVEN = Scene(3, "meadow", "hills", "day", "clear", "house", "white")
Tile = tuple[str, Draw]


def tiles(folder: Path, count: int, steps: int) -> dict[str, list[Tile]]:
    """What every sheet shows, with its label; `count` subjects and seeds by four. Writes what is drawn over."""
    given, mask = folder / "given.png", folder / "mask.png"
    render(GIVEN, 256, 256).save(given)
    hole = Image.new("L", (256, 256))
    hole.paste(255, (16, 90, 240, 240))
    hole.save(mask)
    first = SUBJECTS[0].text

    def plain(ratio: float = 1.0) -> Draw:
        return replace(MODEL.plain_draw("draft", ratio), prompt=first, seed=11, steps=steps)

    changed = [first, *(first.replace(f" {old}", f" {new}") for old, new in WORDS.items())]
    over = replace(plain(), prompt="a house in a meadow at night", init_image=str(given))
    return {
        "shapes": [
            (f"{name} {each.text}", replace(plain(ratio), prompt=each.text))
            for each in SUBJECTS[:count]
            for name, ratio in RATIOS
        ],
        "settings": [
            (
                f"{name}, {n} steps, guidance {g}",
                replace(plain(), scheduler=name, steps=min(n, 2 * steps), guidance_scale=g),
            )
            for name, n, g in product(SCHEDULERS, (8, 30), (2.0, 7.0)[-count:])
        ],
        "seeds": [(f"seed {seed}", replace(plain(), seed=seed)) for seed in range(4 * count)],
        "words": [(text, replace(plain(), prompt=text)) for text in changed],
        "over": [(f"at night, strength {s}", replace(over, strength=s)) for s in (0.3, 0.6, 0.9)]
        + [("a car where the house was", replace(over, prompt="a red car in a meadow", strength=1.0, mask=str(mask)))],
    }


def figures(drawn: Mapping[str, Sequence[Tensor]], given: Tensor, hole: Tensor) -> dict[str, Any]:
    """What can be counted: of pictures [3,H,W] in 0…1 by sheet, of what was drawn over, and of where."""
    classifier = Classifier.load(WEIGHTS)
    asked = [each for each in SUBJECTS for _ in RATIOS][: len(drawn["shapes"])]
    colours = [each.named.get("jacket") or each.named["colour"] for each in asked]
    seen = [classifier.named(2 * picture[None] - 1) for picture in (*drawn["shapes"], *drawn["settings"])]
    found = shares(asked, seen[: len(asked)]), shares([SUBJECTS[0]] * len(drawn["settings"]), seen[len(asked) :])
    apart = [_apart(a, b) for a, b in combinations(drawn["seeds"], 2)]
    middles = [_middle(picture, "red") for picture in drawn["seeds"]]
    before, *after = (_middle(p, c) for p, c in zip(drawn["words"], ("red", WORDS["red"], *["red"] * 3), strict=True))
    *redrawn, filled = drawn["over"]
    return {
        "shapes: subject stands once": mean(
            [places(p, colour) == 1 for p, colour in zip(drawn["shapes"], colours, strict=True)]
        ),
        "shapes: named attributes seen": found[0]["overall"],
        "settings: named attributes seen": found[1]["overall"],
        "settings: flattest, roughest": [
            round(min(float(p.std()) for p in drawn["settings"]), 3),
            round(max(float(p.diff(dim=-1).abs().mean()) for p in drawn["settings"]), 3),
        ],
        "seeds: brightness apart, least and mean": [round(min(apart), 3), round(sum(apart) / len(apart), 3)],
        "seeds: subject's middle, of the width": [round(min(middles), 3), round(max(middles), 3)],
        "words: subject moved by, of the width": [round(abs(each - before), 3) for each in after],
        "over: brightness apart, by strength": [round(_apart(given, each), 3) for each in redrawn],
        "over: outside and inside the mask apart": [
            round(float((filled - given)[:, where].abs().mean()), 3) for where in (~hole, hole)
        ],
    }


def _apart(a: Tensor, b: Tensor) -> float:
    """Root of the mean squared difference of two pictures seen from afar, in brightness alone."""
    small = [functional.adaptive_avg_pool2d(each.mean(0, keepdim=True), 16) for each in (a, b)]
    return float((small[0] - small[1]).square().mean().sqrt())


def places(picture: Tensor, colour: str) -> int:
    """In how many places along the longer side the colour stands."""
    is_wide = picture.shape[2] >= picture.shape[1]
    along = functional.avg_pool1d(_has(picture, colour).mean(0 if is_wide else 1)[None], GAP, stride=1)[0]
    high = along > 0.35 * along.max()
    return int(high[0]) + int((high[1:] & ~high[:-1]).sum())


def _middle(picture: Tensor, colour: str) -> float:
    """Where the colour stands, from 0 at the left to 1."""
    along = _has(picture, colour).mean(0)
    return float((along * torch.linspace(0, 1, len(along))).sum() / along.sum().clamp(min=1e-6))


def _has(picture: Tensor, colour: str) -> Tensor:
    """[3,H,W] in 0…1 → 1 where a pixel has the hue of one of `COLOURS`, else 0."""
    rgb = torch.tensor(COLOURS[colour]) / 255
    wanted, hue = rgb - rgb.mean(), picture - picture.mean(0)
    strength = (hue * wanted[:, None, None]).sum(0) / wanted.norm()
    return ((strength > 0.4 * wanted.norm()) & (strength > 0.85 * hue.norm(dim=0))).float()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m recipe.looks", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=len(SUBJECTS), choices=range(1, len(SUBJECTS) + 1))
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        wanted = tiles(Path(work), options.count, options.steps)
        requests = [request for each in wanted.values() for _, request in each]
        files = iter(draw("torch", Path(work), requests, Path(work), lambda event: None))
        images = {name: [Image.open(next(files).path).convert("RGB") for _ in each] for name, each in wanted.items()}
        given, mask = (Image.open(Path(work) / name).convert("RGB") for name in ("given.png", "mask.png"))
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, each in wanted.items():
        columns = len(RATIOS) if name == "shapes" else 4
        sheet(images[name], [label for label, _ in each], columns).save(options.folder / f"{name}.jpg", quality=85)
    drawn = {name: [_tensor(image) for image in each] for name, each in images.items()}
    print(json.dumps(figures(drawn, _tensor(given), _tensor(mask)[0] > 0.5), indent=2))


def _tensor(image: Image.Image) -> Tensor:
    return (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        .view(image.height, image.width, 3)
        .permute(2, 0, 1)
        / 255
    )


if __name__ == "__main__":
    main()
