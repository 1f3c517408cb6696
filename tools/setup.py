"""Make `.venv` and install Limner into it; `make run` and `make test` begin with this.

Standard library only, and readable by any Python 3, so that one that is too old can say so.
A second run compares one line in `.venv` and returns: no network, no pip.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB, NEEDED_GB_WITH_GPU = 3, 12  # CUDA's libraries are most of the difference

_NETWORK = "Packages cannot be downloaded: the first run needs the internet. Check the connection or the proxy"
_COMPILER = (
    "A package has no ready-made build for this machine and needs a C compiler:"
    " install one (Debian, Ubuntu: apt install build-essential python3-dev; macOS: xcode-select --install)"
)
_FULL = "The disk or the temporary folder (TMPDIR) is full: free at least 3 GB"
# A fragment of what pip, venv or a compiler prints → what to do. The first that is found is told.
_FIXES = (
    ("No space left on device", _FULL),
    ("Disk quota exceeded", _FULL),
    ("Permission denied", "This folder cannot be written: make it yours (sudo chown -R $USER .)"),
    ("ensurepip is not available", "Python's venv module is missing: install it (Debian, Ubuntu: python3-venv)"),
    ("command 'gcc' failed", _COMPILER),
    ("command 'cc' failed", _COMPILER),
    ("No such file or directory: 'gcc'", _COMPILER),
    ("No such file or directory: 'cc'", _COMPILER),
    ("Failed building wheel", _COMPILER),
    ("Failed to establish a new connection", _NETWORK),
    ("Failed to resolve", _NETWORK),
    ("Temporary failure in name resolution", _NETWORK),
    ("Network is unreachable", _NETWORK),
    ("Connection refused", _NETWORK),
    ("timed out", _NETWORK),
    ("ProxyError", _NETWORK),
    ("No matching distribution found for torch", "There is no PyTorch for this Python: use 3.11, 3.12, 3.13 or 3.14"),
    ("No matching distribution found", _NETWORK),
)


class CannotSetUp(Exception):
    """One sentence that says what to do."""


def main(arguments: list[str]) -> int:
    """0 once `.venv` holds Limner (with --dev: what the tests need, too); else one sentence on stderr."""
    use_newer_python()
    try:
        set_up(ROOT, with_tests="--dev" in arguments)
    except CannotSetUp as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the next run begins again with what is already downloaded.", file=sys.stderr)
        return 130
    return 0


def use_newer_python() -> None:
    """Where this Python is too old, go on as the newest one on the PATH."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for minor in range(20, OLDEST_PYTHON[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])


def set_up(root: Path, with_tests: bool) -> None:
    """Install what is not yet installed. Raises CannotSetUp."""
    venv = root / ".venv"
    wanted = fingerprint(root)
    if is_done(venv, wanted, with_tests):
        return
    gpu = has_gpu()
    problem = obstacle(
        python=sys.version_info[:2],
        has_venv=importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None,
        free_bytes=shutil.disk_usage(str(root)).free + size_bytes(venv),
        gpu=gpu,
    )
    if problem:
        raise CannotSetUp(problem)
    make_venv(venv)
    install(root, venv, gpu, with_tests)
    (venv / "limner.stamp").write_text(f"{wanted} {'tests' if with_tests else 'run'}\n")


def fingerprint(root: Path) -> str:
    """Changes when what would be installed changes: the project, its pins, this script, the Python, the folder."""
    digest = hashlib.sha256(f"{sys.version} {root}".encode())  # scripts in .venv name the folder
    for name in ("pyproject.toml", "constraints.txt", "tools/setup.py"):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def is_done(venv: Path, wanted: str, with_tests: bool) -> bool:
    try:
        found, extent = (venv / "limner.stamp").read_text().split()
    except (OSError, ValueError):
        return False
    return found == wanted and (extent == "tests" or not with_tests) and python_in(venv).exists()


def obstacle(*, python: tuple[int, int], has_venv: bool, free_bytes: int, gpu: bool) -> str | None:
    """The sentence that ends the set-up before it begins, or None."""
    version, needed_gb = "{}.{}".format(*python), NEEDED_GB_WITH_GPU if gpu else NEEDED_GB
    if python < OLDEST_PYTHON:
        return f"Limner needs Python 3.11 or newer and this is {version}: install a newer one, then run this again."
    if not has_venv:
        return (
            f"Python's venv module is missing: install it (Debian, Ubuntu: apt install python{version}-venv),"
            " then run this again."
        )
    if free_bytes < needed_gb * 10**9:
        return f"Limner needs {needed_gb} GB of disk and only {free_bytes / 1e9:.1f} GB are free here: free some first."
    return None


def size_bytes(folder: Path) -> int:
    """What an earlier, unfinished set-up has already taken of the disk."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def has_gpu() -> bool:
    """An NVIDIA GPU with its driver."""
    try:
        seen = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return seen.returncode == 0 and b"GPU" in seen.stdout


def python_in(venv: Path) -> Path:
    return venv / "bin" / "python"


def make_venv(venv: Path) -> None:
    """A `.venv` of this Python with a pip that starts; the one that is there if it is such a one."""
    fits = f"import pip, sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    if python_in(venv).exists() and subprocess.run([python_in(venv), "-c", fits], capture_output=True).returncode == 0:
        return
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True)
    if made.returncode:
        raise CannotSetUp(explain(made.stdout + made.stderr))


def install(root: Path, venv: Path, gpu: bool, with_tests: bool) -> None:
    pins = ["--constraint", str(root / "constraints.txt")]
    print("Installing; the first time this takes some minutes (details: .venv/setup.log)", file=sys.stderr)
    (venv / "setup.log").write_text("")
    pip(venv, ["--upgrade", "pip", "setuptools", *pins])
    if not gpu:
        pip(venv, ["--no-deps", *cpu_torch(root, venv)])
    pip(venv, ["--editable", str(root) + ("[dev]" if with_tests else ""), *pins])


def cpu_torch(root: Path, venv: Path) -> list[str]:
    """What to ask pip for where there is no GPU, so that gigabytes of CUDA do not come.

    First what pip already offers, then PyTorch's own index of CPU builds, then plain.
    """
    lines = (root / "constraints.txt").read_text().split()
    torch = next(line for line in lines if line.startswith("torch=="))
    offered = resolve(venv, [torch])
    if offered and not brings_cuda(offered, platform.system()):
        return [torch]
    own_index = ["--index-url", CPU_INDEX, torch]
    return own_index if resolve(venv, own_index) else [torch]


def resolve(venv: Path, arguments: list[str]) -> dict[str, Any]:
    """pip's report of what it would install, with nothing downloaded; empty if it finds nothing."""
    command = [str(python_in(venv)), "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps"]
    command += ["--only-binary", ":all:", "--quiet", "--report", "-", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, env=pip_environment())
    report: dict[str, Any] = json.loads(found.stdout) if found.returncode == 0 else {}
    return report


def brings_cuda(report: dict[str, Any], system: str) -> bool:
    """Whether the torch of `report` pulls NVIDIA's libraries with it; they are for Linux alone."""
    needs = [need for found in report["install"] for need in found["metadata"].get("requires_dist", [])]
    return system == "Linux" and any(n.startswith(("nvidia-", "cuda-")) and "extra ==" not in n for n in needs)


def pip_environment() -> dict[str, str]:
    return {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}


def pip(venv: Path, arguments: list[str]) -> None:
    """`pip install`: its output goes to the log, its last line to a terminal. Raises CannotSetUp."""
    command = [str(python_in(venv)), "-m", "pip", "install", "--progress-bar", "off", *arguments]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=pip_environment()
    )
    output, _ = "".join(map(show, child.stdout or [])), child.wait()
    show("")
    with (venv / "setup.log").open("a") as log:
        log.write(output)
    if child.returncode:
        raise CannotSetUp(explain(output))


def show(line: str) -> str:
    """The line in place of the one before, on a terminal only; returned as it came."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r\033[K" + line.strip()[:width], end="", file=sys.stderr, flush=True)
    return line


def explain(output: str) -> str:
    """One sentence for people out of what pip, venv or a compiler printed."""
    for fragment, fix in _FIXES:
        if fragment in output:
            return f"{fix}, then run this again."
    errors = [line.strip() for line in output.splitlines() if "error" in line.lower()]
    return f"The installation failed ({errors[-1] if errors else 'no reason given'}); see .venv/setup.log."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
