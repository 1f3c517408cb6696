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
RENDERS = 32  # at once


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
    def named(self, pictures: Tensor) -> list[dict[str, str]]:
        """What it sees in [B,3,H,W] in −1…1, of any size."""
        scores = self.eval()(shrink(pictures))
        choice = {name: score[:, : len(VALUES[name])].argmax(1).tolist() for name, score in scores.items()}
        return [{name: VALUES[name][choice[name][i]] for name in VALUES} for i in range(len(pictures))]

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


def train_classifier(
    place: Place, vae: SmallVAE, budget_seconds: float, scenes: int, batch: int = 64
) -> Classifier:  # fmt: skip
    """On renders that were drawn once and are seen often, each time a little elsewhere and not as sharp."""
    net, kept = Classifier(), Classifier()
    loop = Loop("classifier", place, {"live": net, "kept": kept}, budget_seconds)
    kept.load_state_dict(net.state_dict() if loop.step == 0 else kept.state_dict())
    for part in (net, kept):
        part.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not declare it
    net.train()
    seeds = list(itertools.islice(_seeds(), scenes))
    pictures = torch.from_numpy(_renders(place, vae.to(place.device).eval(), seeds))
    true = labels([random_scene(seed).attributes() for seed in seeds], place.device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02, fused=True)
    rng = random.Random(loop.step)

    def step() -> Tensor:
        chosen = torch.tensor(rng.sample(range(scenes), min(batch, scenes)))
        seen = _blurred(_moved(pictures[chosen].to(place.device), rng), rng)
        with place.autocast:
            scores = net(seen)
        losses = [functional.cross_entropy(scores[name].float(), true[name][chosen]) for name in VALUES]
        return torch.stack(losses).mean()

    def after() -> None:
        average(kept, net, 0.99 if loop.step > 100 else 0.9)
        for a, b in zip(kept.buffers(), net.buffers(), strict=True):
            a.copy_(b)

    loop.run([optimizer], step, after)
    return kept.eval()


def _seeds() -> Iterator[int]:
    """Every seed of objects and every third of the others: shapes and relations are hard to tell."""
    return (seed for seed in itertools.count(FIRST_SEED) if seed % 3 == 0 or random_scene(seed).objects)


def _renders(place: Place, vae: SmallVAE, seeds: list[int]) -> np.ndarray:
    """uint8 [N,3,128,128], kept on disk; one in six went through the VAE, so that its softness does not mislead."""
    file = place.work / "classifier" / "renders.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = np.empty((len(seeds), 3, INPUT, INPUT), np.uint8)
        drawn = in_parallel(draw, ((seed, 256, 256) for seed in seeds), place.workers, chunk=16)
        for start in range(0, len(seeds), RENDERS):
            batch = [next(drawn) for _ in seeds[start : start + RENDERS]]
            large = to_tensor(batch) if start // RENDERS % 6 else _through(place, vae, batch)
            small = shrink(large).clamp(-1, 1).add(1).mul(127.5).round().byte()
            whole[start : start + len(batch)] = small.cpu().numpy()
        np.save(file.with_suffix(".tmp.npy"), whole)
        file.with_suffix(".tmp.npy").replace(file)
    renders: np.ndarray = np.load(file)
    return renders


@torch.no_grad()
def _through(place: Place, vae: SmallVAE, pictures: list[np.ndarray]) -> Tensor:
    with place.autocast:
        latents = encode_mean(place, vae, pictures)
        return vae.drawn(latents + 0.15 * torch.randn_like(latents)).float()


def _moved(pictures: Tensor, rng: random.Random) -> Tensor:
    """uint8 [B,3,H,W] → −1…1, up to 6 px elsewhere; never mirrored, for left is left."""
    shift = (rng.randint(-6, 6), rng.randint(-6, 6))
    padded = functional.pad(pictures.float() / 127.5 - 1, (6, 6, 6, 6), mode="replicate")
    y, x = 6 + shift[0], 6 + shift[1]
    return padded[..., y : y + INPUT, x : x + INPUT].contiguous(memory_format=torch.channels_last)


def _blurred(pictures: Tensor, rng: random.Random) -> Tensor:
    if rng.random() < 0.5:
        return pictures
    small = functional.interpolate(pictures, scale_factor=rng.uniform(0.4, 1), mode="bilinear", antialias=True)
    return functional.interpolate(small, size=(INPUT, INPUT), mode="bilinear").clamp(-1, 1)
