"""Enlarging: a network over tiles that overlap by what it sees, straight to bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from engine.catalogue import Model
from engine.encode import Pixels
from engine.families import BadModel, named_class

TILE_PX = 128  # of the small image; a few tiles per picture keep the loop answering


class Upscaler(Protocol):
    """[1, 3, h, w] → [1, 3, scale · h, scale · w], both float32 in 0 … 1."""

    scale: int
    receptive_radius: int  # px of the small image that an output pixel can see in each direction

    def __call__(self, image: Tensor) -> Tensor: ...


class Swin2SR(torch.nn.Module):
    """Swin2SR (arXiv 2209.11345) by transformers, one tile at a time.

    Its windows see further than any radius, but beyond two of them it hardly matters: tiles join to
    within 2e-4 of the whole. The radius is a multiple of the window, so that the windows lie alike.
    """

    def __init__(self, network: Any):
        super().__init__()
        self.network, self.scale = network, int(network.config.upscale)
        self._window_px = int(network.config.window_size)
        self.receptive_radius = 2 * self._window_px

    @classmethod
    def from_pretrained(cls, folder: Path, **options: Any) -> "Swin2SR":
        from transformers import Swin2SRForImageSuperResolution

        return cls(Swin2SRForImageSuperResolution.from_pretrained(folder, local_files_only=True, **options))

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        below, beside = -height % self._window_px, -width % self._window_px
        padded = torch.nn.functional.pad(image, (0, beside, 0, below), "reflect").to(self.network.dtype)
        large: Tensor = self.network(padded).reconstruction.float().clamp(0, 1)
        return large[:, :, : height * self.scale, : width * self.scale]


def load_upscaler(model: Model, models_dir: Path, device: torch.device, dtype: torch.dtype) -> Upscaler:
    """Raises BadModel."""
    if model.upscaler_class is None or model.upscaler_folder is None:
        raise BadModel(f"the model {model.name} names no upscaler")
    folder = model.beside(models_dir) / model.upscaler_folder
    try:
        network = named_class(model.upscaler_class).from_pretrained(folder, dtype=dtype, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BadModel(f"{folder} cannot be read: {str(error).splitlines()[0]}") from error
    upscaler: Upscaler = network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    return upscaler


class Enlarging:
    """One image on its way; `tiles` does the work, `pixels` is the result."""

    def __init__(self, upscaler: Upscaler, image: Tensor, tile_px: int = TILE_PX):
        _, height, width = image.shape
        self.pixels: Pixels = np.empty((height * upscaler.scale, width * upscaler.scale, 3), np.uint8)
        self._upscaler, self._image, self._tile_px = upscaler, image.float(), tile_px
        self.count = -(-height // tile_px) * -(-width // tile_px)

    @torch.inference_mode()
    def tiles(self) -> Iterator[None]:
        _, height, width = self._image.shape
        for top in range(0, height, self._tile_px):
            for left in range(0, width, self._tile_px):
                self._enlarge(top, left, min(top + self._tile_px, height), min(left + self._tile_px, width))
                yield

    def _enlarge(self, top: int, left: int, bottom: int, right: int) -> None:
        radius, scale = self._upscaler.receptive_radius, self._upscaler.scale
        above, before = min(radius, top), min(radius, left)
        seen = self._image[None, :, top - above : bottom + radius, left - before : right + radius]
        large = self._upscaler(seen.contiguous(memory_format=torch.channels_last))[0]
        rows = slice(above * scale, (above + bottom - top) * scale)
        columns = slice(before * scale, (before + right - left) * scale)
        self.pixels[top * scale : bottom * scale, left * scale : right * scale] = to_bytes(large[:, rows, columns])


def to_bytes(image: Tensor) -> Pixels:
    """[3, h, w] in 0 … 1 → [h, w, 3] of bytes, rounded on the device."""
    scaled = image.permute(1, 2, 0).float().mul(255).round_().clamp_(0, 255)
    pixels: Pixels = scaled.to(torch.uint8).cpu().numpy()
    return pixels
