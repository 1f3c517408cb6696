"""A day of a few hundred people in a few seconds; `python -m tests.day` is ten thousand."""

from tests.day import Day

PEOPLE = 120


async def test_after_a_day_of_many_people_every_unit_is_accounted_for(tmp_path):
    day = Day(tmp_path / "data", PEOPLE, seconds_an_image=100.0)
    report = await day.run()
    assert (
        min(report.said[each] for each in ("accepted", "quota", "orders", "orders refused", "blocked", "units charged"))
        > 0
    )
    assert sum(report.said[each] for each in ("accepted", "quota", "queue_full", "blocked")) > PEOPLE
    assert sorted(report.late)[int(len(report.late) * 0.95)] <= 5 * 100.0
