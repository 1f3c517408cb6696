"""An engine without a model: seed-coloured pictures, and faults that a script asks for.

It speaks the same messages from a process of the same kind, and its jobs take their steps in turn as the
real one's do, so that everything around the engine is tested for real.
`LIMNER_FAKE_FAULTS` names a file with one fault per line; every job that starts takes the first line
away, so a restarted engine goes on where the dead one stopped:

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
from engine.ticks import Running, Served, charge, next_batch, welcome

BATCH_CAP = 4  # jobs that take a step together


class _Drawing:
    def __init__(self, job: Generate):
        self.job, self.step, self.started = job, 0, time.monotonic()
        self.fault = self.detail = ""
        self.steps = job.request.steps if isinstance(job.request, Draw) else 1

    def running(self) -> Running:
        return Running(self.job.job_id, self.job.owner, self.job.weight, group=0, cost=self.job.request.count)


class FakeEngine:
    def __init__(self, channel: Channel):
        self._channel = channel
        self._drawing: dict[str, _Drawing] = {}
        self._served: Served = {}
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
            )
        )
        while True:
            self._take(block=not self._drawing)
            batch = next_batch([each.running() for each in self._drawing.values()], self._served, BATCH_CAP)
            charge(self._served, batch)
            time.sleep(self._step_seconds)
            for image in batch:
                self._step(self._drawing[str(image.image_id)])

    def _take(self, *, block: bool) -> None:
        try:
            self._apply(self._channel.commands.get(block=block))
            while True:
                self._apply(self._channel.commands.get_nowait())
        except queue.Empty:
            return

    def _apply(self, command: object) -> None:
        match command:
            case Generate(job_id=job_id, owner=owner):
                welcome(self._served, owner, {each.job.owner for each in self._drawing.values()})
                self._drawing[job_id] = _Drawing(command)
            case Cancel(job_id=job_id) if self._drawing.pop(job_id, None):
                self._channel.send(Cancelled(job_id=job_id))
            case Shutdown():
                raise SystemExit(0)
            case _:
                pass

    def _step(self, drawing: _Drawing) -> None:
        job = drawing.job
        if drawing.step == 0:
            drawing.fault, _, drawing.detail = self._next_fault().partition(" ")
            if drawing.fault == "fail":
                del self._drawing[job.job_id]
                self._channel.send(Failed(job_id=job.job_id, kind=drawing.detail or "internal", detail="asked for"))  # type: ignore[arg-type]
                return
        drawing.step += 1
        step, steps, fault, detail = drawing.step, drawing.steps, drawing.fault, drawing.detail
        if fault not in ("", "flag") and step >= min(steps, int(detail or 1)):
            self._misbehave(fault)
        self._channel.send(Progress(job_id=job.job_id, stage="drawing", step=step, steps=steps))
        if step == max(1, steps // 4):
            jpeg = encode.preview_jpeg(_picture(job.request, 0, 64, 64))
            self._channel.send(Preview(job_id=job.job_id, index=0, step=step, jpeg=jpeg))
        if step == steps:
            del self._drawing[job.job_id]
            flagged = {int(index) for index in detail.split()} if fault == "flag" else set()
            for index in range(job.request.count):
                self._finish(job, index, is_flagged=index in flagged)
            seconds = time.monotonic() - drawing.started
            self._channel.send(Done(job_id=job.job_id, gpu_seconds=seconds, model_hash="fake"))

    def _finish(self, job: Generate, index: int, *, is_flagged: bool) -> None:
        request, seed = job.request, _seed(job.request, index)
        if is_flagged and job.if_flagged == "withhold":
            self._channel.send(ImageWithheld(job_id=job.job_id, index=index, seed=seed))
            return
        pixels = _picture(request, index, request.width, request.height)
        text, frames = encode.provenance(request, seed, "fake"), [_picture(request, index, 64, 64)] * 3
        path, sha256 = encode.write_image(Path(job.spool_dir), index, pixels, frames, text)
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
            self._channel._stream.sendall(b"\x00\x00\x01\x00half")
            os._exit(1)
        if fault == "garbage":
            self._channel._stream.sendall(b"\x00\x00\x00\x05hello")


def run(channel: Channel) -> None:
    """What `engine.worker` calls."""
    FakeEngine(channel).run()


def _seed(request: Request, index: int) -> int:
    return (request.draw.seed + index) & MAX_SEED


def _picture(request: Request, index: int, width: int, height: int) -> encode.Pixels:
    colour = np.random.default_rng(_seed(request, index)).integers(0, 256, 3, np.uint8)
    shade = np.linspace(0.4, 1.0, height)[:, None, None]
    return np.broadcast_to((colour * shade).astype(np.uint8), (height, width, 3)).copy()
