"""The fair order: whose job is next. Pure: no clock, no store.

Start-time fair queueing (Goyal, Vin and Cheng, 1996). A job's tag is where the queue stood when it
came, or where its person's earlier jobs end, whichever is later; the lowest tag is next. A person's
fifty jobs so stand one behind the other, another's first job stands near the front, and since a tag
never changes while newcomers' tags grow, every job's turn comes.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

IMAGES_AT_ONCE = 4  # in the engine: as many as fill a batch
IMAGES_WITH_GUESTS = 8  # so many at most where a person without an image there comes


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    tag: float
    number: int  # breaks ties in the order of arrival
    job_id: str = field(compare=False)
    person_id: int = field(compare=False)
    images: int = field(compare=False)
    is_suspect: bool = field(compare=False)  # the engine died with it: it is drawn alone


class FairQueue:
    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._now = 0.0  # the tag of the latest job that was taken
        self._ends: dict[int, float] = {}  # person → where their jobs end
        self._arrivals = 0

    def __iter__(self) -> Iterator[Waiting]:
        """In the order in which they would be taken."""
        return iter(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self, job_id: str, person_id: int, *, cost: float, images: int, weight: float = 1.0, is_suspect: bool = False
    ) -> None:
        """`cost` in any unit that is the same for all; a weight of 2 gets twice the share."""
        tag = max(self._now, self._ends.get(person_id, 0.0))
        self._ends[person_id] = tag + max(cost, 1) / weight
        self._arrivals += 1
        self.put_back(Waiting(tag, self._arrivals, job_id, person_id, images, is_suspect))

    def put_back(self, waiting: Waiting) -> None:
        """A job that was taken and could not be drawn waits again where it stood."""
        insort(self._waiting, waiting)

    def remove(self, job_id: str) -> None:
        self._waiting = [waiting for waiting in self._waiting if waiting.job_id != job_id]

    def take(
        self, drawing: Iterable[Waiting], is_held: Callable[[Waiting], bool] = lambda waiting: False
    ) -> Waiting | None:
        """The next job to hand to the engine beside those it draws; None if they are enough, or all are held."""
        chosen = _choose([each for each in self._waiting if not is_held(each)], list(drawing))
        if chosen:
            self._waiting.remove(chosen)
            self._now = max(self._now, chosen.tag)
            self._forget_idle()
        return chosen

    def _forget_idle(self) -> None:
        self._ends = {person: end for person, end in self._ends.items() if end > self._now}


def _choose(waiting: list[Waiting], drawing: list[Waiting]) -> Waiting | None:
    """The first that fits. Only people who have images in the engine are passed over: nobody else's turn is lost."""
    images = _images_by_person(drawing)
    for candidate in waiting:
        if candidate.is_suspect or any(each.is_suspect for each in drawing):
            return None if drawing else candidate
        limit = IMAGES_AT_ONCE if candidate.person_id in images else IMAGES_WITH_GUESTS
        if not drawing or sum(images.values()) + candidate.images <= limit:
            return candidate
        if candidate.person_id not in images:
            return None
    return None


def _images_by_person(drawing: list[Waiting]) -> Mapping[int, int]:
    images: dict[int, int] = {}
    for each in drawing:
        images[each.person_id] = images.get(each.person_id, 0) + each.images
    return images
