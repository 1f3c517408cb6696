import socket
from pathlib import Path

import pytest

from bot import doctor
from bot.settings import Settings
from engine import weights
from engine.catalogue import read_catalogue

CPU = {"torch": "2.13.0+cpu", "for_cuda": False, "gpu": None, "gpu_bytes": 0, "mps": False}


def state(checks):
    return {check.name: check.state for check in checks}


@pytest.mark.parametrize(
    ("found", "has_driver", "states"),
    [
        (CPU, False, {"torch": "ok", "gpu": "ok"}),
        (CPU, True, {"torch": "ok", "gpu": "warn"}),
        (CPU | {"for_cuda": True}, True, {"torch": "ok", "gpu": "warn"}),
        (CPU | {"for_cuda": True, "gpu": "H200", "gpu_bytes": 2**37}, True, {"torch": "ok", "gpu": "ok"}),
        (CPU | {"mps": True}, False, {"torch": "ok", "gpu": "ok"}),
        ("ImportError: libtorch.so", False, {"torch": "fail"}),
    ],
)
def test_a_gpu_that_is_not_used_is_noticed(found, has_driver, states):
    assert state(doctor._torch(found, has_driver=has_driver)) == states


@pytest.mark.parametrize(
    ("settings", "slack"),
    [
        ({}, "ok"),
        ({"slack_bot_token": "xoxb-1"}, "warn"),
        ({"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1"}, "ok"),
    ],
)
def test_half_of_the_slack_tokens_is_noticed_and_none_is_shown(settings, slack):
    checks = list(doctor._tokens(Settings(**settings)))
    assert state(checks)["slack"] == slack
    assert not any("1" in check.found + check.fix for check in checks)


def test_a_port_in_use_is_noticed():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert doctor._port("127.0.0.1", port).state == "warn"
    assert doctor._port("127.0.0.1", port).state == "ok"


def test_a_data_place_that_is_a_file_is_noticed(tmp_path):
    (tmp_path / "data").touch()
    assert doctor._data(tmp_path / "data").state == "fail"
    assert doctor._data(tmp_path / "new" / "data").state == "ok"


@pytest.fixture
def model(tmp_path):
    """The built-in model's entry over a folder with two tiny files of weights."""
    builtin = read_catalogue()["builtin"]
    folder = tmp_path / builtin.folder
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "U"]}')
    header = b'{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
    for part in ("unet", "upscaler"):
        (folder / part).mkdir(parents=True)
        (folder / part / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"1234")
    return builtin, folder


def cut(file: Path):
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: None, None),
        (lambda folder: (folder / "model_index.json").unlink(), "model_index.json is missing or damaged"),
        (lambda folder: cut(folder / "unet/m.safetensors"), "m.safetensors is damaged"),
        (lambda folder: (folder / "unet/m.safetensors").write_bytes(b"x" * 50), "m.safetensors is damaged"),
        (lambda folder: (folder / "upscaler/m.safetensors").unlink(), "upscaler holds no weights"),
        (lambda folder: (folder / "unet").rename(folder / "net"), "unet is missing"),
    ],
)
def test_a_missing_or_damaged_model_file_is_named(model, tmp_path, monkeypatch, harm, says):
    entry, folder = model
    monkeypatch.setattr("engine.catalogue.PACKAGE_DIR", tmp_path)
    harm(folder)
    problems = weights.problems(entry, tmp_path)
    assert says in problems[0] if says else problems == []
