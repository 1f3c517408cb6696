"""Stage 8: the upscaler learns from decoded pictures to the same scenes drawn at eight times the size."""

import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from engine.builtin.networks import SmallVAE, Upscaler

from .latents import encode_mean
from .loop import Loop, Place, average
from .pictures import HELD_OUT, TRAIN_SEEDS, decibels, in_parallel
from .scenes import render
from .spec import random_scene
from .vae import NOISE, picture_loss

SCALE = 8
SIDE = 256  # px of a decoded picture
CROP = 40  # px of it, per training example
FIRST_SEED = TRAIN_SEEDS + 30_000_000


def draw_large(seed: int) -> np.ndarray:
    """uint8 [2048,2048,3]; supersampled, so that its edges are smooth."""
    return np.asarray(render(random_scene(seed), SIDE * SCALE, SIDE * SCALE, supersample=2))


def draw_small(seed: int) -> np.ndarray:
    return np.asarray(render(random_scene(seed), SIDE, SIDE))


def make_pairs(place: Place, vae: SmallVAE, scenes: int) -> tuple[Tensor, Tensor]:
    """uint8 [N,3,256,256] as decoded and [N,3,2048,2048] as drawn."""
    folder = place.work / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(scenes) if not (folder / f"{i:04d}.safetensors").exists()]
    pictures = in_parallel(draw_large, [FIRST_SEED + i for i in missing], place.workers, chunk=1)
    for i, picture in zip(missing, pictures, strict=True):
        save_file(
            {"large": torch.from_numpy(picture.copy()).permute(2, 0, 1).contiguous()}, folder / f"{i:04d}.safetensors"
        )
    large = torch.stack([_load(folder, i) for i in range(scenes)])
    small = torch.cat([_decoded(place, vae, FIRST_SEED + i) for i in range(scenes)])
    return small, large


def _load(folder: Path, index: int) -> Tensor:
    return load_file(folder / f"{index:04d}.safetensors")["large"]


@torch.no_grad()
def _decoded(place: Place, vae: SmallVAE, seed: int) -> Tensor:
    latents = encode_mean(place, vae, [draw_small(seed)])
    with place.autocast:
        drawn = vae.drawn(latents + NOISE * torch.randn_like(latents))
    return ((drawn.float() + 1) * 127.5).round().clamp(0, 255).byte().cpu()


def train_upscaler(place: Place, vae: SmallVAE, budget_seconds: float, scenes: int, batch: int = 8) -> Upscaler:
    net, kept = Upscaler(), Upscaler()
    loop = Loop("upscaler", place, {"live": net, "kept": kept}, budget_seconds)
    if loop.step == 0:
        kept.load_state_dict(net.state_dict())
    if loop.share >= 1:
        return kept
    vae.to(place.device).eval()
    small, large = make_pairs(place, vae, scenes)
    for part in (net, kept):
        part.to(place.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    rng = random.Random(loop.step)

    def step() -> Tensor:
        given, wanted = _crops(small, large, batch, rng)
        with place.autocast:
            drawn = net.enlarge(given.to(place.device))
        return picture_loss(2 * drawn.float(), 2 * wanted.to(place.device))

    loop.run([optimizer], step, after=lambda: average(kept, net, 0.995 if loop.step > 200 else 0.9))
    loop.measured(**_held_out(place, vae, kept))
    return kept


@torch.no_grad()
def _held_out(place: Place, vae: SmallVAE, net: Upscaler) -> dict[str, float]:
    """Decibels of scenes that were never trained on, and of the same enlarged without a network."""
    reached = defaultdict(list)
    for seed in HELD_OUT[:4]:
        small = _decoded(place, vae, seed).float().to(place.device) / 255
        large = torch.from_numpy(draw_large(seed).copy()).permute(2, 0, 1)[None].float() / 255
        smooth = functional.interpolate(small, scale_factor=SCALE, mode="bicubic").clamp(0, 1)
        for name, drawn in (("dB", net(small)), ("bicubic dB", smooth)):
            reached[name].append(decibels(drawn.float().cpu(), large, 1))
    return {name: sum(each) / len(each) for name, each in reached.items()}


def _crops(small: Tensor, large: Tensor, batch: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    given, wanted = [], []
    for _ in range(batch):
        i, y, x = rng.randrange(len(small)), rng.randrange(SIDE - CROP + 1), rng.randrange(SIDE - CROP + 1)
        given.append(small[i, :, y : y + CROP, x : x + CROP])
        far = slice(SCALE * y, SCALE * (y + CROP)), slice(SCALE * x, SCALE * (x + CROP))
        wanted.append(large[i, :, far[0], far[1]])
    pairs = torch.stack(given).float() / 255, torch.stack(wanted).float() / 255
    return pairs[0].contiguous(memory_format=torch.channels_last), pairs[1]
