"""Stage 3: every training scene encoded once, in shards on disk and then in memory."""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.builtin.networks import SmallVAE

from .loop import Place
from .pictures import SIDE, TRAIN_SEEDS, bucket, draw, in_parallel, random_bucket, to_tensor
from .scenes import emphasis
from .spec import random_scene

SHARD = 2048  # scenes
BATCH = 32
# Share of the scenes of each kind that is trained on: objects and animals are the hardest to learn.
KEPT = {"": 1.0, "dog": 0.95, "cat": 0.95, "house": 0.55, "boat": 0.5, "person": 0.46, "tree": 0.4}
KEPT_ELSE = 0.35


@dataclass(frozen=True)
class Latents:
    """Scenes of one bucket."""

    values: Tensor  # float16 [N,C,h,w], of about unit variance
    emphasis: Tensor  # float16 [N,h,w], from 1 on
    seeds: list[int]


def make_latents(place: Place, vae: SmallVAE, scenes: int) -> list[Latents]:
    """Encodes what is missing of the first `scenes` of `training_seeds`, then loads all of them."""
    folder = place.work / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    vae.to(place.device, memory_format=torch.channels_last).eval()
    count = -(-scenes // SHARD)
    every = training_seeds()
    for shard in range(count):
        file = folder / f"{shard:04d}.safetensors"
        seeds = list(itertools.islice(every, min(SHARD, scenes - shard * SHARD)))
        if not file.exists():
            save_file(_encode(place, vae, seeds), file.with_suffix(".tmp"))
            file.with_suffix(".tmp").replace(file)
            print(f"latents: shard {shard + 1} of {count}", flush=True)
    return load_latents(folder, count)


def training_seeds() -> Iterator[int]:
    """Seeds without end, the kinds of scenes in the shares of `KEPT`."""
    for seed in itertools.count(TRAIN_SEEDS):
        if random.Random(f"{seed} kept").random() < KEPT.get(random_scene(seed).subject, KEPT_ELSE):
            yield seed


def load_latents(folder: Path, shards: int) -> list[Latents]:
    found: dict[str, dict[str, list[Tensor]]] = defaultdict(lambda: defaultdict(list))
    for shard in range(shards):
        for key, tensor in load_file(folder / f"{shard:04d}.safetensors").items():
            kind, size = key.split()
            found[size][kind].append(tensor)
    parts = [{kind: torch.cat(tensors) for kind, tensors in kinds.items()} for kinds in found.values()]
    return [Latents(part["latents"], part["emphasis"], part["seeds"].tolist()) for part in parts]


def squares(data: list[Latents]) -> Latents:
    return nearest(data, 1.0)


def nearest(data: list[Latents], aspect: float) -> Latents:
    """Those whose shape is nearest to that of this width ÷ height."""
    width, height = bucket(aspect)
    return min(data, key=lambda each: abs(each.values.shape[-1] - width) + abs(each.values.shape[-2] - height))


def is_square(latents: Tensor) -> bool:
    return latents.shape[-1] == latents.shape[-2]


def _encode(place: Place, vae: SmallVAE, seeds: list[int]) -> dict[str, Tensor]:
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for seed in seeds:
        groups[random_bucket(seed)].append(seed)
    jobs = [(seed, w * SIDE, h * SIDE) for (w, h), members in groups.items() for seed in members]
    pictures = in_parallel(draw, jobs, place.workers, chunk=16)
    shard: dict[str, Tensor] = {}
    for (w, h), members in groups.items():
        parts = []
        for start in range(0, len(members), BATCH):
            batch = [next(pictures) for _ in members[start : start + BATCH]]
            parts.append(encode_mean(place, vae, batch).half().cpu().contiguous())
        shard[f"latents {w}x{h}"] = torch.cat(parts)
        matters = in_parallel(_emphasis, ((seed, w, h) for seed in members), place.workers, chunk=16)
        shard[f"emphasis {w}x{h}"] = torch.from_numpy(np.stack(list(matters)))
        shard[f"seeds {w}x{h}"] = torch.tensor(members)
    return shard


def _emphasis(job: tuple[int, int, int]) -> np.ndarray:
    seed, columns, rows = job
    return emphasis(random_scene(seed), columns, rows)


@torch.no_grad()
def encode_mean(place: Place, vae: SmallVAE, pictures: list[np.ndarray]) -> Tensor:
    """uint8 [H,W,3] of one size → float32 [B,C,H/16,W/16]."""
    with place.autocast:
        mean = vae.quant_conv(vae.encoder(to_tensor(pictures).to(place.device)))
    return mean.float()
