"""`limner run` on an empty data directory: how soon the page answers and the engine is ready, and their memory.

python -m benchmarks.startup [--rounds 5]
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import machine, median, peak_mib, print_table, resident_mib

PATIENCE_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def health(port: int) -> dict | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return None


def until(done: Callable[[], bool], since: float) -> float:
    while not done():
        if time.monotonic() - since > PATIENCE_SECONDS:
            raise SystemExit("it did not come up")
        time.sleep(0.01)
    return time.monotonic() - since


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def one_start(data: Path) -> dict[str, float]:
    port = free_port()
    environment = os.environ | {"LIMNER_DATA": str(data), "LIMNER_WEB_PORT": str(port)}
    started = time.monotonic()
    bot = subprocess.Popen(
        [sys.executable, "-m", "bot", "run"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        page = until(lambda: health(port) is not None, started)
        ready = until(lambda: (health(port) or {})["engine"]["state"] == "ready", started)
        first = until(lambda: any((data / "spool").glob("*/0.png")), started)
        return {
            "page answers, s": page,
            "engine ready, s": ready,
            "first picture on disk, s": first,
            "bot memory, MiB": resident_mib(bot.pid),
            "engine peak memory, MiB": peak_mib(child_of(bot.pid)),
        }
    finally:
        bot.terminate()
        bot.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = []
    for _ in range(parser.parse_args().rounds):
        with tempfile.TemporaryDirectory() as data:
            rounds.append(one_start(Path(data)))
    print(machine())
    rows = [(name, f"{median([each[name] for each in rounds]):.2f}") for name in rounds[0]]
    print_table(f"`limner run`, median of {len(rounds)}", ("", ""), rows)


if __name__ == "__main__":
    main()
