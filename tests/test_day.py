"""A day of a few hundred people in a few seconds; `python -m tests.day` is ten thousand."""

from tests.day import Day

PEOPLE, SECONDS_AN_IMAGE = 120, 300.0  # more work than the engine can do


async def test_after_a_day_of_many_people_every_unit_is_accounted_for(tmp_path):
    day = Day(tmp_path / "data", PEOPLE, seconds_an_image=SECONDS_AN_IMAGE)
    report = await day.run()
    assert (
        min(report.said[each] for each in ("accepted", "quota", "orders", "orders refused", "blocked", "units charged"))
        > 0
    )
    assert sum(report.said[each] for each in ("accepted", "quota", "queue_full", "blocked")) > PEOPLE
    assert min(len(report.late), len(report.early)) > 20
    assert max(report.late) <= 15 * SECONDS_AN_IMAGE
    assert max(report.early) <= 15 * SECONDS_AN_IMAGE
