"""The ledger against its model; `python -m tests.ledger_machine --steps 1000000` goes on for longer."""

import pytest

from bot.store import ledger, rules
from bot.store.connection import connect
from tests.ledger_machine import run


def test_whatever_happens_the_ledger_is_what_its_model_says():
    assert run(20_000) >= 20_000


@pytest.mark.parametrize("name", ["_LAST", "_LAST_AT", "_RESETS", "_TAKEN", "_TAKEN_AT", "_CHARGED", "_GRANTS",
                                  "_LAST_CHARGES", "_RULES", "_BLOCK"])  # fmt: skip
def test_what_is_left_is_found_by_an_index_however_much_there_is(tmp_path, name):
    conn, sql = connect(tmp_path / "limner.db"), getattr(ledger, name, None) or getattr(rules, name)
    values = {"person": "1", "platform": "discord", "workspace_id": "1", "since_ms": 0, "now_ms": 0}
    steps = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    tables = {row["name"] for row in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert steps
    assert not [step for step in steps if step.startswith("SCAN ") and step.split()[1] in tables]
