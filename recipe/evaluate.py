"""How much of a prompt the shipped model draws: `python -m engine.builtin.evaluate`.

Draws held-out prompts (seeds and phrasings never trained on) at native size and counts the named
attributes that a classifier, trained on renders and on what the model makes of renders, finds in them.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from engine.catalogue import read_catalogue

from .captions import Caption, caption
from .classifier import Classifier
from .export import WEIGHTS, load_pipeline
from .pictures import draw, to_tensor
from .spec import random_scene

FIRST_SEED = 500_000  # below the seeds that are trained on
MODEL = read_catalogue()["builtin"]  # what is asked of it where nobody says otherwise is what is evaluated
Shares = dict[str, float]


def held_out(count: int, first: int = FIRST_SEED) -> list[Caption]:
    """Prompts of scenes and phrasings that training never saw."""
    return [caption(random_scene(seed), random.Random(seed), held_out=True) for seed in range(first, first + count)]


@torch.inference_mode()
def draw_prompts(
    pipeline: StableDiffusionPipeline, prompts: list[str], steps: int, guidance: float, batch: int = 10, seed: int = 0
) -> Iterator[Tensor]:
    """[1,3,256,256] in −1…1 for each prompt, in order; picture i has the seed `seed` + i."""
    device = pipeline.unet.device
    for start in range(0, len(prompts), batch):
        group = prompts[start : start + batch]
        noises = [torch.Generator().manual_seed(seed + start + i) for i in range(len(group))]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            pictures = pipeline(
                group, num_inference_steps=steps, guidance_scale=guidance, generator=noises, output_type="pt"
            ).images
        yield from (2 * pictures.float().cpu() - 1).split(1)


def shares(prompts: Iterable[Caption], seen: Iterable[dict[str, str]]) -> Shares:
    """The share of named attributes that are seen: overall, and per attribute ("shape 0" → "shape")."""
    found: dict[str, list[bool]] = defaultdict(list)
    for told, attributes in zip(prompts, seen, strict=True):
        for name, value in told.named.items():
            found[name.rstrip(" 012")].append(attributes.get(name) == value)
    every = [hit for hits in found.values() for hit in hits]
    return {"overall": mean(every)} | {name: mean(hits) for name, hits in sorted(found.items())}


def mean(hits: list[bool]) -> float:
    return round(sum(hits) / len(hits), 3)


def fresh_renders(count: int, first: int = FIRST_SEED) -> Iterator[Tensor]:
    for seed in range(first, first + count):
        yield to_tensor([draw((seed, 256, 256))])


def evaluate(folder: Path, count: int, steps: int, guidance: float, device: str) -> dict[str, object]:
    pipeline = load_pipeline(folder).to(device)
    classifier, prompts = Classifier.load(folder), held_out(count)
    pictures = draw_prompts(pipeline, [p.text for p in prompts], steps, guidance)
    drawn, rendered = (shares(prompts, map(classifier.named, each)) for each in (pictures, fresh_renders(count)))
    settings = {"prompts": count, "steps": steps, "guidance_scale": guidance, "scheduler": MODEL.scheduler}
    return {"overall": drawn["overall"], "drawn": drawn, "rendered": rendered, "settings": settings}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engine.builtin.evaluate", description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--steps", type=int, default=MODEL.steps)
    parser.add_argument("--guidance", type=float, default=MODEL.guidance_scale)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    result = evaluate(options.weights, options.count, options.steps, options.guidance, options.device)
    drawn, rendered = result["drawn"], result["rendered"]
    assert isinstance(drawn, dict)
    assert isinstance(rendered, dict)
    print(f"{'attribute':<14} drawn  rendered")
    for name, share in drawn.items():
        print(f"{name:<14} {share:5.3f}  {rendered[name]:5.3f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
