"""One image of a job on its way from noise to files, and the job it belongs to."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from engine import encode, redraw
from engine.catalogue import Model
from engine.families import BadRequest, Denoising
from engine.protocol import MAX_SEED, SCHEDULERS, Draw, Generate, ImageDone, Request, Stage
from engine.sizes import FINAL_LONGEST_PX, Size
from engine.ticks import Running


@dataclass(eq=False, slots=True)
class Working:
    """A job that the engine has taken."""

    command: Generate
    model: Model
    left: int  # images whose files are not yet written
    stage: Stage = "loading"
    steps_done: int = 0  # of all its images together
    steps: int = 0
    tiles_done: int = 0
    tiles: int = 0
    gpu_seconds: float = 0.0
    model_hash: str = ""
    told_at: float = 0.0

    @property
    def id(self) -> str:
        return self.command.job_id

    @property
    def draw(self) -> Draw:
        return self.command.request.draw


@dataclass(eq=False, slots=True)
class Picture:
    job: Working
    index: int
    base: Size
    denoising: Denoising | None = None  # None for an image that is only enlarged
    is_flagged: bool = False  # by the classifier
    frames: list[encode.Pixels] = field(default_factory=list)  # of the film strip, [h, w, 3]
    previewed_at: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def request(self) -> Request:
        return self.job.command.request

    @property
    def seed(self) -> int:
        return (self.job.draw.seed + self.index) & MAX_SEED

    def spent(self, what: str, seconds: float) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    def on_device(self, what: str, seconds: float) -> None:
        self.spent(what, seconds)
        self.job.gpu_seconds += seconds

    def running(self) -> Running:
        """How the tick loop's fair order sees it."""
        assert self.denoising
        guided, command = self.denoising.is_guided, self.job.command
        return Running(
            image_id=id(self),
            owner=command.owner,
            weight=command.weight,
            group=(self.job.model.name, self.base, guided),
            cost=self.base.width * self.base.height * (2.0 if guided else 1.0),
        )


@dataclass(frozen=True, slots=True)
class Written:
    """A picture's files are on disk, or could not be put there."""

    picture: Picture
    event: ImageDone | None
    error: str = ""


def base_of(request: Request, model: Model) -> Size:
    """The size at which the request is denoised: a draft's own, else what the final size grows from."""
    if request.quality == "draft":
        return Size(request.width, request.height)
    return model.base_size(request.width / request.height)


def check(draw: Draw, model: Model) -> None:
    """The bot has refused these already; the engine trusts nobody. Raises BadRequest."""
    if draw.scheduler not in SCHEDULERS:
        raise BadRequest(f"no scheduler {draw.scheduler!r}")
    ranges = {
        "seed": (draw.seed, 0, MAX_SEED),
        "count": (draw.count, 1, 4),
        "steps": (draw.steps, 1, model.max_steps),
        "guidance_scale": (draw.guidance_scale, 0, model.max_guidance_scale),
        "width": (draw.width, 16, FINAL_LONGEST_PX),
        "height": (draw.height, 16, FINAL_LONGEST_PX),
        "strength": (draw.strength or 0.0, 0, 1),
    }
    if draw.mask and not draw.init_image:
        raise BadRequest("a mask without an image")
    for name, (value, least, most) in ranges.items():
        if not least <= value <= most:  # also true of a value that is no number
            raise BadRequest(f"{name} {value} is not in {least}..{most}")


def write(picture: Picture, pixels: encode.Pixels) -> Written:
    """Put the original, the message's JPEG and the film strip into the job's spool directory."""
    started = time.monotonic()
    request, spool, index = picture.request, Path(picture.job.command.spool_dir), picture.index
    fitted, draw = encode.fit(pixels, request.width, request.height), picture.job.draw
    if draw.init_image and draw.mask:
        fitted = redraw.pasted(fitted, draw.init_image, draw.mask)
    text = encode.provenance(request, picture.seed, picture.job.model_hash)
    try:
        path, sha256 = encode.write_image(spool, index, fitted, picture.frames, text)
    except OSError as error:
        return Written(picture, None, f"{spool}: {error.strerror}")
    picture.spent("write", time.monotonic() - started)
    event = ImageDone(
        job_id=picture.job.id,
        index=index,
        seed=picture.seed,
        path=str(path),
        sha256=sha256,
        width=request.width,
        height=request.height,
        is_flagged=picture.is_flagged,
    )
    return Written(picture, event)
