"""`python -m tests.chaos crash --kills 10 --who bot`"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos import crash, endurance, fault_engine, fuzz, points
from tests.chaos.boundaries import FAILING
from tests.chaos.planted import FAULTS


def main() -> None:
    """Exit codes: 0 every promise held, 1 one did not."""
    os.environ.pop("LIMNER_CONTRACTS", None)  # what the stand-in is asked is checked elsewhere
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="What holds when things go wrong.")
    commands = parser.add_subparsers(required=True)
    _crash(commands.add_parser("crash", help="kill the bot, the engine or both at random moments"))
    _points(
        commands.add_parser("points", help="die before, inside and after each transaction, file, request and frame")
    )
    _calls(commands.add_parser("calls", help="make the n-th call fail, n = 1, 2, 3 …, until there is none"))
    engine = commands.add_parser("engine", help="every mode of the fault engine at the first, middle and last step")
    _endurance(engine, lambda folder, given: fault_engine.run(folder))
    _fuzz(commands.add_parser("fuzz", help="prompts, images and weights that are damaged in every way"))
    burst = commands.add_parser("burst", help="so many submits at once")
    burst.add_argument("--n", type=int, default=10_000)
    burst.add_argument("--people", type=int, default=500, help="who ask at once, and again once they are answered")
    _endurance(burst, lambda folder, given: endurance.burst(folder, given.n, given.people))
    soak = commands.add_parser("soak", help="so many jobs through the real process: memory and files stay level")
    soak.add_argument("--jobs", type=int, required=True)
    soak.add_argument("--seconds", type=float, default=1e9, help="stop asking after that long")
    _endurance(soak, lambda folder, given: endurance.soak(folder, given.jobs, given.seconds))
    arguments = parser.parse_args()
    sys.exit(arguments.call(arguments))


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(2**32), help="of everything random but the timing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave database and log there")


def _crash(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--who", choices=("bot", "engine", "both"), default="bot")
    parser.add_argument("--on", choices=tuple(crash.PLATFORMS), default="discord")
    parser.add_argument("--planted", choices=tuple(FAULTS), help="a fault that has to be seen")
    parser.add_argument("--canary", action="store_true", help="at debug level, with a token that must stand nowhere")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop killing after that long")
    _common(parser)
    parser.set_defaults(call=_run_crash)


def _run_crash(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        running = crash.run(
            given.keep or Path(folder),
            kills=given.kills,
            who=given.who,
            on=given.on,
            seed=given.seed,
            planted=given.planted,
            canary=given.canary,
            limit_seconds=given.seconds,
        )
        report = asyncio.run(running)
    print(crash.told(report))
    _write(given.json, report)
    return 0 if report.passed else 1


def _points(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--share", type=float, default=1.0, help="of the points, drawn by lot")
    _common(parser)
    parser.set_defaults(call=lambda given: _run_points(given, "named crash points"))


def _calls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=FAILING, action="append", help="only these")
    parser.add_argument("--most", type=int, default=1000, help="calls of each kind")
    _common(parser)
    parser.set_defaults(call=lambda given: _run_points(given, "calls that fail"))


def _run_points(given: argparse.Namespace, what: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        at = given.keep or Path(folder)
        if what == "named crash points":
            report = asyncio.run(points.crash_everywhere(at, share=given.share, seed=given.seed))
        else:
            kinds = tuple(given.kind or FAILING)
            report = asyncio.run(points.fail_everywhere(at, kinds=kinds, most=given.most))
    print(points.told(report, what))
    _write(given.json, report)
    return 0 if report.passed else 1


def _fuzz(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("prompts", "images", "weights"))
    parser.add_argument("--n", type=int, required=True)
    _common(parser)
    parser.set_defaults(call=_run_fuzz)


def _run_fuzz(given: argparse.Namespace) -> int:
    report = fuzz.run(given.what, given.n, given.seed)
    print(fuzz.told(report))
    _write(given.json, report)
    return 0 if report.passed else 1


def _endurance(parser: argparse.ArgumentParser, start: Callable[[Path, argparse.Namespace], Any]) -> None:
    def call(given: argparse.Namespace) -> int:
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(start(given.keep or Path(folder), given))
        print(report.told() if isinstance(report, fault_engine.Report) else endurance.told(report))
        _write(given.json, report)
        return 0 if report.passed else 1

    _common(parser)
    parser.set_defaults(call=call)


def _write(file: Path | None, report: Any) -> None:
    if file:
        figures = vars(report) | {"passed": report.passed}
        file.write_text(json.dumps(figures, indent=1, default=vars) + "\n")


if __name__ == "__main__":
    main()
