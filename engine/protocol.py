"""What crosses the socket between bot and engine. Frozen, typed, and nothing else."""

from typing import ClassVar, Literal

import msgspec

SCHEDULERS = ("ddim", "euler", "euler_a", "dpmpp_2m")
MAX_SEED = 2**32 - 1

Quality = Literal["full", "draft"]
Stage = Literal["loading", "drawing", "enlarging", "encoding"]
IfFlagged = Literal["withhold", "keep"]  # what becomes of an image that the safety check flags
FailureKind = Literal["out_of_memory", "timed_out", "unsafe", "bad_model", "bad_request", "internal"]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Base of every message; the class name travels as its tag."""


class Draw(Message, frozen=True, kw_only=True):
    """What to draw, every value resolved: the same Draw gives the same picture."""

    prompt: str
    negative_prompt: str | None  # None, not "": some families encode the two differently
    model: str  # a name in the catalogue
    seed: int  # 0 .. 2**32 - 1; image i is drawn with (seed + i) mod 2**32
    count: int  # 1 .. 4
    steps: int
    guidance_scale: float
    scheduler: str  # one of SCHEDULERS
    width: int  # px of the file: the final size at full quality, the base size of a draft
    height: int  # px
    quality: Quality = "full"
    init_image: str | None = None  # path of an image the bot has checked; drawn over by `strength`
    strength: float | None = None  # 0 .. 1, the share of the noise schedule that is run
    mask: str | None = None  # path of an image the bot has checked: only where it is white is drawn over

    @property
    def draw(self) -> "Draw":
        """Itself, as an Upscale names the Draw that it is `of`."""
        return self


class Upscale(Message, frozen=True, kw_only=True):
    """Enlarge a stored image: the same picture, larger."""

    source: str  # path of the stored original
    of: Draw  # what drew it, with count 1 and the image's own seed
    width: int  # px, final
    height: int  # px, final
    count: ClassVar[int] = 1
    quality: ClassVar[Literal["full"]] = "full"

    @property
    def draw(self) -> Draw:
        return self.of


Request = Draw | Upscale


class Generate(Message, frozen=True, kw_only=True):
    job_id: str
    owner: int  # opaque: the engine takes turns between owners and knows no people
    weight: float  # an owner of weight 2 gets two turns where weight 1 gets one
    request: Request
    spool_dir: str  # where this job's files go; exists
    if_flagged: IfFlagged = "withhold"
    is_unchecked: bool = False  # a photographic model without its classifier draws it all the same


class Cancel(Message, frozen=True, kw_only=True):
    job_id: str


class Load(Message, frozen=True, kw_only=True):
    model: str


class Shutdown(Message, frozen=True, kw_only=True):
    pass


class Ready(Message, frozen=True, kw_only=True):
    """The engine takes commands; sent once, first."""

    version: str
    device: str  # "cpu", "cuda:0", "mps"
    device_name: str
    dtype: str  # "float32", "bfloat16", "float16"
    models: list[str]  # names in the catalogue whose weights are here


class Progress(Message, frozen=True, kw_only=True):
    job_id: str
    stage: Stage
    step: int  # of all images of the job together
    steps: int


class Preview(Message, frozen=True, kw_only=True):
    job_id: str
    index: int
    step: int
    jpeg: bytes  # longest side at most 256 px


class ImageDone(Message, frozen=True, kw_only=True):
    """Both files of one image are synced and in place: the original and the JPEG beside it."""

    job_id: str
    index: int
    seed: int
    path: str  # <spool_dir>/<index>.png; the message's JPEG is <index>.jpg, the film strip <index>.strip.jpg
    sha256: str  # of the PNG
    width: int
    height: int
    is_flagged: bool = False  # by the safety check


class ImageWithheld(Message, frozen=True, kw_only=True):
    """The safety check flagged it, or could not judge it: nothing of it is on disk."""

    job_id: str
    index: int
    seed: int


class Done(Message, frozen=True, kw_only=True):
    job_id: str
    gpu_seconds: float  # device time of this job, its share of each batch
    model_hash: str = ""  # the first ten digits of the SHA-256 of the UNet's file


class Cancelled(Message, frozen=True, kw_only=True):
    job_id: str


class Failed(Message, frozen=True, kw_only=True):
    job_id: str
    kind: FailureKind
    detail: str  # for the log; a person reads wording.failed(kind)


class Timing(Message, frozen=True, kw_only=True):
    """Where the time of one image went, for benchmarks and ETAs."""

    job_id: str
    index: int
    seconds: dict[str, float]  # encode_prompt, denoise, decode, upscale, write


Command = Generate | Cancel | Load | Shutdown
Event = Ready | Progress | Preview | ImageDone | ImageWithheld | Done | Cancelled | Failed | Timing

MAX_FRAME_BYTES = 8 * 2**20  # a frame is a 4-byte big-endian length and that many bytes of msgpack
