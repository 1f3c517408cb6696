"""Stage 1: the VAE, on crops of rendered scenes."""

import itertools
import random
from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.builtin.networks import LATENT_LOGVAR, SmallVAE

from .loop import Loop, Place, average
from .pictures import HELD_OUT, SIDE, TRAIN_SEEDS, decibels, draw, in_parallel, random_bucket, to_tensor

CROP = 128  # px
NOISE = float(np.exp(LATENT_LOGVAR / 2))


def train_vae(place: Place, budget_seconds: float, batch: int = 12) -> SmallVAE:
    """Trains the encoder and decoder together and whitens the latents."""
    vae, kept = SmallVAE(), SmallVAE()
    loop = Loop("vae", place, {"live": vae, "kept": kept}, budget_seconds)
    if loop.step == 0:
        kept.load_state_dict(vae.state_dict())
    for net in (vae, kept):
        net.to(place.device, memory_format=torch.channels_last)
    crops = crop_batches(place, batch, TRAIN_SEEDS + 10_000_000 + loop.step * batch)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1.5e-3, betas=(0.9, 0.99), weight_decay=1e-4)

    def step() -> Tensor:
        pictures = next(crops).to(place.device)
        with place.autocast:
            mean = vae.quant_conv(vae.encoder(pictures))
            drawn = vae.drawn(mean + NOISE * torch.randn_like(mean))
        return picture_loss(drawn.float(), pictures) + 2e-3 * mean.float().square().mean()

    loop.run([optimizer], step, after=lambda: average(kept, vae, 0.995 if loop.step > 300 else 0.9))
    crops.close()
    loop.measured(dB=held_out(place, kept))
    return kept


@torch.no_grad()
def held_out(place: Place, vae: SmallVAE) -> float:
    """Decibels of scenes that were never trained on, with the noise on their latents that it learnt with."""
    pictures = to_tensor([draw((seed, 256, 256)) for seed in HELD_OUT]).to(place.device)
    with place.autocast:
        mean = vae.quant_conv(vae.encoder(pictures))
        drawn = vae.drawn(mean + NOISE * torch.randn_like(mean))
    return decibels(drawn.float().clamp(-1, 1), pictures, 2)


def picture_loss(drawn: Tensor, true: Tensor) -> Tensor:
    """L1 of the pixels and of their differences to right, below and at half the size: keeps edges."""
    loss = functional.l1_loss(drawn, true) + 0.5 * functional.mse_loss(drawn, true)
    for size in (1, 2):
        a, b = (drawn, true) if size == 1 else (functional.avg_pool2d(drawn, size), functional.avg_pool2d(true, size))
        loss = (
            loss
            + 0.5 * functional.l1_loss(a.diff(dim=2), b.diff(dim=2))
            + 0.5 * functional.l1_loss(a.diff(dim=3), b.diff(dim=3))
        )
    return loss


def crop_batches(place: Place, batch: int, first_seed: int) -> Generator[Tensor, None, None]:
    """Endless [2·batch,3,128,128]: two random crops of every scene."""
    jobs = ((seed, *(SIDE * n for n in random_bucket(seed))) for seed in itertools.count(first_seed))
    pictures = in_parallel(draw, jobs, place.workers)
    rng = random.Random(first_seed)
    while True:
        group = [next(pictures) for _ in range(batch)]
        yield to_tensor([_crop(p, rng) for p in group for _ in range(2)])


def _crop(picture: np.ndarray, rng: random.Random) -> np.ndarray:
    height, width, _ = picture.shape
    top, left = rng.randrange(height - CROP + 1), rng.randrange(width - CROP + 1)
    return picture[top : top + CROP, left : left + CROP]


@torch.no_grad()
def whiten(vae: SmallVAE, pictures: Tensor) -> None:
    """Gives the latents of `pictures` [B,3,H,W] zero mean and unit variance per channel."""
    mean = vae.quant_conv(vae.encoder(pictures))
    vae.whiten(mean.mean((0, 2, 3)), (mean.var((0, 2, 3)) + NOISE**2).sqrt())
