"""Are a model's files all here and whole? Headers and sizes only: fast, and torch-free."""

import json
from collections.abc import Iterator
from pathlib import Path

from engine.catalogue import Model

_LENGTH_BYTES = 8  # a safetensors file begins with the length of its JSON header, little-endian
_LONGEST_HEADER = 100 * 2**20
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)  # what damaged JSON brings


def problems(model: Model, models_dir: Path) -> list[str]:
    """One line for each file that is missing or damaged; empty where the model can be loaded."""
    folder = model.path(models_dir)
    index = folder / "model_index.json"
    try:
        parts = json.loads(index.read_text(encoding="utf-8"))
        named = [folder / name for name, kind in parts.items() if isinstance(kind, list) and kind[0]]
    except _UNREADABLE:
        return [f"{index} is missing or damaged"]
    missing = [f"{part} is missing" for part in named if not part.is_dir()]
    upscaler = _damaged(model.beside(models_dir) / model.upscaler_folder) if model.upscaler_folder else ()
    return [*missing, *_damaged(folder), *upscaler]


def _damaged(folder: Path) -> Iterator[str]:
    files = sorted(folder.rglob("*.safetensors"))
    if not files:
        yield f"{folder} holds no weights"
    for file in files:
        if not _is_whole(file):
            yield f"{file} is damaged"


def _is_whole(file: Path) -> bool:
    """The header is JSON, and its tensors end exactly where the file ends."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            header = json.loads(stream.read(length)) if length <= _LONGEST_HEADER else {}
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return bool(ends) and _LENGTH_BYTES + length + max(ends) == file.stat().st_size
    except _UNREADABLE:
        return False
