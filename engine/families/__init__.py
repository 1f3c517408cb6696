"""One module per model family: load, encode a prompt, one denoising step, decode."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.catalogue import Model
from engine.protocol import Draw


class BadModel(Exception):
    """The model's files are missing, damaged, or not what the catalogue says."""


class BadRequest(Exception):
    """A value in the request that the bot should not have let through."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What an image that is drawn over keeps outside its mask."""

    clean: Tensor  # latents of the original, without noise
    noise: Tensor
    mask: Tensor  # [1, 1, height / factor, width / factor], 1 where it is drawn again


@dataclass(slots=True)
class Denoising:
    """One image between two steps: its own noise schedule, generator and step."""

    latents: Tensor  # [1, channels, height / factor, width / factor], float32
    embeddings: Tensor  # [rows, tokens, width]; rows = 2 with guidance: negative first, then the prompt
    guidance_scale: float
    scheduler: Any  # a diffusers scheduler, used by this image alone
    timesteps: Tensor
    generator: torch.Generator
    step: int = 0
    clean: Tensor | None = None  # the present guess of the latents without noise, for previews
    kept: Kept | None = None

    @property
    def is_guided(self) -> bool:
        return self.embeddings.shape[0] == 2

    @property
    def is_done(self) -> bool:
        return self.step >= len(self.timesteps)


class Family(Protocol):
    """Everything that differs between kinds of model. Used by one thread."""

    model_hash: str

    def load(self) -> Iterator[None]:
        """Load the weights, one part per item. Raises BadModel."""

    def begin(self, draw: Draw, index: int, width: int, height: int) -> Denoising:
        """Image `index` of a request at its base size in px, before its first step. Raises BadRequest."""

    def step(self, images: Sequence[Denoising]) -> None:
        """One denoising step for each, in one forward: same size and guidance, any schedules and steps."""

    def decode(self, latents: Tensor) -> Tensor:
        """[1, channels, h, w] → [3, height, width] in 0 … 1."""


def create_family(model: Model, models_dir: Path, device: torch.device, dtype: torch.dtype) -> Family:
    family: Family = named_class(f"engine.families.{model.family}:FAMILY")(model, model.path(models_dir), device, dtype)
    return family


def named_class(name: str) -> Any:
    """The class that a catalogue entry names as "module:Class"."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
