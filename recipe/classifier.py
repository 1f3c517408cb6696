"""Stage 10: a small network that names the attributes of a picture; evaluation trusts it, drawing never loads it."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from .captions import caption
from .loop import Loop, Place, average
from .muon import optimizers_of
from .pictures import TRAIN_SEEDS, draw, in_parallel, to_tensor
from .spec import VALUES, random_scene
from .text import AttributeHeads, labels

INPUT = 128  # px
FIRST_SEED = TRAIN_SEEDS + 40_000_000  # of what is drawn over
FRESH_SEED = TRAIN_SEEDS + 80_000_000
SHARD = 320  # scenes
GROUP = 16  # scenes, redrawn together
STRENGTH = (0.15, 0.6)  # of redrawing: more, and the picture shows something else than its labels
STEPS = 10  # of which the share `STRENGTH` is done


class Classifier(nn.Module):
    """[B,3,128,128] in −1…1 → for every attribute its scores."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Sequential(*_conv(12, 32), *_conv(32, 64, 2), *_conv(64, 96, 2), *_conv(96, 96))
        self.far = nn.Sequential(*_conv(96, 128, 2))
        self.layout = nn.Conv2d(128, 24, 1)
        self.mix = nn.Sequential(nn.Linear(96 + 128 + 16 * 24, 128), nn.ReLU(), nn.Dropout(0.1))
        self.heads = AttributeHeads(128)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        near = self.near(functional.pixel_unshuffle(pictures, 2))
        far = self.far(near)
        # what there is anywhere, hair as well as a hill, and what is where
        seen = [near.amax((2, 3)), far.amax((2, 3)), functional.adaptive_avg_pool2d(self.layout(far), 4).flatten(1)]
        scores: dict[str, Tensor] = self.heads(self.mix(torch.cat(seen, 1)))
        return scores

    @torch.no_grad()
    def named(self, picture: Tensor) -> dict[str, str]:
        """What it sees in [1,3,H,W] in −1…1, of any size."""
        scores = self.eval()(shrink(picture))
        return {name: values[int(scores[name][0, : len(values)].argmax())] for name, values in VALUES.items()}

    def save(self, folder: Path) -> None:
        """Matrices as float8, in which they name the same, all else as fp16."""
        tensors = {k: v.to(_stored(v)).cpu().contiguous() for k, v in self.state_dict().items()}
        save_file(tensors, folder / "classifier.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        net = cls()
        net.load_state_dict(load_file(folder / "classifier.safetensors"))
        return net.eval()


def _conv(a: int, b: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, padding=1, stride=stride), nn.BatchNorm2d(b), nn.ReLU()]


def _stored(t: Tensor) -> torch.dtype:
    if not t.is_floating_point():
        return t.dtype
    return torch.float8_e4m3fn if t.ndim > 1 else torch.float16


def shrink(pictures: Tensor) -> Tensor:
    return functional.interpolate(pictures, size=(INPUT, INPUT), mode="bilinear", antialias=True, align_corners=False)


def train_classifier(
    place: Place, pipeline: StableDiffusionImg2ImgPipeline, budget_seconds: float, redrawn_scenes: int, batch: int = 64
) -> Classifier:
    """On fresh renders and, a quarter, on `redrawn_scenes` that the model drew over; a little elsewhere and softer."""
    net, kept = Classifier(), Classifier()
    loop = Loop("classifier", place, {"live": net, "kept": kept}, budget_seconds)
    kept.load_state_dict(net.state_dict() if loop.step == 0 else kept.state_dict())
    for part in (net, kept):
        part.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not declare it
    net.train()
    again, seeds = make_redrawn(place, pipeline, redrawn_scenes)
    optimizers = optimizers_of(net, ("near.0", "heads"))
    rng, quarter = random.Random(f"classifier {loop.step}"), batch // 4
    first = FRESH_SEED + 100 * batch * loop.step
    fresh = in_parallel(_small, _seeds(first), place.workers, chunk=GROUP)
    fresh_seeds = _seeds(first)

    def step() -> Tensor:
        chosen = rng.choices(range(redrawn_scenes), k=quarter)
        drawn = torch.from_numpy(np.stack(list(itertools.islice(fresh, batch - quarter)))).permute(0, 3, 1, 2)
        seen = torch.cat([again[chosen], drawn]).to(place.device)
        shown = [*(seeds[i] for i in chosen), *itertools.islice(fresh_seeds, batch - quarter)]
        true = labels([random_scene(seed).attributes() for seed in shown], place.device)
        with place.autocast:
            scores = net(_blurred(_moved(seen, rng), rng))
        return torch.stack([functional.cross_entropy(scores[name].float(), true[name]) for name in VALUES]).mean()

    def after() -> None:
        average(kept, net, 0.99 if loop.step > 100 else 0.9)
        for a, b in zip(kept.buffers(), net.buffers(), strict=True):
            a.copy_(b)

    loop.run(optimizers, step, after)
    fresh.close()
    return kept.eval()


def _small(seed: int) -> np.ndarray:
    return draw((seed, INPUT, INPUT))


def make_redrawn(place: Place, pipeline: StableDiffusionImg2ImgPipeline, scenes: int) -> tuple[Tensor, list[int]]:
    """uint8 [scenes,3,128,128] and their seeds; what is there already is not drawn again."""
    folder = place.work / "classifier"
    folder.mkdir(parents=True, exist_ok=True)
    seeds, parts = list(itertools.islice(_seeds(FIRST_SEED), scenes)), []
    for start in range(0, scenes, SHARD):
        file = folder / f"redrawn-{start // SHARD:04d}.safetensors"
        if not file.exists():
            save_file({"pictures": _redrawn(place, pipeline, seeds[start : start + SHARD])}, file.with_suffix(".tmp"))
            file.with_suffix(".tmp").replace(file)
            print(f"classifier: {min(start + SHARD, scenes)} of {scenes} drawn over", flush=True)
        parts.append(load_file(file)["pictures"])
    return torch.cat(parts), seeds


def _seeds(first: int) -> Iterator[int]:
    """Every seed of objects and people and every third of the others: shapes, hair and poses are hard to tell."""
    hard = ("", "person")
    return (seed for seed in itertools.count(first) if seed % 3 == 0 or random_scene(seed).subject in hard)


def _redrawn(place: Place, pipeline: StableDiffusionImg2ImgPipeline, seeds: list[int]) -> Tensor:
    drawn = in_parallel(draw, ((seed, 256, 256) for seed in seeds), place.workers, chunk=GROUP)
    groups = []
    for start in range(0, len(seeds), GROUP):
        group = seeds[start : start + GROUP]
        groups.append(to_bytes(shrink(redrawn(place, pipeline, to_tensor([next(drawn) for _ in group]), group))))
    drawn.close()
    return torch.cat(groups)


def to_bytes(pictures: Tensor) -> Tensor:
    return pictures.clamp(-1, 1).add(1).mul(127.5).round().byte().contiguous()


@torch.no_grad()
def redrawn(place: Place, pipeline: StableDiffusionImg2ImgPipeline, pictures: Tensor, seeds: list[int]) -> Tensor:
    """What the model makes of renders [B,3,H,W] in −1…1: its softness and its mistakes, with labels that are known."""
    rng = random.Random(seeds[0])
    told = [caption(random_scene(seed), rng).text for seed in seeds]
    with place.autocast:
        images = pipeline(
            told, image=(pictures + 1) / 2, strength=rng.uniform(*STRENGTH), num_inference_steps=STEPS,
            guidance_scale=3.0, generator=torch.Generator().manual_seed(seeds[0]), output_type="pt",
        ).images  # fmt: skip
    again: Tensor = 2 * images.float().cpu() - 1
    return again


def _moved(pictures: Tensor, rng: random.Random) -> Tensor:
    """uint8 [B,3,H,W] → −1…1, up to 6 px elsewhere; never mirrored, for left is left."""
    y, x = rng.randint(0, 12), rng.randint(0, 12)
    padded = functional.pad(pictures.float() / 127.5 - 1, (6, 6, 6, 6), mode="replicate")
    return padded[..., y : y + INPUT, x : x + INPUT].contiguous(memory_format=torch.channels_last)


def _blurred(pictures: Tensor, rng: random.Random) -> Tensor:
    if rng.random() < 0.5:
        return pictures
    small = functional.interpolate(pictures, scale_factor=rng.uniform(0.4, 1), mode="bilinear", antialias=True)
    return functional.interpolate(small, size=(INPUT, INPUT), mode="bilinear").clamp(-1, 1)
