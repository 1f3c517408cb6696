"""What the studio answers to questions: facts for `wording` and for pages, no sentences."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.feed import Live
from bot.jobs import Image, Job
from engine.catalogue import Model
from engine.protocol import Draw


@dataclass(frozen=True, slots=True)
class Info:
    """One image, or with `image` None a job that has none yet."""

    job: Job
    image: Image | None
    draw: Draw  # what draws this image alone: count 1 and its own seed
    model: Model | None  # None if the catalogue no longer has it
    command: str  # a line that draws it again
    engine_now: str | None  # of the engine that runs; None while there is none

    @property
    def is_repeatable(self) -> bool:
        """The same command gives the same picture here and now."""
        return self.job.engine is not None and self.job.engine == self.engine_now and self.draw.init_image is None


@dataclass(frozen=True, slots=True)
class SettingsView:
    """A person's own defaults, by flag."""

    values: Mapping[str, str]
    impossible: frozenset[str]  # those that a model or a preset that is gone has made so


@dataclass(frozen=True, slots=True)
class QueueView:
    """One's own jobs in detail, the others only as a number."""

    own: tuple[tuple[Job, Live | None], ...]  # in the order of acceptance
    others: int
    wait_seconds: float | None  # the work of all of them; None while nothing was measured
