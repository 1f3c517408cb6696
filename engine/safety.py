"""The image classifier: is a picture one that not everyone may see? It runs after decoding, before anything is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import interpolate, normalize
from transformers import CLIPConfig, CLIPVisionModel

from engine.catalogue import Model
from engine.families import BadModel

_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's
_CAUTION = 0.01  # what a picture that needs special care is judged more strictly by


class Classifier(Protocol):
    def flags(self, image: Tensor) -> bool:
        """[3, height, width] in 0 … 1. What it raises ends the job: what cannot be judged is not shown."""


class ClipClassifier:
    """CLIP's view of a picture, compared with that of concepts: files as `StableDiffusionSafetyChecker` writes them."""

    def __init__(self, folder: Path, device: torch.device, variant: str | None = None):
        config = CLIPConfig.from_pretrained(folder, local_files_only=True)
        name = f"model.{variant}.safetensors" if variant else "model.safetensors"
        tensors = {key: tensor.float().to(device) for key, tensor in load_file(folder / name).items()}
        self._side = config.vision_config.image_size
        self._mean, self._std = (torch.tensor(each, device=device)[:, None, None] for each in (_MEAN, _STD))
        self._projection = tensors["visual_projection.weight"]
        self._concepts, self._limits = tensors["concept_embeds"], tensors["concept_embeds_weights"]
        self._special, self._special_limits = tensors["special_care_embeds"], tensors["special_care_embeds_weights"]
        with init_empty_weights():  # to draw 300 million random numbers first takes longer than all the rest
            vision = CLIPVisionModel(config.vision_config)
        self._fill(vision, tensors)
        self._vision = vision.to(device).eval().requires_grad_(False)

    @torch.inference_mode()
    def flags(self, image: Tensor) -> bool:
        views = torch.stack([(view - self._mean) / self._std for view in self._views(image.float())])
        seen = normalize(self._vision(pixel_values=views).pooler_output @ self._projection.T)
        special = seen @ normalize(self._special).T - self._special_limits
        nearness = seen @ normalize(self._concepts).T - self._limits
        if not bool(torch.isfinite(special).all() and torch.isfinite(nearness).all()):
            raise ArithmeticError("the classifier's scores are not finite")
        caution = _CAUTION * (special > 0).any(dim=1, keepdim=True)
        return bool((nearness + caution > 0).any())

    def _views(self, image: Tensor) -> Iterator[Tensor]:
        """The middle, as CLIP was trained to look, and the whole, since what matters may stand at a side."""
        _, height, width = image.shape
        short, top, left = min(height, width), (height - min(height, width)) // 2, (width - min(height, width)) // 2
        for part in (image[:, top : top + short, left : left + short], image):
            size = (self._side, self._side)
            yield interpolate(part[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)

    @staticmethod
    def _fill(network: torch.nn.Module, tensors: dict[str, Tensor]) -> None:
        """Releases of transformers differ in how deep they nest the network: only what follows counts."""
        wanted = {_bare(name): name for name in network.state_dict()}
        found = {wanted[_bare(name)]: tensor for name, tensor in tensors.items() if _bare(name) in wanted}
        if missing := set(wanted.values()) - set(found):
            raise KeyError(min(missing))
        network.load_state_dict(found, assign=True)


def load_classifier(model: Model, models_dir: Path, device: torch.device) -> Classifier | None:
    """None where the model has none. Raises BadModel for one that is damaged."""
    if model.safety_folder is None or not model.is_checked(models_dir):
        return None
    folder = model.beside(models_dir) / model.safety_folder
    try:
        return ClipClassifier(folder, device, model.variant)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise BadModel(f"{folder} cannot be read: {str(error).splitlines()[0]}") from error


def _bare(name: str) -> str:
    while name.startswith("vision_model."):
        name = name.removeprefix("vision_model.")
    return name
