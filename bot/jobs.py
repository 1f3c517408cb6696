"""People, places, jobs and their images: frozen values, no behaviour that needs a clock or a store."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from engine.protocol import Draw, FailureKind, IfFlagged, Request


class Status(StrEnum):
    RECEIVED = "received"  # written before the platform was answered
    QUEUED = "queued"
    RUNNING = "running"
    RENDERED = "rendered"  # every file is on disk; not yet shown
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDELIVERABLE = "undeliverable"

    @property
    def is_over(self) -> bool:
        return self in _OVER


_OVER = frozenset({Status.DELIVERED, Status.FAILED, Status.CANCELLED, Status.UNDELIVERABLE})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a platform says it is."""

    platform: str  # "web", "discord", "slack"
    workspace_id: str  # "" where a person is one person on all workspaces
    user_id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    is_operator: bool = False  # counted, not limited
    roles: frozenset[str] = frozenset()  # where they ask now, as the platform says


@dataclass(frozen=True, slots=True)
class Place:
    """Where to answer."""

    platform: str
    workspace_id: str = ""
    channel_id: str = ""
    thread_id: str | None = None
    message_id: str | None = None

    @property
    def workspace(self) -> tuple[str, str]:
        """What people and jobs of one place share: a server, a workspace, a conversation of two."""
        return self.platform, self.workspace_id


@dataclass(frozen=True, slots=True)
class Lineage:
    """Which image this one came from."""

    job_id: str
    index: int
    verb: str  # the button: "reroll", "remix", "vary", "vary_slightly", "four_more", "full_size", "again"


@dataclass(frozen=True, slots=True)
class ChannelPolicy:
    """What a channel allows; without one, everything."""

    models: tuple[str, ...] = ()  # empty: all
    largest: Literal["full", "draft"] = "full"
    nsfw: bool = True  # where the platform keeps minors out: explicit prompts, and flagged images behind a spoiler
    threads: bool = True
    enabled: bool = True

    def __str__(self) -> str:
        """As an admin says it: `models all · largest full · nsfw on · threads on · enabled on`."""
        switches = (("nsfw", self.nsfw), ("threads", self.threads), ("enabled", self.enabled))
        said = [f"{name} {'on' if value else 'off'}" for name, value in switches]
        return " · ".join([f"models {', '.join(self.models) or 'all'}", f"largest {self.largest}", *said])


@dataclass(frozen=True, slots=True)
class Image:
    index: int
    seed: int
    status: str  # "done", "withheld", "deleted"
    path: str  # the original, absolute
    sha256: str
    width: int  # px
    height: int  # px
    is_flagged: bool = False  # the safety check would not show it to everyone


@dataclass(frozen=True, slots=True)
class Job:
    id: str  # short enough to read aloud
    person_id: int
    place: Place
    request: Request
    status: Status
    units: int  # reserved for it
    attempts: int
    created_ms: int
    deaths: int = 0  # of the engine, while it drew this job
    root_id: str = ""  # the first job of its thread: its own id where it came of none
    lineage: Lineage | None = None
    is_private: bool = False
    started_ms: int | None = None
    finished_ms: int | None = None
    gpu_seconds: float | None = None
    engine: str | None = None  # version, device and dtype that drew it
    model_hash: str | None = None  # of the weights that drew it
    failure: FailureKind | None = None
    images: tuple[Image, ...] = ()
    forgotten: int = 0  # 1: its words, and its images; 2: everything but its numbers
    if_flagged: IfFlagged = "withhold"
    is_unchecked: bool = False  # it may be drawn by a photographic model that has no classifier
    weight: float = 1.0  # its person's in the queue, when it was accepted

    @property
    def draw(self) -> Draw:
        """What is drawn; of an enlarged draft, the draft."""
        return self.request.draw

    @property
    def stored(self) -> tuple[Image, ...]:
        """The images whose files are there."""
        return tuple(image for image in self.images if image.status == "done")

    @property
    def seconds(self) -> float | None:
        """From its start to its files."""
        return (self.finished_ms - self.started_ms) / 1000 if self.started_ms and self.finished_ms else None
