"""Which models are in memory. Loading goes part by part, so that others' images go on meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.catalogue import Model
from engine.families import Family, create_family
from engine.safety import Classifier, load_classifier
from engine.upscale import Upscaler, load_upscaler

PARTS = 4


@dataclass(frozen=True, slots=True)
class Loaded:
    family: Family
    upscaler: Upscaler
    classifier: Classifier | None


class Residency:
    def __init__(self, models_dir: Path, device: torch.device, dtype: torch.dtype):
        self._models_dir, self._device, self._dtype = models_dir, device, dtype
        self._loaded: dict[str, Loaded] = {}
        self._loading: dict[str, Iterator[None]] = {}

    @property
    def is_loading(self) -> bool:
        return bool(self._loading)

    def want(self, model: Model) -> None:
        if model.name not in self._loaded and model.name not in self._loading:
            self._loading[model.name] = self._load(model)

    def get(self, name: str) -> Loaded | None:
        return self._loaded.get(name)

    def load_part(self) -> str:
        """Load one part of the model that was wanted first; return its name."""
        name = next(iter(self._loading))
        next(self._loading[name], None)
        if name in self._loaded:
            del self._loading[name]
        return name

    def give_up(self) -> str:
        """Forget the model whose part could not be loaded; return its name."""
        name = next(iter(self._loading))
        del self._loading[name]
        return name

    def _load(self, model: Model) -> Iterator[None]:
        family = create_family(model, self._models_dir, self._device, self._dtype)
        yield from family.load()
        upscaler = load_upscaler(model, self._models_dir, self._device, self._dtype)
        classifier = load_classifier(model, self._models_dir, self._device)
        self._loaded[model.name] = Loaded(family, upscaler, classifier)
        yield
