"""What was drawn, for whom and how long it took."""

from dataclasses import dataclass
from pathlib import Path

from bot.allowances import Scope
from bot.store.connection import reading
from bot.store.rules import columns

_DONE = """
    SELECT created_ms, person_id, status, gpu_seconds,
        (started_ms - created_ms) / 1000.0 AS waited_seconds,
        (SELECT count(*) FROM images WHERE job_id = jobs.id AND status <> 'withheld') AS images,
        (SELECT coalesce(sum(units), 0) FROM ledger WHERE job_id = jobs.id AND kind = 'charge') AS units
    FROM jobs WHERE created_ms >= :since_ms
        AND (:platform = '' OR platform = :platform AND workspace_id = :workspace_id)
"""


@dataclass(frozen=True, slots=True)
class Done:
    """One job, as `stats` counts it."""

    created_ms: int
    person_id: int
    status: str
    gpu_seconds: float | None
    waited_seconds: float | None
    images: int
    units: int  # charged


def done_since(file: Path, scope: Scope, since_ms: int) -> list[Done]:
    """Raises CannotStart if the database cannot be read."""
    with reading(file) as conn:
        return [Done(**row) for row in conn.execute(_DONE, columns(scope) | {"since_ms": since_ms})]
