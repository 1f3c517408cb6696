"""Stage 7: a small network that names the attributes of a picture; evaluation trusts it, drawing never loads it."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from engine.builtin.networks import SmallVAE

from .latents import encode_mean
from .loop import Loop, Place, average
from .pictures import TRAIN_SEEDS, draw, in_parallel, to_tensor
from .spec import VALUES, random_scene
from .text import AttributeHeads, labels

INPUT = 128  # px
FIRST_SEED = TRAIN_SEEDS + 40_000_000


class Classifier(nn.Module):
    """[B,3,128,128] in −1…1 → for every attribute its scores."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 48, 64, 80, 64)
        layers: list[nn.Module] = [nn.Conv2d(12, widths[0], 3, padding=1), nn.ReLU()]
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, padding=1, stride=2), nn.BatchNorm2d(b), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.mix = nn.Sequential(nn.Flatten(), nn.Linear(16 * widths[-1], 96), nn.ReLU(), nn.Dropout(0.1))
        self.heads = AttributeHeads(96)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        scores: dict[str, Tensor] = self.heads(self.mix(self.body(functional.pixel_unshuffle(pictures, 2))))
        return scores

    @torch.no_grad()
    def named(self, picture: Tensor) -> dict[str, str]:
        """What it sees in [1,3,H,W] in −1…1, of any size."""
        scores = self.eval()(shrink(picture))
        return {name: values[int(scores[name][0, : len(values)].argmax())] for name, values in VALUES.items()}

    def save(self, folder: Path) -> None:
        half = {k: v.half() if v.is_floating_point() else v for k, v in self.state_dict().items()}
        save_file(half, folder / "classifier.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        net = cls()
        net.load_state_dict(load_file(folder / "classifier.safetensors"))
        return net.eval()


def shrink(pictures: Tensor) -> Tensor:
    return functional.interpolate(pictures, size=(INPUT, INPUT), mode="bilinear", antialias=True, align_corners=False)


def train_classifier(place: Place, vae: SmallVAE, budget_seconds: float, batch: int = 32) -> Classifier:
    """On fresh renders, some through the VAE or blurred, so that softness does not mislead."""
    net, kept = Classifier(), Classifier()
    loop = Loop("classifier", place, {"live": net, "kept": kept}, budget_seconds)
    kept.load_state_dict(net.state_dict() if loop.step == 0 else kept.state_dict())
    vae.to(place.device).eval()
    for part in (net, kept):
        part.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not declare it
    net.train()
    first = FIRST_SEED + loop.step * batch
    pictures = in_parallel(draw, ((seed, 256, 256) for seed in _seeds(first)), place.workers, chunk=16)
    seeds = _seeds(first)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02, fused=True)
    rng = random.Random(loop.step)

    def step() -> Tensor:
        batch_seeds = [next(seeds) for _ in range(batch)]
        seen = _seen(place, vae, [next(pictures) for _ in range(batch)], rng)
        true = labels([random_scene(seed).attributes() for seed in batch_seeds], place.device)
        with place.autocast:
            scores = net(seen)
        losses = [functional.cross_entropy(scores[name].float(), true[name]) for name in VALUES]
        return torch.stack(losses).mean()

    def after() -> None:
        average(kept, net, 0.99 if loop.step > 100 else 0.9)
        for a, b in zip(kept.buffers(), net.buffers(), strict=True):
            a.copy_(b)

    loop.run([optimizer], step, after)
    pictures.close()
    return kept.eval()


def _seeds(first: int) -> Iterator[int]:
    """Every seed of objects and every third of the others: shapes and relations are hard to tell."""
    return (seed for seed in itertools.count(first) if seed % 3 == 0 or random_scene(seed).objects)


@torch.no_grad()
def _seen(place: Place, vae: SmallVAE, pictures: list[np.ndarray], rng: random.Random) -> Tensor:
    whole = to_tensor(pictures).to(place.device)
    way = rng.random()
    if way < 0.15:
        with place.autocast:
            latents = encode_mean(place, vae, pictures)
            whole = vae.drawn(latents + 0.3 * rng.random() * torch.randn_like(latents)).float()
    seen = shrink(whole)
    if way > 0.5:
        small = functional.interpolate(seen, scale_factor=rng.uniform(0.4, 1), mode="bilinear", antialias=True)
        seen = functional.interpolate(small, size=(INPUT, INPUT), mode="bilinear")
    return seen.clamp(-1, 1)
