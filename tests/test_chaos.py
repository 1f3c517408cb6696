"""The harness of `tests/chaos` can see: a fault that is planted makes it fail. Its own runs stand in `.ci/run`."""

import pytest

from tests.chaos import crash


@pytest.mark.parametrize(
    ("fault", "seen", "kills", "day"),
    [
        ("acknowledge-before-commit", "lost", 4, {}),
        ("send-without-nonce", "delivered_twice", 5, {"faulty": 0.3, "pressing": 0.8}),
        ("charge-twice", "charged_twice", 2, {}),
    ],
)
async def test_a_planted_fault_is_seen(tmp_path, monkeypatch, fault, seen, kills, day):
    monkeypatch.delenv("LIMNER_CONTRACTS", raising=False)
    report = await crash.run(tmp_path, kills=kills, seed=1, planted=fault, **day)
    assert getattr(report.verdict, seen)
    assert not report.passed
