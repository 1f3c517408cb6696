"""The ledger against its model; `python -m tests.ledger_machine --steps 1000000` goes on for longer."""

from tests.ledger_machine import run


def test_whatever_happens_the_ledger_is_what_its_model_says():
    assert run(20_000) >= 20_000
