"""`limner models add`: from a stand-in hub to a picture, and nothing half-done on the way."""

import asyncio
import json
import os
import shutil
import sys

import pytest
import torch
from aiohttp.test_utils import TestServer
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

from engine import weights
from engine.catalogue import read_catalogue
from tests.hub import Hub
from tests.tiny import save_tiny_checker, save_tiny_pipeline

SD15 = read_catalogue()["sd15"]


@pytest.fixture
def repositories(tmp_path):
    """What the hub has under the names of the catalogue, as tiny networks; a pickle and a checker lie beside."""
    folder = save_tiny_pipeline(tmp_path / "hub")
    for file in folder.rglob("*.safetensors"):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    parts = {name: ["diffusers", "X"] for name in ("text_encoder", "tokenizer", "unet", "vae", "scheduler")}
    index = {"_class_name": "StableDiffusionPipeline", **parts, "safety_checker": ["stable_diffusion", "X"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    save_tiny_checker(folder / "safety_checker", variant="fp16")
    (folder / "safety_checker" / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    torch.manual_seed(0)
    config = Swin2SRConfig(
        image_size=64, patch_size=1, embed_dim=12, depths=[1], num_heads=[2], window_size=8, upscale=4,
        upsampler="nearest+conv",
    )  # fmt: skip
    Swin2SRForImageSuperResolution(config).save_pretrained(tmp_path / "hub" / "swin2sr")
    return {SD15.repository: folder, SD15.upscaler_repository: tmp_path / "hub" / "swin2sr"}


@pytest.fixture
async def hub(repositories):
    hub = Hub(repositories)
    async with TestServer(hub.app()) as server:
        hub.url = str(server.make_url("")).rstrip("/")
        yield hub


async def limner(hub, tmp_path, *arguments):
    """Exit code, standard output, standard error."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LIMNER_DATA": str(tmp_path / "data"),
        "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_model_is_fetched_and_draws(hub, tmp_path):
    code, out, err = await limner(hub, tmp_path, "models", "add", "sd15")
    assert code == 0, err
    assert "CreativeML OpenRAIL-M" in out
    models = tmp_path / "data" / "models"
    assert sorted(folder.name for folder in models.iterdir()) == ["sd15", "swin2sr-x4"]
    assert not [file for file in models.rglob("*") if file.suffix in {".bin", ".metadata"}]
    assert SD15.is_checked(models)
    _, listed, _ = await limner(hub, tmp_path, "models", "--json")
    assert {model["name"]: model["is_here"] for model in json.loads(listed)["models"]}["sd15"]
    draw = ["imagine", "a red car", "--model", "sd15", "--steps", "1", "--ar", "16:9", "--out", str(tmp_path), "--json"]
    code, out, err = await limner(hub, tmp_path, *draw)
    assert code == 0, err
    [image] = json.loads(out)["images"]
    assert (image["width"], image["height"]) == (2048, 1152)


async def test_a_second_fetch_asks_for_nothing(hub, tmp_path):
    await limner(hub, tmp_path, "models", "add", "sd15")
    hub.asked.clear()
    assert (await limner(hub, tmp_path, "models", "add", "sd15"))[0] == 0
    assert hub.asked == []


async def test_a_damaged_model_is_fetched_again(hub, tmp_path):
    await limner(hub, tmp_path, "models", "add", "sd15")
    [unet] = (tmp_path / "data" / "models" / "sd15" / "unet").glob("*.safetensors")
    unet.write_bytes(unet.read_bytes()[:1000])
    assert (await limner(hub, tmp_path, "models", "add", "sd15"))[0] == 0
    assert weights.problems(SD15, tmp_path / "data" / "models") == []


async def test_no_pickle_is_asked_for(hub, tmp_path):
    await limner(hub, tmp_path, "models", "add", "sd15")
    assert hub.asked
    assert not [path for _, path in hub.asked if path.endswith(".bin")]


async def test_the_classifier_is_fetched_for_a_model_that_came_without(hub, tmp_path):
    await limner(hub, tmp_path, "models", "add", "sd15")
    models = tmp_path / "data" / "models"
    shutil.rmtree(models / SD15.safety_folder)
    assert (await limner(hub, tmp_path, "models", "add", "sd15"))[0] == 0
    assert SD15.is_checked(models)


async def test_a_repository_with_pickles_alone_is_refused(hub, repositories, tmp_path):
    for file in repositories[SD15.repository].rglob("*.safetensors"):
        file.unlink()
    code, _, err = await limner(hub, tmp_path, "models", "add", "sd15")
    assert (code, "no safetensors" in err) == (75, True)
    assert not (tmp_path / "data" / "models" / "sd15").exists()


async def test_a_model_that_is_not_here_is_not_offered(hub, tmp_path):
    code, _, err = await limner(hub, tmp_path, "imagine", "a red car", "--model", "sd15", "--out", str(tmp_path))
    assert code == 2
    assert "sd15" in err


@pytest.mark.parametrize(("name", "says"), [("sd51", "limner models"), ("builtin", "ships with Limner")])
async def test_what_cannot_be_fetched_is_said_in_a_sentence(hub, tmp_path, name, says):
    code, _, err = await limner(hub, tmp_path, "models", "add", name)
    assert code in (2, 75)
    assert says in err


async def test_an_unreachable_hub_is_said_in_a_sentence(hub, tmp_path):
    hub.url = "http://127.0.0.1:9"
    code, _, err = await limner(hub, tmp_path, "models", "add", "sd15")
    assert code == 75
    assert "run the same command again" in err
    assert "Traceback" not in err
