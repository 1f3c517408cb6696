"""The fair order: whose job is next. Pure: no clock, no store.

Deficit round robin on price (Shreedhar and Varghese, 1995), where a job may cost more than its person has and is paid
for at their next turns (surplus round robin: Adiseshu, Parulkar and Varghese, 1996). People stand in a ring; at their
turn they are given units by their weight, and their jobs come while they owe nothing. Who was not in the ring comes
next (as new flows do in FQ-CoDel, RFC 8290), so fifty jobs of one do not delay another's first, and behind the
newcomers before them: a first job, dear or not, is passed by nobody. In their later turns people let a few newcomers
pass, and then no more. Once nobody waits, nobody owes.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

IMAGES_AT_ONCE = 4  # in the engine: as many as fill a batch
IMAGES_WITH_GUESTS = 8  # so many at most where a person without an image there comes
QUANTUM = 2.0  # units a turn for a weight of one: a picture in full size
MOST_PASSED = 8  # newcomers that one who waits lets go first


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    number: int  # the order of arrival
    job_id: str = field(compare=False)
    person_id: int = field(compare=False)
    cost: float = field(compare=False)
    images: int = field(compare=False)
    weight: float = field(compare=False)
    is_suspect: bool = field(compare=False)  # the engine died with it: it is drawn alone


@dataclass(slots=True)
class _Ring:
    """Whose turn it is, and what everybody in it has saved."""

    people: deque[int] = field(default_factory=deque)
    saved: dict[int, float] = field(default_factory=dict)
    passed: dict[int, int] = field(default_factory=dict)  # newcomers that were let in before them, this turn
    turn: Literal["new", "given", "begun"] = "new"  # of the first: nothing yet, the units, a job

    def copy(self) -> "_Ring":
        return _Ring(self.people.copy(), self.saved.copy(), self.passed.copy(), self.turn)

    def join(self, person: int) -> None:
        """Next, but for who has the turn and has not drawn yet, and who has let enough others pass."""
        if person in self.saved:
            return
        first = -1
        if self.turn == "begun":
            self._end_turn()
        elif self.people:
            first = 0
        kept = (place for place, each in enumerate(self.people) if self.passed[each] >= MOST_PASSED)
        place = max(first, *kept, first) + 1
        for each in list(self.people)[place:]:
            self.passed[each] += 1
        self.people.insert(place, person)
        self.saved[person], self.passed[person] = 0.0, MOST_PASSED  # they have come first already

    def next(self, lines: Mapping[int, deque[Waiting]], is_idle: Callable[[int], bool]) -> Waiting:
        """Take the first of the lines, of which at least one has somebody."""
        while True:
            person = self.people[0]
            line = lines.get(person)
            if self.turn == "new" and (line or self.saved[person] < 0):
                self.saved[person] += QUANTUM * (line[0].weight if line else 1.0)
                self.turn = "given"
            if line and self.saved[person] > 0:
                self.saved[person] -= line[0].cost
                self.turn = "begun"
                return line.popleft()
            if is_idle(person) and self.saved[person] >= 0:
                self.people.popleft()
                del self.saved[person], self.passed[person]
                self.turn = "new"
            else:
                self._end_turn()

    def _end_turn(self) -> None:
        self.passed[self.people[0]] = 0
        self.people.rotate(-1)
        self.turn = "new"


class FairQueue:
    def __init__(self) -> None:
        self._lines: dict[int, deque[Waiting]] = {}  # each person's jobs in their order
        self._ring = _Ring()
        self._arrivals = 0

    def forecast(self) -> Iterator[tuple[Waiting, bool]]:
        """In the order in which they would be taken if nobody else came, and whether newcomers may come before."""
        return self._in_order(lambda waiting: False)

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(
        self, job_id: str, person_id: int, *, cost: float, images: int, weight: float = 1.0, is_suspect: bool = False
    ) -> None:
        """`cost` in units; a weight of 2 gets twice the share."""
        self._arrivals += 1
        self._ring.join(person_id)
        line = self._lines.setdefault(person_id, deque())
        line.append(Waiting(self._arrivals, job_id, person_id, max(cost, 1), images, weight, is_suspect))

    def put_back(self, waiting: Waiting) -> None:
        """A job that was taken and could not be drawn waits again where it stood."""
        person, ring = waiting.person_id, self._ring
        line = list(self._lines.get(person, ()))
        insort(line, waiting)
        self._lines[person] = deque(line)
        if person not in ring.saved:
            ring.people.appendleft(person)
            ring.saved[person], ring.passed[person], ring.turn = 0.0, MOST_PASSED, "given"
        ring.saved[person] += waiting.cost

    def remove(self, job_id: str) -> None:
        for person, line in list(self._lines.items()):
            self._keep(person, (waiting for waiting in line if waiting.job_id != job_id))

    def take(
        self, drawing: Iterable[Waiting], is_held: Callable[[Waiting], bool] = lambda waiting: False
    ) -> Waiting | None:
        """The next job to hand to the engine beside those it draws; None if they are enough, or all are held."""
        order = (waiting for waiting, _ in self._in_order(is_held))
        first = next(order, None)
        chosen = _choose(chain([first], order), list(drawing)) if first else None
        if chosen is None:
            return None
        if chosen == first:
            self._ring.next(self._free(is_held), self._is_idle)
        else:  # out of turn, since others wait for room: it is paid for at the next ones
            self._ring.saved[chosen.person_id] -= chosen.cost
        self._keep(chosen.person_id, (each for each in self._lines[chosen.person_id] if each != chosen))
        return chosen

    def _in_order(self, is_held: Callable[[Waiting], bool]) -> Iterator[tuple[Waiting, bool]]:
        ring, lines = self._ring.copy(), self._free(is_held)
        had = {ring.people[0]} if ring.turn == "begun" else set()  # who draws now, or will have drawn by then
        while any(lines.values()):
            waiting = ring.next(lines, self._is_idle)
            yield waiting, waiting.person_id in had or ring.passed[waiting.person_id] < MOST_PASSED
            had.add(waiting.person_id)

    def _free(self, is_held: Callable[[Waiting], bool]) -> dict[int, deque[Waiting]]:
        return {person: deque(each for each in line if not is_held(each)) for person, line in self._lines.items()}

    def _is_idle(self, person: int) -> bool:
        return person not in self._lines

    def _keep(self, person: int, waiting: Iterable[Waiting]) -> None:
        line = deque(waiting)
        if line:
            self._lines[person] = line
        else:
            self._lines.pop(person, None)
        if not self._lines:
            self._ring = _Ring()


def _choose(waiting: Iterable[Waiting], drawing: list[Waiting]) -> Waiting | None:
    """The first that fits. Only people who have images in the engine are passed over: nobody else's turn is lost."""
    people, drawn = {each.person_id for each in drawing}, sum(each.images for each in drawing)
    is_alone = any(each.is_suspect for each in drawing)
    for candidate in waiting:
        if candidate.is_suspect or is_alone:
            return None if drawing else candidate
        limit = IMAGES_AT_ONCE if candidate.person_id in people else IMAGES_WITH_GUESTS
        if not drawing or drawn + candidate.images <= limit:
            return candidate
        if candidate.person_id not in people:
            return None
    return None
