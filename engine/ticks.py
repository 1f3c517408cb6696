"""Which images take the next denoising step together. Pure: no torch, no clock.

Weighted fair queueing between owners: every step adds its cost, divided by the owner's weight, to
what the owner has had, and who has had least goes first. An owner's own images go in the order in
which they came, so that the first is finished first.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Running:
    """One image between two steps."""

    image_id: Hashable
    owner: int
    weight: float
    group: Hashable  # model, base size, guided or not: images of one group fit in one batch
    cost: float  # of one step, in any unit that is the same for all


Served = dict[int, float]  # owner → cost already spent on them, divided by their weight


def next_batch(running: Sequence[Running], served: Mapping[int, float], cap: int) -> list[Running]:
    """The images that step now: at most `cap`, of one group, their owners in turn."""
    had = dict(served)
    left = list(running)
    batch: list[Running] = []
    while left and len(batch) < cap:
        chosen = min(left, key=lambda image: had.get(image.owner, 0.0))
        if not batch:
            left = [image for image in left if image.group == chosen.group]
        left.remove(chosen)
        batch.append(chosen)
        had[chosen.owner] = had.get(chosen.owner, 0.0) + chosen.cost / chosen.weight
    return batch


def charge(served: Served, batch: Sequence[Running]) -> None:
    """Add the batch's step to what its owners have had."""
    for image in batch:
        served[image.owner] = served.get(image.owner, 0.0) + image.cost / image.weight


def welcome(served: Served, owner: int, active: set[int]) -> None:
    """An owner who had nothing here starts level with the least served: no credit for idle time."""
    if owner not in active:
        level = min((served[other] for other in active if other in served), default=0.0)
        served[owner] = max(served.get(owner, 0.0), level)
    for gone in set(served) - active - {owner}:
        del served[gone]
