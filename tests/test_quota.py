import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bot.prompt import Known, parse
from bot.quota import bar, price, smaller
from engine.catalogue import read_catalogue
from engine.protocol import Draw, Upscale

BUILTIN = read_catalogue()["builtin"]  # 20 steps, weight 1
DEAR = replace(BUILTIN, name="dear", weight=1.5)
MODELS = {"builtin": BUILTIN, "dear": DEAR}


def drawn(flags: str) -> Draw:
    (draw,) = parse(f"a red car {flags}", Known(MODELS, "builtin", lambda: 7)).draws
    return draw


@pytest.mark.parametrize(
    ("flags", "units"),
    [
        ("", 2),
        ("--n 4", 8),
        ("--quality draft", 1),
        ("--quality draft --n 3", 3),
        ("--steps 20", 2),
        ("--steps 10", 2),
        ("--steps 21", 3),
        ("--steps 30", 3),
        ("--steps 31", 4),
        ("--steps 60", 6),
        ("--steps 60 --n 4", 24),
        ("--steps 30 --quality draft", 2),
        ("--model dear", 3),
        ("--model dear --n 3", 9),
        ("--model dear --quality draft", 2),
        ("--model dear --steps 30", 5),
    ],
)
def test_an_image_costs_by_quality_model_and_steps_rounded_up(flags, units):
    draw = drawn(flags)
    assert price(draw, MODELS[draw.model]) == units


@pytest.mark.parametrize(("weight", "units"), [(1.0, 1), (1.5, 2), (3.0, 3)])
def test_full_size_costs_a_unit_times_the_weight(weight, units):
    enlarge = Upscale(source="0.png", of=drawn("--quality draft"), width=2048, height=2048)
    assert price(enlarge, replace(BUILTIN, weight=weight)) == units


def test_a_weight_is_taken_as_it_is_written():
    assert price(drawn("--steps 60"), replace(BUILTIN, weight=1.1, steps=6)) == 22


@pytest.mark.parametrize(
    ("flags", "left", "fits"),
    [
        ("", 1, ("draft", 1, 1)),
        ("", 0, None),
        ("--n 4", 7, ("draft", 4, 4)),
        ("--n 4", 3, ("draft", 3, 3)),
        ("--n 4", 1, ("draft", 1, 1)),
        ("--quality draft --n 2", 1, ("draft", 1, 1)),
        ("--quality draft", 0, None),
    ],
)
def test_the_smaller_request_is_a_draft_of_as_many_as_fit(flags, left, fits):
    found = smaller(drawn(flags), MODELS, left)
    assert (found and (found[0].quality, found[0].count, found[1])) == fits


def test_the_smaller_request_keeps_shape_and_seed():
    draft, _ = smaller(drawn("--ar 16:9 --seed 9"), MODELS, 1) or pytest.fail("a draft fits")
    assert draft == drawn("--ar 16:9 --seed 9 --quality draft")


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 4), st.sampled_from(["full", "draft"]), st.integers(0, 40))
def test_what_is_offered_fits_and_costs_less(steps, count, quality, left):
    draw = drawn(f"--steps {steps} --n {count} --quality {quality}")
    if found := smaller(draw, MODELS, left):
        assert price(found[0], BUILTIN) == found[1] <= min(left, price(draw, BUILTIN))


@pytest.mark.parametrize(
    ("done", "whole", "drawing"),
    [
        (0, 20, "░░░░░░░░░░"),
        (12, 20, "▓▓▓▓▓▓░░░░"),
        (45, 100, "▓▓▓▓▓░░░░░"),
        (1, 1000, "▓░░░░░░░░░"),
        (999, 1000, "▓▓▓▓▓▓▓▓▓░"),
        (20, 20, "▓▓▓▓▓▓▓▓▓▓"),
        (25, 20, "▓▓▓▓▓▓▓▓▓▓"),
        (0, 0, "▓▓▓▓▓▓▓▓▓▓"),
    ],
)
def test_a_bar_is_full_only_when_all_is_done(done, whole, drawing):
    assert bar(done, whole) == drawing
