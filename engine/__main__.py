"""`python -m engine "a red car" --seed 7`: the engine without a bot."""

import argparse
import os
import secrets
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from engine import VERSION
from engine.catalogue import read_catalogue
from engine.client import Died
from engine.drawing import NotDrawn, draw, print_drawn
from engine.protocol import MAX_SEED, SCHEDULERS, Draw, Event, Progress, Ready
from engine.sizes import is_allowed

LONGEST_PROMPT = 1500  # characters


def main() -> None:
    """Exit codes: 0 drawn, 2 usage, 75 worth another try, 78 something must be mended first."""
    parser = _parser()
    arguments = parser.parse_args()
    request = _request(arguments, parser)
    kind = os.environ.get("LIMNER_ENGINE", "torch")
    models_dir = Path(os.environ.get("LIMNER_DATA", "data")) / "models"
    started, shows = time.monotonic(), sys.stderr.isatty() and not arguments.json
    try:
        drawn = draw(kind, models_dir, [request], arguments.out, _show if shows else lambda event: None)
    except KeyboardInterrupt:
        sys.exit(130)
    except NotDrawn as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    finally:
        if shows:
            _show_line("")
    print_drawn(drawn, time.monotonic() - started, as_json=arguments.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine", description="Draw pictures from a prompt.")
    parser.add_argument("prompt")
    parser.add_argument("--no", metavar="WORDS", help="what must not be in the picture")
    parser.add_argument("--seed", "-s", type=int, default=secrets.randbelow(MAX_SEED + 1), help=f"0 to {MAX_SEED}")
    parser.add_argument("--ar", metavar="W:H", default="1:1", help="aspect ratio, 1:3 to 3:1")
    parser.add_argument("-n", "--n", type=int, default=1, choices=range(1, 5), help="how many pictures")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--scheduler", choices=SCHEDULERS)
    parser.add_argument("--model", choices=list(read_catalogue()), default="builtin")
    parser.add_argument("--quality", choices=("full", "draft"), default="full")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the files (default: this one)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--version", action="version", version=f"Limner engine {VERSION}")
    return parser


def _request(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Draw:
    """The request, every value checked; leaves through `parser.error` where one is out of range."""
    model = read_catalogue()[arguments.model]
    ratio = _ratio(arguments.ar)
    plain = model.plain_draw(arguments.quality, ratio or 1.0)
    steps = plain.steps if arguments.steps is None else arguments.steps
    guidance = plain.guidance_scale if arguments.guidance is None else arguments.guidance
    for fits, complaint in (
        (len(arguments.prompt) <= LONGEST_PROMPT, f"the prompt is longer than {LONGEST_PROMPT} characters"),
        (0 <= arguments.seed <= MAX_SEED, f"--seed is 0 to {MAX_SEED}"),
        (ratio is not None, "--ar is W:H, 1:3 to 3:1"),
        (1 <= steps <= model.max_steps, f"--steps is 1 to {model.max_steps} for {model.name}"),
        (0 <= guidance <= model.max_guidance_scale, f"--guidance is 0 to {model.max_guidance_scale:g}"),
    ):
        if not fits:
            parser.error(complaint)
    return replace(
        plain,
        prompt=_readable(arguments.prompt),
        negative_prompt=_readable(arguments.no) if arguments.no else None,
        seed=arguments.seed,
        count=arguments.n,
        steps=steps,
        guidance_scale=guidance,
        scheduler=arguments.scheduler or plain.scheduler,
    )


def _ratio(text: str) -> float | None:
    """Width over height, or None if the text is no ratio from 1:3 to 3:1."""
    width, _, height = text.partition(":")
    try:
        ratio = float(width) / float(height)
    except (ValueError, ZeroDivisionError):
        return None
    return ratio if is_allowed(ratio) else None


def _readable(text: str) -> str:
    """Bytes of the command line that are no UTF-8 arrive as lone surrogates; they go."""
    return text.encode("utf-8", "ignore").decode()


def _show(event: Event | Died) -> None:
    """One line on a terminal that says how far it is."""
    match event:
        case Ready(device_name=device):
            _show_line(f"ready on {device}")
        case Progress(stage=stage, step=step, steps=steps):
            _show_line(f"{stage} {step}/{steps}")
        case _:
            pass


def _show_line(text: str) -> None:
    print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
