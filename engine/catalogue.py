"""The models: where their weights are, what they were trained at, what they cost. Torch-free."""

import tomllib
from collections.abc import Mapping
from functools import cache
from math import ceil
from pathlib import Path

import msgspec

from engine.protocol import Draw, Quality
from engine.sizes import Size, base_size, final_size

PACKAGE_DIR = Path(__file__).parent


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `catalogue.toml`."""

    name: str
    title: str
    family: str  # a module of engine.families
    folder: str
    licence: str
    native_px: int  # side of the square it was trained at
    multiple: int  # both sides of a base size are divisible by this
    steps: int
    max_steps: int
    guidance_scale: float
    max_guidance_scale: float
    scheduler: str
    weight: float  # units are multiplied by this
    packaged: bool = False
    repository: str | None = None  # on the model hub
    upscaler_repository: str | None = None
    variant: str | None = None  # "fp16": the half-precision files of the repository
    download_bytes: int = 0
    vae_class: str | None = None  # "module:Class" where the VAE is not a stock class
    upscaler_class: str | None = None
    upscaler_folder: str | None = None
    photographic: bool = False  # it draws for other people only with its classifier
    safety_folder: str | None = None  # of the classifier
    knows_words: bool = False  # it has a closed vocabulary: words outside it are named before it draws

    def size(self, ratio: float, quality: Quality) -> Size:
        """Of the file, px: at full quality the final size, of a draft the base size."""
        return final_size(ratio) if quality == "full" else self.base_size(ratio)

    def base_size(self, ratio: float) -> Size:
        return base_size(ratio, self.native_px, self.multiple)

    def default_steps(self, quality: Quality) -> int:
        return self.steps if quality == "full" else ceil(self.steps / 2)

    def plain_draw(self, quality: Quality = "full", ratio: float = 1.0) -> Draw:
        """One picture with nothing asked for."""
        size = self.size(ratio, quality)
        return Draw(
            prompt="",
            negative_prompt=None,
            model=self.name,
            seed=0,
            count=1,
            steps=self.default_steps(quality),
            guidance_scale=self.guidance_scale,
            scheduler=self.scheduler,
            width=size.width,
            height=size.height,
            quality=quality,
        )

    def beside(self, models_dir: Path) -> Path:
        """What its folders are relative to."""
        return PACKAGE_DIR if self.packaged else models_dir

    def path(self, models_dir: Path) -> Path:
        return self.beside(models_dir) / self.folder

    def is_checked(self, models_dir: Path) -> bool:
        """Its classifier is on this machine."""
        if self.safety_folder is None:
            return False
        return any((self.beside(models_dir) / self.safety_folder).glob("*.safetensors"))

    def is_here(self, models_dir: Path) -> bool:
        return (self.path(models_dir) / "model_index.json").is_file()


Catalogue = Mapping[str, Model]


def models_here(catalogue: Catalogue, models_dir: Path) -> Catalogue:
    """The part of the catalogue whose weights are on this machine."""
    return {name: model for name, model in catalogue.items() if model.is_here(models_dir)}


@cache
def read_catalogue() -> Catalogue:
    """Raises msgspec.ValidationError, naming the field, if an entry is not a Model."""
    entries = tomllib.loads((PACKAGE_DIR / "catalogue.toml").read_text(encoding="utf-8"))
    return {name: msgspec.convert({"name": name, **entry}, Model) for name, entry in entries.items()}
