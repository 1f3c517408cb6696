"""The tick loop: one thread that draws everybody's images, a step at a time.

Between two ticks images join, leave, are cancelled and previewed. A tick takes one part of a model
that is being loaded, one tile of an image that is being enlarged, and one denoising step of a batch
of images that fit together, whoever they belong to. A small pool of threads writes the files.
"""

import logging
import queue
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from engine import VERSION, encode
from engine.catalogue import Catalogue, read_catalogue
from engine.channel import Channel
from engine.device import device_name, pick_device, pick_dtype
from engine.families import BadModel, BadRequest
from engine.picture import Picture, Working, Written, base_of, check, write
from engine.protocol import (
    Cancel,
    Cancelled,
    Done,
    Failed,
    FailureKind,
    Generate,
    ImageWithheld,
    Load,
    Preview,
    Progress,
    Ready,
    Shutdown,
    Stage,
    Timing,
    Upscale,
)
from engine.residency import PARTS, Loaded, Residency
from engine.ticks import charge, next_batch, welcome
from engine.upscale import Enlarging, to_bytes

log = logging.getLogger("engine")

BATCH_CAP = 4
PREVIEW_SECONDS = 1.0
PROGRESS_SECONDS = 0.1
_WRITERS = 2


class TickLoop:
    def __init__(
        self, channel: Channel, models_dir: Path, catalogue: Catalogue | None = None, dtype: torch.dtype | None = None
    ):
        self._channel, self._models_dir = channel, models_dir
        self._device = pick_device()
        self._dtype = dtype or pick_dtype(self._device)
        self._catalogue = catalogue or read_catalogue()
        self._residency = Residency(models_dir, self._device, self._dtype)
        self._inbox = channel.commands  # the writers report through it too
        self._jobs: dict[str, Working] = {}
        self._arrived: list[Working] = []
        self._drawing: list[Picture] = []
        self._finishing: list[tuple[Picture, Iterator[None]]] = []
        self._served: dict[int, float] = {}
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="writer")
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # diffusers' schedulers under numpy 2

    def run(self) -> None:
        """Take commands and draw, until Shutdown."""
        self._channel.send(self._ready())
        while True:
            self.turn()

    def turn(self) -> None:
        """Take what has come in, waiting for it if there is nothing to draw, then one tick."""
        self._take(block=not (self._arrived or self._drawing or self._finishing or self._residency.is_loading))
        self._tick()

    def _ready(self) -> Ready:
        return Ready(
            version=VERSION,
            device=str(self._device),
            device_name=device_name(self._device),
            dtype=str(self._dtype).removeprefix("torch."),
            models=[name for name, model in self._catalogue.items() if model.is_here(self._models_dir)],
        )

    def _take(self, *, block: bool) -> None:
        try:
            self._apply(self._inbox.get(block=block))
            while True:
                self._apply(self._inbox.get_nowait())
        except queue.Empty:
            return

    def _apply(self, message: object) -> None:
        match message:
            case Generate():
                self._accept(message)
            case Cancel(job_id=job_id):
                if job := self._jobs.get(job_id):
                    self._drop(job)
                    self._channel.send(Cancelled(job_id=job_id))
            case Load(model=name) if name in self._catalogue:
                self._residency.want(self._catalogue[name])
            case Written():
                self._note_written(message)
            case Shutdown():
                raise SystemExit(0)
            case _:
                log.warning("nothing to do for a %s", type(message).__name__)

    def _accept(self, command: Generate) -> None:
        name = command.request.draw.model
        model = self._catalogue.get(name)
        if model is None:
            self._channel.send(Failed(job_id=command.job_id, kind="bad_model", detail=f"no model {name!r}"))
            return
        job = Working(command, model, left=command.request.count)
        welcome(self._served, command.owner, {other.command.owner for other in self._jobs.values()})
        self._jobs[job.id] = job
        self._arrived.append(job)
        if self._residency.get(model.name) is None:
            self._tell(job, "loading", 0, PARTS)
        self._residency.want(model)

    def _tick(self) -> None:
        if self._residency.is_loading:
            self._load_part()
        if (job := self._next_arrival()) is not None:
            self._attempt(job, lambda: self._begin(job))
        if self._finishing:
            picture, rest = self._finishing[0]
            self._attempt(picture.job, lambda: self._advance(picture, rest))
        if self._drawing:
            self._step()

    def _load_part(self) -> None:
        try:
            name = self._residency.load_part()
        except BadModel as error:
            name = self._residency.give_up()
            log.error("the model %s cannot be loaded: %s", name, error)
            for job in [job for job in self._arrived if job.model.name == name]:
                self._fail(job, "bad_model", str(error))
        for job in self._arrived:
            if job.model.name == name:
                job.steps, job.steps_done = PARTS, min(PARTS, job.steps_done + 1)
                self._tell(job, "loading", job.steps_done, job.steps)

    def _next_arrival(self) -> Working | None:
        return next((job for job in self._arrived if self._residency.get(job.model.name)), None)

    def _begin(self, job: Working) -> None:
        """Put the job's images among those that are drawn, or that are enlarged."""
        self._arrived.remove(job)
        request, loaded = job.command.request, self._loaded(job)
        job.model_hash = loaded.family.model_hash
        check(job.draw, job.model)
        if job.model.photographic and loaded.classifier is None and not job.command.is_unchecked:
            self._fail(job, "unsafe", f"{job.model.name} has no classifier")
            return
        started = time.monotonic()
        base = base_of(request, job.model)
        if isinstance(request, Upscale):
            picture = Picture(job, 0, base)
            self._finishing.append((picture, self._enlarge(picture, _read_pixels(request.source), loaded)))
            return
        for index in range(request.count):
            denoising = loaded.family.begin(request, index, base.width, base.height)
            self._drawing.append(Picture(job, index, base, denoising))
        pictures = [picture for picture in self._drawing if picture.job is job]
        for picture in pictures:
            picture.on_device("encode_prompt", (time.monotonic() - started) / len(pictures))
        job.steps_done, job.steps = 0, sum(len(p.denoising.timesteps) for p in pictures if p.denoising)

    def _step(self) -> None:
        """One denoising step for the batch whose turn it is."""
        running = {id(picture): picture for picture in self._drawing}
        batch = next_batch([picture.running() for picture in self._drawing], self._served, BATCH_CAP)
        charge(self._served, batch)
        pictures = [running[image.image_id] for image in batch]  # type: ignore[index]
        if len(pictures) > 1 and self._step_together(pictures):
            return
        for picture in pictures:
            self._attempt(picture.job, lambda picture=picture: self._step_of([picture]))  # type: ignore[misc]

    def _step_together(self, pictures: list[Picture]) -> bool:
        """False if the batch failed: then each takes its step alone, and only the guilty one fails."""
        try:
            self._step_of(pictures)
        except Exception:
            log.exception("a batch of %d images failed", len(pictures))
            return False
        return True

    def _step_of(self, pictures: list[Picture]) -> None:
        started = time.monotonic()
        loaded = self._loaded(pictures[0].job)
        loaded.family.step([picture.denoising for picture in pictures if picture.denoising])
        seconds = (time.monotonic() - started) / len(pictures)
        for picture in pictures:
            picture.on_device("denoise", seconds)
            self._note_step(picture, loaded)

    def _note_step(self, picture: Picture, loaded: Loaded) -> None:
        job, denoising = picture.job, picture.denoising
        assert denoising
        job.steps_done += 1
        self._tell(job, "drawing", job.steps_done, job.steps)
        if denoising.is_done:
            self._drawing.remove(picture)
            self._finishing.append((picture, self._finish(picture, loaded)))
        elif _wants_preview(denoising.step, len(denoising.timesteps), time.monotonic() - picture.previewed_at):
            self._preview(picture, loaded)

    def _preview(self, picture: Picture, loaded: Loaded) -> None:
        started = time.monotonic()
        assert picture.denoising
        assert picture.denoising.clean is not None
        clean = loaded.family.decode(picture.denoising.clean)
        picture.previewed_at = time.monotonic()
        if loaded.classifier and loaded.classifier.flags(clean):
            return
        pixels = to_bytes(clean)
        picture.frames.append(pixels)
        jpeg = encode.preview_jpeg(pixels)
        picture.previewed_at = time.monotonic()
        picture.on_device("preview", picture.previewed_at - started)
        step = picture.denoising.step
        self._channel.send(Preview(job_id=picture.job.id, index=picture.index, step=step, jpeg=jpeg))

    def _finish(self, picture: Picture, loaded: Loaded) -> Iterator[None]:
        """Decode, enlarge and hand to the writers, a piece at a time."""
        started = time.monotonic()
        assert picture.denoising
        latents = picture.denoising.latents
        if not bool(torch.isfinite(latents).all()):
            raise ArithmeticError("the latents are not finite")
        image = loaded.family.decode(latents)
        picture.on_device("decode", time.monotonic() - started)
        yield
        yield from self._enlarge(picture, image, loaded)

    def _enlarge(self, picture: Picture, image: torch.Tensor, loaded: Loaded) -> Iterator[None]:
        picture.is_flagged = loaded.classifier is not None and loaded.classifier.flags(image)
        if picture.is_flagged and picture.job.command.if_flagged == "withhold":
            self._channel.send(ImageWithheld(job_id=picture.job.id, index=picture.index, seed=picture.seed))
            self._note_ended(picture.job)
            return
        small = to_bytes(image)
        picture.frames.append(small)
        pixels = small
        if picture.request.quality == "full":
            enlarging = Enlarging(loaded.upscaler, image.to(self._device))
            picture.job.tiles += enlarging.count
            tiles, started = enlarging.tiles(), time.monotonic()
            for _ in tiles:
                picture.on_device("upscale", time.monotonic() - started)
                picture.job.tiles_done += 1
                self._tell(picture.job, "enlarging", picture.job.tiles_done, picture.job.tiles)
                yield
                started = time.monotonic()
            pixels = enlarging.pixels
        self._tell(picture.job, "encoding", 1, 1)
        self._writers.submit(self._write, picture, pixels)

    def _write(self, picture: Picture, pixels: encode.Pixels) -> None:
        """In a writer's thread: whatever happens is reported to the loop."""
        try:
            self._inbox.put(write(picture, pixels))
        except Exception as error:
            log.exception("the files of %s could not be written", picture.job.id)
            self._inbox.put(Written(picture, None, repr(error)))

    def _advance(self, picture: Picture, rest: Iterator[None]) -> None:
        if next(rest, self) is self:
            self._finishing.remove((picture, rest))

    def _note_written(self, written: Written) -> None:
        picture = written.picture
        job = picture.job
        if self._jobs.get(job.id) is not job:
            return  # cancelled or failed while its files were written
        if written.event is None:
            self._fail(job, "internal", written.error)
            return
        self._channel.send(Timing(job_id=job.id, index=picture.index, seconds=picture.seconds))
        self._channel.send(written.event)
        self._note_ended(job)

    def _note_ended(self, job: Working) -> None:
        """One image more of the job is on disk or withheld."""
        job.left -= 1
        if job.left == 0:
            del self._jobs[job.id]
            self._channel.send(Done(job_id=job.id, gpu_seconds=job.gpu_seconds, model_hash=job.model_hash))

    def _attempt(self, job: Working, action: Callable[[], None]) -> None:
        """The boundary of a job: what goes wrong in `action` ends this job and no other."""
        try:
            action()
        except BadRequest as error:
            self._fail(job, "bad_request", str(error))
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            self._fail(job, "out_of_memory", str(error))
        except Exception as error:
            log.exception("job %s failed", job.id)
            self._fail(job, "internal", repr(error))

    def _fail(self, job: Working, kind: FailureKind, detail: str) -> None:
        if self._jobs.get(job.id) is job:
            self._drop(job)
            self._channel.send(Failed(job_id=job.id, kind=kind, detail=detail))

    def _drop(self, job: Working) -> None:
        del self._jobs[job.id]
        self._arrived = [other for other in self._arrived if other is not job]
        self._drawing = [picture for picture in self._drawing if picture.job is not job]
        self._finishing = [(picture, rest) for picture, rest in self._finishing if picture.job is not job]

    def _loaded(self, job: Working) -> Loaded:
        loaded = self._residency.get(job.model.name)
        assert loaded, "a job begins when its model is there, which then stays"
        return loaded

    def _tell(self, job: Working, stage: Stage, step: int, steps: int) -> None:
        """A frame at each change of stage, and otherwise ten a second at most."""
        now = time.monotonic()
        if stage != job.stage or step in (0, steps) or now - job.told_at >= PROGRESS_SECONDS:
            job.stage, job.told_at = stage, now
            self._channel.send(Progress(job_id=job.id, stage=stage, step=step, steps=steps))


def _wants_preview(step: int, steps: int, since_seconds: float) -> bool:
    """At each quarter of the steps, which the film strip keeps too, and every second after the first."""
    quarter = max(1, steps // 4)
    return step % quarter == 0 or (step > quarter and since_seconds >= PREVIEW_SECONDS)


def _read_pixels(path: str) -> torch.Tensor:
    """A stored original as [3, h, w] in 0 … 1."""
    with Image.open(path) as file:
        return torch.from_numpy(np.asarray(file.convert("RGB"), np.float32) / 255).permute(2, 0, 1)
