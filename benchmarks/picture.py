"""One sentence → one 2048 px file: Limner's engine against plain diffusers, turn by turn in one run.

    python -m benchmarks.picture [--rounds 7] [--json FILE]

Prints the stages of Limner's picture, both sides' seconds, and the ratios pair by pair, with the
same encoder on both sides and with Pillow's default PNG on the plain side; then the engine's start
and memory.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from benchmarks.measuring import machine, median, peak_mib, print_table
from engine.catalogue import read_catalogue
from engine.client import Died, LocalEngine
from engine.protocol import Done, Draw, Event, Failed, Generate, Ready, Timing

PROMPT = "A person standing on road wearing jacket with Mountain in background and its raining"
MODEL = read_catalogue()["builtin"]
REQUEST = Draw(
    prompt=PROMPT,
    negative_prompt=None,
    model=MODEL.name,
    seed=7,
    count=1,
    steps=MODEL.steps,
    guidance_scale=MODEL.guidance_scale,
    scheduler=MODEL.scheduler,
    width=2048,
    height=2048,
)


class Plain:
    """The plain side in a process of its own, as the engine is in one."""

    def __init__(self, folder: Path):
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.plain", PROMPT, str(MODEL.steps), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def seconds(self, encoder: str) -> float:
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(f"{encoder}\n")
        self._child.stdin.flush()
        return float(self._child.stdout.readline())

    def close(self) -> None:
        self._child.kill()
        self._child.wait()


class Ours:
    def __init__(self, engine: LocalEngine, events: AsyncIterator[Event | Died], folder: Path):
        self._engine, self._events, self._folder, self._drawn = engine, events, folder, 0
        self.stages: list[dict[str, float]] = []

    async def seconds(self, request: Draw = REQUEST) -> float:
        self._drawn += 1
        job_id, started = str(self._drawn), time.monotonic()
        spool = self._folder / job_id
        spool.mkdir()
        await self._engine.generate(Generate(job_id=job_id, owner=1, weight=1.0, request=request, spool_dir=str(spool)))
        async for event in self._events:
            if isinstance(event, Timing):
                self.stages.append(event.seconds)
            if isinstance(event, Failed | Died):
                raise SystemExit(f"the engine failed: {event}")
            if isinstance(event, Done):
                break
        return time.monotonic() - started


async def compare(rounds: int, folder: Path) -> dict[str, object]:
    started = time.monotonic()
    engine = LocalEngine()
    events = engine.events()
    await engine.start()
    ready = await anext(events)
    assert isinstance(ready, Ready), ready
    ready_seconds = time.monotonic() - started
    ours, plain = Ours(engine, events, folder), Plain(folder)
    await ours.seconds()
    first_seconds = time.monotonic() - started
    plain.seconds("ours")
    ours.stages.clear()
    times: dict[str, list[float]] = {"ours": [], "plain": [], "plain_pillow": []}
    for _ in range(rounds):
        times["ours"].append(await ours.seconds())
        times["plain"].append(await asyncio.to_thread(plain.seconds, "ours"))
        times["plain_pillow"].append(await asyncio.to_thread(plain.seconds, "pillow"))
    draft = msgspec.structs.replace(REQUEST, quality="draft", steps=MODEL.steps // 2, width=256, height=256)
    stages = list(ours.stages)
    draft_seconds = median([await ours.seconds(draft) for _ in range(rounds)])
    memory = peak_mib(engine.pid or 0)
    await engine.close()
    plain.close()
    return {
        "machine": machine(),
        "device": ready.device,
        "dtype": ready.dtype,
        "rounds": rounds,
        "engine_ready_seconds": ready_seconds,
        "engine_first_picture_seconds": first_seconds,
        "engine_peak_mib": memory,
        "stages": {name: median([stage.get(name, 0.0) for stage in stages]) for name in stages[0]},
        "seconds": {name: median(values) for name, values in times.items()},
        "draft_seconds": draft_seconds,
        "ratio_same_encoder": median([a / b for a, b in zip(times["ours"], times["plain"], strict=True)]),
        "ratio_pillow_png": median([a / b for a, b in zip(times["ours"], times["plain_pillow"], strict=True)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(compare(arguments.rounds, Path(folder)))
    _report(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def _report(figures: dict) -> None:
    print(
        f"{figures['machine']}\nengine: {figures['device']}, {figures['dtype']}; median of {figures['rounds']} rounds"
    )
    seconds = figures["seconds"]
    print_table("Limner's picture, stage by stage", ("stage", "seconds"),
                [(name, f"{value:.3f}") for name, value in figures["stages"].items()])  # fmt: skip
    print_table("Prompt → 2048 px file", ("", "seconds", "Limner / it"), [
        ("Limner", f"{seconds['ours']:.2f}", ""),
        ("plain diffusers, same encoder", f"{seconds['plain']:.2f}", f"{figures['ratio_same_encoder']:.2f}"),
        ("plain diffusers, Pillow's PNG", f"{seconds['plain_pillow']:.2f}", f"{figures['ratio_pillow_png']:.2f}"),
        ("Limner, draft", f"{figures['draft_seconds']:.2f}", ""),
    ])  # fmt: skip
    print_table("The engine", ("", ""), [
        ("ready after", f"{figures['engine_ready_seconds']:.1f} s"),
        ("first picture after", f"{figures['engine_first_picture_seconds']:.1f} s"),
        ("peak memory", f"{figures['engine_peak_mib']:.0f} MiB"),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
