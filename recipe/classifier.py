"""Stage 10: a small network that names the attributes of a picture; evaluation trusts it, drawing never loads it."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import StableDiffusionImg2ImgPipeline
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from .captions import caption
from .loop import Loop, Place, average
from .pictures import TRAIN_SEEDS, draw, in_parallel, to_tensor
from .spec import VALUES, random_scene
from .text import AttributeHeads, labels

INPUT = 128  # px
FIRST_SEED = TRAIN_SEEDS + 40_000_000
SHARD = 480  # scenes
GROUP = 16  # scenes, redrawn together; of three groups one is
STRENGTH = (0.15, 0.6)  # of redrawing: more, and the picture shows something else than its labels
STEPS = 10  # of which the share `STRENGTH` is done


class Classifier(nn.Module):
    """[B,3,128,128] in −1…1 → for every attribute its scores."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 80, 96, 64)
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
        """Matrices as float8, in which they name the same, all else as fp16."""
        tensors = {k: v.to(_stored(v)).cpu().contiguous() for k, v in self.state_dict().items()}
        save_file(tensors, folder / "classifier.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        net = cls()
        net.load_state_dict(load_file(folder / "classifier.safetensors"))
        return net.eval()


def _stored(t: Tensor) -> torch.dtype:
    if not t.is_floating_point():
        return t.dtype
    return torch.float8_e4m3fn if t.ndim > 1 else torch.float16


def shrink(pictures: Tensor) -> Tensor:
    return functional.interpolate(pictures, size=(INPUT, INPUT), mode="bilinear", antialias=True, align_corners=False)


def train_classifier(
    place: Place, pipeline: StableDiffusionImg2ImgPipeline, budget_seconds: float, scenes: int, batch: int = 64
) -> Classifier:
    """On renders and on what the model makes of renders, each seen often, a little elsewhere and not as sharp."""
    net, kept = Classifier(), Classifier()
    loop = Loop("classifier", place, {"live": net, "kept": kept}, budget_seconds)
    kept.load_state_dict(net.state_dict() if loop.step == 0 else kept.state_dict())
    for part in (net, kept):
        part.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not declare it
    net.train()
    pictures, seeds = make_pictures(place, pipeline, scenes)
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


def make_pictures(place: Place, pipeline: StableDiffusionImg2ImgPipeline, scenes: int) -> tuple[Tensor, list[int]]:
    """uint8 [scenes,3,128,128] and their seeds; what is there already is not drawn again."""
    folder = place.work / "classifier"
    folder.mkdir(parents=True, exist_ok=True)
    seeds, parts = list(itertools.islice(_seeds(), scenes)), []
    for start in range(0, scenes, SHARD):
        file = folder / f"pictures-{start // SHARD:04d}.safetensors"
        if not file.exists():
            save_file({"pictures": _pictures(place, pipeline, seeds[start : start + SHARD])}, file.with_suffix(".tmp"))
            file.with_suffix(".tmp").replace(file)
            print(f"classifier: {min(start + SHARD, scenes)} of {scenes} pictures", flush=True)
        parts.append(load_file(file)["pictures"])
    return torch.cat(parts), seeds


def _seeds() -> Iterator[int]:
    """Every seed of objects and people and every third of the others: shapes, hair and poses are hard to tell."""
    hard = ("", "person")
    return (seed for seed in itertools.count(FIRST_SEED) if seed % 3 == 0 or random_scene(seed).subject in hard)


def _pictures(place: Place, pipeline: StableDiffusionImg2ImgPipeline, seeds: list[int]) -> Tensor:
    drawn = in_parallel(draw, ((seed, 256, 256) for seed in seeds), place.workers, chunk=GROUP)
    groups = []
    for nth, start in enumerate(range(0, len(seeds), GROUP)):
        group = seeds[start : start + GROUP]
        large = to_tensor([next(drawn) for _ in group])
        groups.append(to_bytes(shrink(redrawn(place, pipeline, large, group) if nth % 3 == 0 else large)))
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
