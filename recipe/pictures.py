"""Rendered scenes as arrays, drawn by worker processes ahead of their use."""

import math
import multiprocessing
import os
import random
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from .scenes import render
from .spec import random_scene

Out = TypeVar("Out")
TRAIN_SEEDS = 1_000_000  # seeds from here on are trained on; those below are held out
HELD_OUT = range(500_000, 500_012)  # scenes that the figures of the stages are measured on
SIDE = 16  # px per latent
AREA = 256  # latents, about, in every bucket


def bucket(aspect: float) -> tuple[int, int]:
    """(width, height) in latents of about constant area for a width ÷ height between 1:3 and 3:1."""
    return round(math.sqrt(AREA * aspect)), round(math.sqrt(AREA / aspect))


def random_bucket(seed: int) -> tuple[int, int]:
    """Square for two seeds in three, else anything from 1:3 to 3:1."""
    rng = random.Random(f"{seed} bucket")
    return bucket(1.0 if rng.random() < 0.66 else math.exp(rng.uniform(-1.1, 1.1)))


def draw(job: tuple[int, int, int]) -> np.ndarray:
    """uint8 [H,W,3] of (seed, width px, height px)."""
    seed, width, height = job
    return np.asarray(render(random_scene(seed), width, height))


def in_parallel(
    work: Callable[..., Out], jobs: Iterable[object], workers: int, chunk: int = 4
) -> Generator[Out, None, None]:
    """`work` of every job, in order, at most a little ahead of its use."""
    if workers == 0:
        yield from map(work, jobs)
        return
    with multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn").Pool(
        workers, initializer=os.nice, initargs=(5,)
    ) as pool:
        pending: list[multiprocessing.pool.AsyncResult[list[Out]]] = []
        for group in _groups(jobs, chunk):
            pending.append(pool.apply_async(_all, (work, group)))
            if len(pending) > 6 * workers:
                yield from pending.pop(0).get()
        for result in pending:
            yield from result.get()


def _all(work: Callable[[object], Out], jobs: list[object]) -> list[Out]:
    return [work(job) for job in jobs]


def _groups(jobs: Iterable[object], size: int) -> Iterator[list[object]]:
    group: list[object] = []
    for job in jobs:
        group.append(job)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def decibels(drawn: Tensor, true: Tensor, peak: float) -> float:
    """How near pictures are to what they should be; `peak` is the range of the values."""
    return 10 * math.log10(peak**2 / float((drawn - true).square().mean().clamp(min=1e-12)))


def to_tensor(pictures: list[np.ndarray]) -> Tensor:
    """uint8 [H,W,3] each → float32 [B,3,H,W] in −1…1, channels-last."""
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return (batch / 127.5 - 1).contiguous(memory_format=torch.channels_last)
