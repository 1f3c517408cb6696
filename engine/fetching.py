"""Bring a model of the catalogue from the model hub: safetensors and their configurations, nothing else."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from engine import weights
from engine.catalogue import Model

_CONVERSION_TITLE = "Adding `safetensors` variant of this model"  # of the hub's own conversion bot
_LEFT_OUT = ("safety_checker", "feature_extractor")  # the pipeline's: the classifier is loaded by engine.safety


class NotFetched(Exception):
    """One sentence that says what to do; nothing that was there before has changed."""


def fetch(model: Model, models_dir: Path) -> None:
    """Put the model's folder and its upscaler's under `models_dir`; a broken download goes on where it stopped.

    Raises NotFetched.
    """
    if model.repository is None or model.upscaler_repository is None or model.upscaler_folder is None:
        raise NotFetched(f"{model.name} ships with Limner: there is nothing to fetch.")
    if not weights.problems(model, models_dir) and (model.is_checked(models_dir) or not model.safety_folder):
        return
    _require_room(model, models_dir)
    _bring(model.repository, models_dir / model.folder, _patterns(model.variant), _left_out(model))
    _bring(model.upscaler_repository, models_dir / model.upscaler_folder, ["config.json", "*.safetensors"], ())
    if found := weights.problems(model, models_dir):
        raise NotFetched(f"The hub sent something else than {model.name}: {found[0]}.")


def _patterns(variant: str | None) -> list[str]:
    return ["model_index.json", "*/*.json", "*/*.txt", f"*/*.{variant}.safetensors" if variant else "*/*.safetensors"]


def _require_room(model: Model, models_dir: Path) -> None:
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotFetched(f"{models_dir} cannot be written ({error.strerror}): set LIMNER_MODELS_DIR.") from None
    free = shutil.disk_usage(models_dir).free
    if free < model.download_bytes * 1.1:
        raise NotFetched(
            f"{model.name} takes {model.download_bytes / 1e9:.1f} GB and {models_dir} has {free / 1e9:.1f} GB free: "
            "free some space or set LIMNER_MODELS_DIR to another disk."
        )


def _bring(repository: str, folder: Path, patterns: list[str], left_out: Sequence[str]) -> None:
    """Download beside `folder`, which is replaced when that is whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # which of its names depends on the release

    part = folder.with_name(f"{folder.name}.part")
    try:
        revision = _revision_with_safetensors(repository)
        snapshot_download(
            repository,
            revision=revision,
            local_dir=part,
            allow_patterns=patterns,
            ignore_patterns=[f"{name}/*" for name in left_out],
        )
    except (HfHubHTTPError, httpx.HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotFetched(
            f"{repository} could not be fetched ({reason}). Look at the network, then run the same command again: "
            "it goes on where it stopped."
        ) from error
    shutil.rmtree(part / ".cache", ignore_errors=True)
    _leave_out(part / "model_index.json")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def _left_out(model: Model) -> list[str]:
    classifier = Path(model.safety_folder or "").name
    return [part for part in _LEFT_OUT if part != classifier]


def _revision_with_safetensors(repository: str) -> str | None:
    """None for the main branch, else the hub's own conversion of a repository that has only pickles."""
    from huggingface_hub import HfApi

    api = HfApi()
    if any(name.endswith(".safetensors") for name in api.list_repo_files(repository)):
        return None
    for discussion in api.get_repo_discussions(repository, discussion_type="pull_request"):
        if discussion.title == _CONVERSION_TITLE:
            return f"refs/pr/{discussion.num}"
    raise NotFetched(f"{repository} has no safetensors, and Limner reads nothing else.")


def _leave_out(index: Path) -> None:
    """The index names the parts that were not fetched as absent, as diffusers itself writes them."""
    if index.is_file():
        parts = json.loads(index.read_text(encoding="utf-8"))
        absent = {name: [None, None] for name in _LEFT_OUT if name in parts}
        index.write_text(json.dumps(parts | absent, indent=2) + "\n", encoding="utf-8")
