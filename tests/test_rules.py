"""What may import what. The contracts stand in pyproject.toml; these are what a contract cannot say."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "must_not_load"),
    [
        ("bot.cli", {"torch", "diffusers", "transformers", "PIL", "aiohttp", "discord", "slack_bolt"}),
        ("engine.__main__", {"bot", "torch", "discord", "slack_bolt"}),
        ("engine.client", {"bot", "torch"}),
    ],
)
def test_what_a_process_loads_at_its_start(module, must_not_load):
    listing = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout
    assert not must_not_load & set(loaded.split())


def test_the_import_contracts_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
