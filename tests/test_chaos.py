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
    """Sooner or later: on a busy machine people ask for little in the time of so few kills."""
    monkeypatch.delenv("LIMNER_CONTRACTS", raising=False)
    for seed in range(1, 7):
        report = await crash.run(tmp_path / str(seed), kills=kills, seed=seed, planted=fault, **day)
        if getattr(report.verdict, seen):
            break
    assert getattr(report.verdict, seen)
    assert not report.passed
