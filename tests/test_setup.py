import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import setup

ROOT = Path(__file__).resolve().parent.parent
GB = 10**9


@pytest.mark.parametrize(
    ("python", "has_venv", "free_gb", "gpu", "says"),
    [
        ((3, 11), True, 4, False, None),
        ((3, 14), True, 20, True, None),
        ((3, 10), True, 20, False, "Python 3.11 or newer"),
        ((3, 12), False, 20, False, "apt install python3.12-venv"),
        ((3, 11), True, 2, False, "3 GB of disk and only 2.0 GB are free"),
        ((3, 11), True, 4, True, "12 GB of disk"),
    ],
)
def test_what_is_missing_is_one_sentence_with_the_fix(python, has_venv, free_gb, gpu, says):
    sentence = setup.obstacle(python=python, has_venv=has_venv, free_bytes=free_gb * GB, gpu=gpu)
    assert says in sentence if says else sentence is None


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "is full"),
        ("error: command 'gcc' failed: No such file or directory", "build-essential"),
        ("NewConnectionError: Failed to establish a new connection: [Errno 101]", "needs the internet"),
        ("ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "needs the internet"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no PyTorch for this Python"),
        ("ERROR: Something nobody thought of", "(ERROR: Something nobody thought of); see .venv/setup.log"),
    ],
)
def test_what_pip_says_becomes_one_sentence(output, says):
    assert says in setup.explain(f"Collecting torch\n{output}\n")


CUDA = ["filelock", 'nvidia-cudnn-cu13==9.20; platform_system == "Linux"']


@pytest.mark.parametrize(
    ("needs", "system", "brings"),
    [
        (["filelock", "sympy>=1.13"], "Linux", False),
        (CUDA, "Linux", True),
        (["cuda-bindings<14,>=13"], "Linux", True),
        (['nvidia-extra; extra == "more"'], "Linux", False),
        (CUDA, "Darwin", False),
    ],
)
def test_a_torch_that_brings_cuda_is_seen_before_it_is_downloaded(needs, system, brings):
    report = {"install": [{"metadata": {"name": "torch", "requires_dist": needs}}]}
    assert setup.brings_cuda(report, system) is brings


@pytest.mark.parametrize(
    ("offers_cuda", "own_index_answers", "asks_for"),
    [
        (False, True, ["torch==2.13.0"]),
        (True, True, ["--index-url", setup.CPU_INDEX, "torch==2.13.0"]),
        (True, False, ["torch==2.13.0"]),
        (None, True, ["--index-url", setup.CPU_INDEX, "torch==2.13.0"]),
    ],
)
def test_the_cpu_build_comes_from_where_it_is_offered(offers_cuda, own_index_answers, asks_for, monkeypatch, tmp_path):
    def resolve(venv, arguments):
        if "--index-url" in arguments:
            return {"install": []} if own_index_answers else {}
        if offers_cuda is None:
            return {}
        return {"install": [{"metadata": {"requires_dist": CUDA if offers_cuda else []}}]}

    monkeypatch.setattr(setup, "resolve", resolve)
    monkeypatch.setattr(setup.platform, "system", lambda: "Linux")
    (tmp_path / "constraints.txt").write_text("numpy==2.4.6\ntorch==2.13.0\n")
    assert setup.cpu_torch(tmp_path, tmp_path / ".venv") == asks_for


@pytest.fixture
def checkout(tmp_path):
    """A project folder whose `.venv` has a Python that fails when it is started."""
    for name in ("pyproject.toml", "constraints.txt", "tools/setup.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 9\n")
    python.chmod(0o755)
    return tmp_path


def stamp(checkout, extent):
    (checkout / ".venv/limner.stamp").write_text(f"{setup.fingerprint(checkout)} {extent}\n")


def run(checkout, *arguments):
    return subprocess.run([sys.executable, checkout / "tools/setup.py", *arguments], capture_output=True, text=True)


def test_a_second_run_starts_nothing_and_says_nothing(checkout):
    stamp(checkout, "run")
    done = run(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("extent", "with_tests", "done"),
    [("run", False, True), ("tests", False, True), ("tests", True, True), ("run", True, False)],
)
def test_what_the_tests_need_is_more_than_what_a_run_needs(checkout, extent, with_tests, done):
    stamp(checkout, extent)
    assert setup.is_done(checkout / ".venv", setup.fingerprint(checkout), with_tests) is done


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "tools/setup.py"])
def test_a_changed_project_is_installed_again(checkout, name):
    stamp(checkout, "run")
    (checkout / name).write_text((checkout / name).read_text() + "\n")
    assert not setup.is_done(checkout / ".venv", setup.fingerprint(checkout), with_tests=False)


def test_every_package_that_the_project_names_is_pinned():
    pins = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in named}
    assert {canonical(name) for name in names} <= {canonical(pin) for pin in pins}


def canonical(name):
    return re.sub("[-_.]+", "-", name).lower()
