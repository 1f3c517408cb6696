"""The harness of `tests/chaos` can see: a fault that is planted makes it fail. Its own runs stand in `.ci/run`."""

import pytest

from tests.chaos import crash


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("acknowledge-before-commit", "lost"),
        ("send-without-nonce", "delivered_twice"),
        ("charge-twice", "charged_twice"),
    ],
)
async def test_a_planted_fault_is_seen(tmp_path, monkeypatch, fault, seen):
    monkeypatch.delenv("LIMNER_CONTRACTS", raising=False)
    report = await crash.run(tmp_path, kills=8, seed=1, planted=fault, faulty=0.4, pressing=0.7)
    assert getattr(report.verdict, seen)
    assert not report.passed
