"""An engine without a model: seed-coloured pictures, and faults that a script asks for.

It speaks the same messages from a process of the same kind, so that everything around the engine
is tested for real. `LIMNER_FAKE_FAULTS` names a file with one fault per line; every job that
starts takes the first line away, so a restarted engine goes on where the dead one stopped:

    -                    no fault
    exit [step]          leave with status 1 before that step (default 1)
    kill [step]          die of SIGKILL
    hang [step]          say nothing any more
    garbage [step]       send bytes that are no message
    partial [step]       send the beginning of a message, and leave
    slow [step]          take a second for every step from that one
    fail <kind>          report the job as failed
    flag <index> ...     have the safety check flag these images

`start` as the first line of all makes the process leave before it is ready.
"""

import os
import queue
import signal
import time
from pathlib import Path

import numpy as np

from engine import VERSION, encode
from engine.catalogue import read_catalogue
from engine.channel import Channel
from engine.protocol import (
    MAX_SEED,
    Cancel,
    Cancelled,
    Done,
    Draw,
    Failed,
    Generate,
    ImageDone,
    ImageWithheld,
    Preview,
    Progress,
    Ready,
    Request,
    Shutdown,
)


class FakeEngine:
    def __init__(self, channel: Channel):
        self._channel = channel
        self._waiting: list[Generate] = []
        self._cancelled: set[str] = set()
        self._step_seconds = float(os.environ.get("LIMNER_FAKE_STEP_SECONDS", "0.002"))
        self._faults = Path(os.environ.get("LIMNER_FAKE_FAULTS", os.devnull))

    def run(self) -> None:
        if self._next_fault(only="start"):
            raise SystemExit("the fake engine was told to die at start")
        self._channel.send(
            Ready(
                version=VERSION,
                device="cpu",
                device_name="fake",
                dtype="float32",
                models=list(read_catalogue()),
                startup_seconds=0.0,
            )
        )
        while True:
            self._take(block=not self._waiting)
            if self._waiting:
                self._draw(self._waiting.pop(0))

    def _take(self, *, block: bool) -> None:
        try:
            self._apply(self._channel.commands.get(block=block))
            while True:
                self._apply(self._channel.commands.get_nowait())
        except queue.Empty:
            return

    def _apply(self, command: object) -> None:
        match command:
            case Generate():
                self._waiting.append(command)
            case Cancel(job_id=job_id):
                self._cancelled.add(job_id)
            case Shutdown():
                raise SystemExit(0)
            case _:
                pass

    def _draw(self, job: Generate) -> None:
        fault, _, detail = self._next_fault().partition(" ")
        if fault == "fail":
            self._channel.send(Failed(job_id=job.job_id, kind=detail or "internal", detail="asked for"))  # type: ignore[arg-type]
            return
        started = time.monotonic()
        request = job.request
        steps, count = (request.steps, request.count) if isinstance(request, Draw) else (1, 1)
        for step in range(1, steps + 1):
            if fault not in ("", "flag") and step >= min(steps, int(detail or 1)):
                self._misbehave(fault)
            time.sleep(self._step_seconds)
            self._take(block=False)
            if job.job_id in self._cancelled:
                self._channel.send(Cancelled(job_id=job.job_id))
                return
            self._channel.send(Progress(job_id=job.job_id, stage="drawing", step=step, steps=steps))
            if step == max(1, steps // 4):
                jpeg = encode.preview_jpeg(_picture(request, 0, 64, 64))
                self._channel.send(Preview(job_id=job.job_id, index=0, step=step, jpeg=jpeg))
        flagged = {int(index) for index in detail.split()} if fault == "flag" else set()
        for index in range(count):
            self._finish(job, index, is_flagged=index in flagged)
        self._channel.send(Done(job_id=job.job_id, gpu_seconds=time.monotonic() - started, model_hash="fake"))

    def _finish(self, job: Generate, index: int, *, is_flagged: bool) -> None:
        request, spool = job.request, Path(job.spool_dir)
        seed = _seed(request, index)
        if is_flagged and job.if_flagged == "withhold":
            self._channel.send(ImageWithheld(job_id=job.job_id, index=index, seed=seed))
            return
        pixels = _picture(request, index, request.width, request.height)
        text = encode.provenance(request, seed, "fake")
        encode.write_file(spool / f"{index}.jpg", encode.jpeg(pixels, text))
        encode.write_file(spool / f"{index}.strip.jpg", encode.film_strip([_picture(request, index, 64, 64)] * 3))
        path = spool / f"{index}.png"
        sha256 = encode.write_file(path, encode.png(pixels, text))
        self._channel.send(
            ImageDone(
                job_id=job.job_id,
                index=index,
                seed=seed,
                path=str(path),
                sha256=sha256,
                width=request.width,
                height=request.height,
                is_flagged=is_flagged,
            )
        )

    def _next_fault(self, only: str = "") -> str:
        """Take the first line of the script away and return it; with `only`, if it is that."""
        lines = self._faults.read_text().splitlines()
        if not lines or (only and lines[0] != only):
            return ""
        self._faults.write_text("".join(f"{line}\n" for line in lines[1:]))
        return "" if lines[0] == "-" else lines[0]

    def _misbehave(self, fault: str) -> None:
        if fault == "exit":
            os._exit(1)
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hang":
            time.sleep(3600)
        if fault == "slow":
            time.sleep(1)
        if fault == "partial":
            self._channel.send_raw(b"\x00\x00\x01\x00half")
            os._exit(1)
        if fault == "garbage":
            self._channel.send_raw(b"\x00\x00\x00\x05hello")


def _seed(request: Request, index: int) -> int:
    draw = request if isinstance(request, Draw) else request.of
    return (draw.seed + index) & MAX_SEED


def _picture(request: Request, index: int, width: int, height: int) -> encode.Pixels:
    colour = np.random.default_rng(_seed(request, index)).integers(0, 256, 3, np.uint8)
    shade = np.linspace(0.4, 1.0, height)[:, None, None]
    return np.broadcast_to((colour * shade).astype(np.uint8), (height, width, 3)).copy()
