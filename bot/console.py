"""What the commands print: results on stdout, progress and complaints on stderr."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bot import pace
from bot.phrases import clip
from engine import protocol
from engine.client import Died
from engine.drawing import Watch
from engine.protocol import Draw, Event, Ready

_STATES = {"ok": "[green]ok  [/]", "warn": "[yellow]look[/]", "fail": "[red]mend[/]"}


def print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False))


def complain(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_check(name: str, state: str, found: str, fix: str) -> None:
    advice = f"\n{'':21}[dim]{escape(fix)}[/]" if fix else ""
    Console(soft_wrap=True).print(f"{_STATES[state]}  {escape(name):<14} {escape(found)}{advice}", highlight=False)


def print_answer(text: str, files: Sequence[tuple[str, bytes]], *, as_json: bool) -> None:
    """The text, and each file written here under its name."""
    for name, data in files:
        Path(name).write_bytes(data)
    if as_json:
        print_json({"answer": text, "files": [name for name, _ in files]})
    else:
        print(text, *(f"Written to {name}" for name, _ in files), sep="\n")


@contextmanager
def watching(draws: Sequence[Draw], *, quiet: bool) -> Iterator[Watch]:
    """A progress bar for each job, named by its prompt; what is given moves them on."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    console.quiet = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=console.quiet) as bars:
        rows = [bars.add_task("starting the engine", total=100) for _ in draws]

        def watch(event: Event | Died) -> None:
            if isinstance(event, Ready):
                console.print(f"ready on {escape(event.device_name)}", style="dim", highlight=False)
            elif isinstance(event, protocol.Progress):
                draw, row = draws[int(event.job_id)], rows[int(event.job_id)]
                done = pace.percent(event.stage, event.step, event.steps, draw.quality)
                bars.update(row, completed=done, description=f"{escape(clip(draw.prompt, 40))} · {event.stage}")

        yield watch
