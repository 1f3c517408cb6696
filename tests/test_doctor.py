import json
import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bot import doctor
from bot.discord.faults import PERMISSIONS
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


TOKEN = "a-bots-token"
HOME = {"id": "7", "name": "Home", "permissions": str(PERMISSIONS.value)}
INVITE = (
    f"https://discord.com/oauth2/authorize?client_id=42&permissions={PERMISSIONS.value}"
    "&integration_type=0&scope=bot+applications.commands"
)


@contextmanager
def discord(*, guilds=(HOME,), flags=0, status=200, location=None):
    """Discord's API on loopback: its address, and the paths that it was asked for with the bot's token."""
    answers = {
        "/users/@me": {"id": "42", "username": "limner", "bot": True},
        "/applications/@me": {"id": "42", "flags": flags},
        "/users/@me/guilds?limit=200": list(guilds),
    }
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            is_known = self.headers["Authorization"] == f"Bot {TOKEN}"
            asked.extend([self.path] if is_known else [])
            self.send_response(status if is_known else 401)
            self.send_header("Content-Type", "application/json")
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(json.dumps(answers.get(self.path)).encode())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            serving.join()


def told(url, *, token=TOKEN, **settings):
    """What the doctor says of Discord, by name."""
    checks = [*doctor._tokens(Settings(discord_token=token, discord_api_url=url, **settings))]
    assert not any(token in check.found + check.fix for check in checks)
    return {check.name: check for check in checks}


def test_without_a_token_discord_is_not_asked():
    with discord() as (url, asked):
        assert next(doctor._tokens(Settings(discord_api_url=url))).found == "not set up: docs/discord.md"
    assert not asked


def test_a_bot_that_is_set_up_is_told_its_invite_link():
    with discord() as (url, asked):
        found = told(url + "/")
    assert asked == ["/users/@me", "/applications/@me", "/users/@me/guilds?limit=200"]
    assert {check.state for check in found.values()} == {"ok"}
    assert found["discord"].found == "signed in as limner, on 1 server"
    assert found["invite"].found == INVITE


def test_a_token_that_discord_does_not_accept_is_noticed():
    with discord() as (url, _):
        found = told(url, token="another-token")
    assert found["discord"].state == "fail"
    assert "Reset Token" in found["discord"].fix
    assert "invite" not in found


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "discord.example", "http://[", ""])
def test_a_discord_that_cannot_be_reached_is_worth_a_look(url):
    found = told(url)
    assert found["discord"].state == "warn"
    assert "cannot be reached" in found["discord"].found


def test_a_discord_that_does_not_answer_is_waited_for_no_longer_than_is_said(monkeypatch):
    monkeypatch.setattr("bot.discord.checkup.ONE_REQUEST_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = told(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert (found["discord"].state, "no answer in 10 s" in found["discord"].found) == ("warn", True)


def test_a_discord_out_of_order_is_no_fault_of_the_token():
    with discord(status=503) as (url, _):
        assert told(url)["discord"].found == "Discord's API answers with status 503"


def test_a_redirect_does_not_lead_the_token_away():
    with discord() as (elsewhere, asked), discord(status=302, location=f"{elsewhere}/users/@me") as (url, _):
        assert told(url)["discord"].state != "ok"
    assert not asked


@pytest.mark.parametrize("flags", [1 << 18, 1 << 19])
def test_a_privileged_intent_that_is_switched_on_is_remarked_on(flags):
    with discord(flags=flags | 1 << 12 | 1 << 23) as (url, _):
        intents = told(url)["intents"]
    assert intents.state == "ok"
    assert intents.found == "no privileged one is needed; switched on: Presence and Message Content"


@pytest.mark.parametrize(
    ("permissions", "state", "says"),
    [
        (0, "warn", "View Channels, Send Messages, Attach Files, Read Message History, "
         "Create Public Threads, Send Messages in Threads missing"),
        (PERMISSIONS.value & ~0x8000, "warn", "Attach Files missing"),
        (0x8, "ok", "all that are needed"),  # an administrator may do everything
    ],
)  # fmt: skip
def test_a_missing_permission_is_named_as_discord_names_it(permissions, state, says):
    with discord(guilds=[HOME | {"permissions": str(permissions)}]) as (url, _):
        found = told(url)["permissions"]
    assert (found.state, found.found) == (state, f"Home: {says}")
    assert bool(found.fix) == (state == "warn")


def test_servers_that_the_bot_is_not_on_are_noticed():
    with discord(guilds=[]) as (url, _):
        assert told(url)["servers"].state == "warn"
        found = told(url, discord_guilds=(7, 8))["servers"]
        assert (found.state, "names 7, 8," in found.found) == ("fail", True)
    with discord() as (url, _):
        assert "names 8," in told(url, discord_guilds=(7, 8))["servers"].found
        assert "servers" not in told(url, discord_guilds=(7,))
