"""What stands in the way of Limner on this machine, and what to do about it."""

import errno
import json
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bot.errors import CannotStart
from bot.settings import Settings
from bot.store import inspection
from bot.store.connection import write_problem
from engine import weights
from engine.catalogue import read_catalogue

LEAST_FREE_BYTES, FEW_FREE_BYTES = 200 * 10**6, 2 * 10**9
_PROBE = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "torch": torch.__version__, "for_cuda": torch.version.cuda is not None,
    "gpu": torch.cuda.get_device_name(0) if cuda else None,
    "gpu_bytes": torch.cuda.get_device_properties(0).total_memory if cuda else 0,
    "mps": torch.backends.mps.is_available(),
}))
"""  # run in a process of its own: the bot never loads torch


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """Every check, as soon as it is known. Changes nothing."""
    yield Check("python", "ok", platform.python_version())
    yield from _torch(_probe_torch(), has_driver=shutil.which("nvidia-smi") is not None)
    yield _data(settings.data)
    yield from _database(settings.data / "limner.db")
    yield from _models(settings)
    yield _port(settings.web_host, settings.web_port)
    yield from _tokens(settings)


def _probe_torch() -> dict[str, Any] | str:
    """What torch says of itself and of the GPU; or its last words."""
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "no answer in 2 minutes"
    if probe.returncode:
        return probe.stderr.strip().splitlines()[-1] if probe.stderr.strip() else f"status {probe.returncode}"
    found: dict[str, Any] = json.loads(probe.stdout)
    return found


def _torch(found: dict[str, Any] | str, *, has_driver: bool) -> Iterator[Check]:
    if isinstance(found, str):
        yield Check("torch", "fail", f"does not load: {found}", "Remove .venv and run `make run` again.")
        return
    yield Check("torch", "ok", found["torch"])
    if found["gpu"]:
        yield Check("gpu", "ok", f"{found['gpu']}, {found['gpu_bytes'] / 2**30:.0f} GiB")
    elif found["mps"]:
        yield Check("gpu", "ok", "Apple")
    elif has_driver and not found["for_cuda"]:
        fix = "Remove .venv and run `make run` again: it then brings torch for this GPU."
        yield Check("gpu", "warn", "NVIDIA's driver is here, but torch is the build for CPUs", fix)
    elif has_driver:
        yield Check("gpu", "warn", "torch does not see the GPU", "Look at `nvidia-smi`: is the driver running?")
    else:
        yield Check("gpu", "ok", "none: the processor draws")


def _data(data: Path) -> Check:
    place = next(folder for folder in (data, *data.resolve().parents) if folder.exists())
    if not place.is_dir():
        return Check("data", "fail", f"{place} is not a directory", "Set LIMNER_DATA to another place.")
    free = shutil.disk_usage(place).free
    found = f"{data.resolve()}, {free / 1e9:.1f} GB free"
    if problem := write_problem(place):
        fix = "Free some space, change its permissions, or set LIMNER_DATA to another directory."
        return Check("data", "fail", f"{place} cannot be written ({problem.strerror})", fix)
    if free < LEAST_FREE_BYTES:
        return Check("data", "fail", found, "Free some disk space, or set LIMNER_DATA to another disk.")
    if free < FEW_FREE_BYTES:
        return Check("data", "warn", found, "Each picture takes up to 12 MB: free some disk space soon.")
    if data.exists() and data.stat().st_mode & 0o077:
        return Check("data", "warn", f"{found}; others on this machine can read it", f"chmod 700 {data}")
    return Check("data", "ok", found)


def _database(file: Path) -> Iterator[Check]:
    yield _sqlite()
    if not file.exists():
        yield Check("database", "ok", "none yet: the first start makes it")
        return
    try:
        findings = inspection.inspect(file)
    except CannotStart as error:
        yield Check("database", "fail", str(error))
        return
    yield _findings(file, findings)


def _sqlite() -> Check:
    version, mended = (".".join(map(str, v)) for v in (inspection.SQLITE_VERSION, inspection.SQLITE_MENDED))
    if inspection.SQLITE_VERSION < inspection.SQLITE_MENDED:
        fix = f"Safe as it is used here. Write to limner.db with no other program before SQLite {mended}."
        return Check("sqlite", "warn", version, fix)
    return Check("sqlite", "ok", version)


def _findings(file: Path, findings: inspection.Findings) -> Check:
    if not findings.is_whole:
        return Check("database", "fail", f"{file} is damaged", "limner restore")
    if findings.version > findings.known_version:
        found = f"version {findings.version}; this Limner knows {findings.known_version}"
        return Check("database", "fail", found, "Install the newer Limner again, or set LIMNER_DATA.")
    if findings.ledger_problems:
        return Check("database", "fail", f"the ledger does not balance: {findings.ledger_problems[0]}", "Report this.")
    return Check("database", "ok", f"version {findings.version}, whole, the ledger balances")


def _models(settings: Settings) -> Iterator[Check]:
    catalogue = read_catalogue()
    if settings.model not in catalogue:
        yield Check("model", "fail", f"LIMNER_MODEL is {settings.model}", f"Use one of: {', '.join(catalogue)}.")
    for name, model in catalogue.items():
        if not (model.packaged or model.is_here(settings.models_path)):
            continue
        problems = weights.problems(model, settings.models_path)
        again = f"limner models add {name}"
        fix = "git checkout -- engine/builtin" if model.packaged else again
        yield Check(f"model {name}", "fail", problems[0], fix) if problems else Check(f"model {name}", "ok", "whole")


def _port(host: str, port: int) -> Check:
    error = port_problem(host, port)
    if error is None:
        return Check("page", "ok", f"http://{host}:{port} is free")
    if error.errno == errno.EADDRINUSE:
        fix = "If that is not Limner itself, set LIMNER_WEB_PORT to another one."
        return Check("page", "warn", f"port {port} is in use", fix)
    return Check("page", "fail", f"{host}:{port}: {error.strerror}", "Set LIMNER_WEB_HOST or LIMNER_WEB_PORT.")


def port_problem(host: str, port: int) -> OSError | None:
    """Why nothing can listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def unreached(platform: str, url: str, reason: str) -> Check:
    fix = f"Look at this machine's network and LIMNER_{platform.upper()}_API_URL; `limner run` keeps trying."
    return Check(platform, "warn", f"{url} cannot be reached ({reason})", fix)


def _tokens(settings: Settings) -> Iterator[Check]:
    """Whether they are set and do what they should; never what they are."""
    if settings.discord_token:
        from bot.discord import checkup

        yield from checkup.examine(settings)
    else:
        yield Check("discord", "ok", "not set up: docs/discord.md")
    if settings.slack_bot_token or settings.slack_app_token or settings.slack_signing_secret:
        from bot.slack import checkup as slack

        yield from slack.examine(settings)
    else:
        yield Check("slack", "ok", "not set up: docs/slack.md")
