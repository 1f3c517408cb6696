"""Windows of any zone and clock, and whose rule decides."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.allowances import DAY_MS, EVERYWHERE, Rule, Window, units_for, waiting_for, weight_for

HERE = ("discord", "guild")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe",
         "Africa/Casablanca", "Asia/Beirut", "Pacific/Apia", "Atlantic/Azores"]  # fmt: skip
WINDOWS = st.builds(
    lambda kind, zone: Window(kind, ZoneInfo(zone)),
    st.sampled_from(["rolling", "day", "week", "month"]),
    st.sampled_from(ZONES),
)
TIMES = st.integers(1_704_067_200_000, 2_019_686_400_000)  # 2024 to 2033, ms


def ms(zone, *date):
    return int(datetime(*date, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@given(WINDOWS, TIMES, st.integers(0, 400 * DAY_MS))
def test_a_window_never_begins_earlier_than_it_did(window, now_ms, later_ms):
    assert window.since_ms(now_ms) < now_ms
    assert window.since_ms(now_ms + later_ms) >= window.since_ms(now_ms)


@given(WINDOWS, TIMES)
def test_units_come_back_exactly_when_their_window_has_passed(window, counts_ms):
    free_ms = window.frees_ms(counts_ms)
    assert window.since_ms(free_ms) >= counts_ms
    assert window.since_ms(free_ms - 1) < counts_ms


@given(WINDOWS, TIMES)
def test_a_window_is_about_as_long_as_its_name_says(window, now_ms):
    days = (window.frees_ms(now_ms) - window.since_ms(now_ms)) / DAY_MS
    longest = {"rolling": 2, "day": 1.1, "week": 7.1, "month": 31.1}[window.kind]
    assert {"rolling": 2, "day": 0.9, "week": 6.9, "month": 27.9}[window.kind] <= days <= longest


@given(WINDOWS, TIMES, st.lists(st.integers(-40 * DAY_MS, 40 * DAY_MS), max_size=20))
def test_a_clock_that_jumps_frees_nothing_twice(window, now_ms, jumps):
    """By the time that never goes back, a unit once freed stays free and one that counts is freed once."""
    high, frees, taken = now_ms, 0, now_ms
    counted = True
    for jump in jumps:
        now_ms += jump
        high = max(high, now_ms)
        counts = taken > window.since_ms(high)
        frees += counted and not counts
        counted = counts
    assert frees <= 1


@pytest.mark.parametrize(
    ("kind", "zone", "now", "begins"),
    [
        ("day", "Europe/Berlin", (2026, 3, 29, 12), (2026, 3, 29)),  # 23 hours long
        ("day", "Europe/Berlin", (2026, 10, 25, 23), (2026, 10, 25)),  # 25
        ("week", "America/New_York", (2026, 11, 1, 9), (2026, 10, 26)),
        ("month", "Asia/Kathmandu", (2026, 2, 28, 23), (2026, 2, 1)),
    ],
)
def test_the_calendar_is_the_operators(kind, zone, now, begins):
    assert Window(kind, ZoneInfo(zone)).since_ms(ms(zone, *now)) == ms(zone, *begins) - 1


def test_a_day_in_spring_has_23_hours():
    window, noon = Window("day", ZoneInfo("Europe/Berlin")), ms("Europe/Berlin", 2026, 3, 29, 12)
    length = window.frees_ms(noon) - window.since_ms(noon) - 1
    assert timedelta(milliseconds=length) == timedelta(hours=23)
    assert Window("day", UTC).since_ms(noon) != window.since_ms(noon)


@pytest.mark.parametrize(
    ("rules", "units"),
    [
        ([], 20),
        ([Rule(EVERYWHERE, "default", units=30)], 30),
        ([Rule(EVERYWHERE, "default", units=30), Rule(HERE, "default", units=10)], 10),
        ([Rule(HERE, "role", "patrons", units=50)], 50),
        ([Rule(HERE, "role", "patrons", units=5)], 20),
        ([Rule(HERE, "role", "patrons", units=50), Rule(HERE, "role", "mods", units=70)], 50),
        ([Rule(HERE, "person", "1", units=4), Rule(HERE, "role", "patrons", units=50)], 4),
        ([Rule(HERE, "person", "1", units=60), Rule(EVERYWHERE, "person", "1", units=40)], 40),
        ([Rule(EVERYWHERE, "default", model="dear", units=1)], 20),
    ],
)
def test_the_best_counts_but_for_what_was_set_for_the_person(rules, units):
    assert units_for(rules, {"patrons", "other"}, 20) == units


@pytest.mark.parametrize(
    ("rules", "units"),
    [
        ([], None),
        ([Rule(HERE, "role", "mods", "dear", 9)], 0),
        ([Rule(HERE, "role", "patrons", "dear", 9)], 9),
        ([Rule(EVERYWHERE, "default", "", "dear", 3), Rule(HERE, "role", "mods", "dear", 9)], 3),
        ([Rule(HERE, "person", "1", "dear", 5)], 5),
    ],
)
def test_a_model_that_a_role_is_named_for_is_for_that_role(rules, units):
    assert units_for(rules, {"patrons"}, 20, "dear") == units


def test_the_best_weight_and_the_most_waiting_jobs_count():
    rules = [Rule(HERE, "role", "a", weight=2.0, waiting=5), Rule(HERE, "role", "b", weight=3.0, waiting=30)]
    assert (weight_for(rules, {"a"}), weight_for(rules, {"a", "b"}), weight_for(rules, ())) == (2.0, 3.0, 1.0)
    assert (waiting_for(rules, {"a"}, 10), waiting_for(rules, {"b"}, 10), waiting_for(rules, {"b"}, None)) == (
        10, 30, None,
    )  # fmt: skip
