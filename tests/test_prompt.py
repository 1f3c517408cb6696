import dataclasses
import sys
import unicodedata
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bot.errors import BadOption, BadPrompt, Refused
from bot.prompt import Known, Parsed, Style, change, clean, compare, full_size_of, parse, to_text
from engine.catalogue import read_catalogue
from engine.protocol import SCHEDULERS, Draw
from engine.sizes import Size

BUILTIN = read_catalogue()["builtin"]
OTHER = replace(
    BUILTIN, name="Other", native_px=512, multiple=64, steps=25, max_steps=50, scheduler="euler", knows_words=False
)
MODELS = {"builtin": BUILTIN, "Other": OTHER}
HERE = Known(MODELS, "builtin", lambda: 4182)
CAR = parse("a red car on a mountain road --seed 7", HERE).draws[0]


def drawn(text: str, **more) -> Draw:
    (draw,) = parse(text, dataclasses.replace(HERE, **more)).draws
    return draw


def prompts(text: str) -> list[str]:
    return [draw.prompt for draw in parse(text, HERE).draws]


def refused(text: str, **more) -> BadOption:
    with pytest.raises(BadOption) as error:
        parse(text, dataclasses.replace(HERE, **more))
    return error.value


def test_a_bare_prompt_gets_every_value_from_the_model():
    assert drawn("a red car") == Draw(
        prompt="a red car",
        negative_prompt=None,
        model="builtin",
        seed=4182,
        count=1,
        steps=20,
        guidance_scale=3.0,
        scheduler="euler_a",
        width=2048,
        height=2048,
    )


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ("--seed 0", "seed", 0),
        ("--seed 4294967295", "seed", 4294967295),
        ("-s 7", "seed", 7),
        ("--seed=7", "seed", 7),
        ("--SEED 7", "seed", 7),
        ("—seed 7", "seed", 7),
        ("–seed 7", "seed", 7),
        ("-n 4", "count", 4),
        ("--n 2", "count", 2),
        ("--steps 60", "steps", 60),
        ("--guidance 0", "guidance_scale", 0.0),
        ("--guidance 7.5", "guidance_scale", 7.5),
        ("--scheduler ddim", "scheduler", "ddim"),
        ("--scheduler Euler a", "scheduler", "euler_a"),
        ("--scheduler DPM++ 2M", "scheduler", "dpmpp_2m"),
        ("--model other", "model", "Other"),
        ("--no fog, rain", "negative_prompt", "fog, rain"),
        ("--quality DRAFT", "quality", "draft"),
    ],
)
def test_a_flag_sets_its_value(flags, name, value):
    draw = drawn(f"a red car {flags}")
    assert (draw.prompt, getattr(draw, name)) == ("a red car", value)


@pytest.mark.parametrize(
    ("ar", "size"),
    [
        ("1:1", (2048, 2048)),
        ("16:9", (2048, 1152)),
        ("9:16", (1152, 2048)),
        ("3:2", (2048, 1365)),
        ("21:9", (2048, 878)),
        ("3:1", (2048, 683)),
        ("1:3", (683, 2048)),
        ("2.39:1", (2048, 857)),
        ("16x9", (2048, 1152)),
        ("16/9", (2048, 1152)),
        ("2000:1000", (2048, 1024)),
    ],
)
def test_the_longest_side_is_2048(ar, size):
    draw = drawn(f"a red car --ar {ar}")
    assert (draw.width, draw.height) == size


@pytest.mark.parametrize(
    ("text", "option", "problem", "nearest", "allowed"),
    [
        ("a --stlye ink", "--stlye", "unknown", "--style", None),
        ("a --count 2", "--count", "unknown", "--n", None),
        ("a --negative fog", "--negative", "unknown", "--no", None),
        ("a --xyzzy", "--xyzzy", "unknown", None, "--ar --seed"),
        ("a --seed 1 --seed 2", "--seed", "is given twice", None, None),
        ("a --seed 1 -s 2", "--seed", "is given twice", None, None),
        ("a --ar 40:1", "--ar 40:1", "is out of range", None, "1:3 to 3:1"),
        ("a --ar 1:0", "--ar 1:0", "is out of range", None, "1:3 to 3:1"),
        ("a --ar wide", "--ar wide", "is not a ratio", None, "16:9"),
        ("a --steps 61", "--steps 61", "is out of range", None, "1 to 60 for builtin"),
        ("a --steps 51 --model Other", "--steps 51", "is out of range", None, "1 to 50 for Other"),
        ("a --steps 0", "--steps 0", "is out of range", None, "1 to 60"),
        ("a --steps 7.5", "--steps 7.5", "is not a whole number", None, "1 to 60"),
        ("a --guidance 12.1", "--guidance 12.1", "is out of range", None, "0 to 12"),
        ("a --guidance nan", "--guidance nan", "is not a number", None, "0 to 12"),
        ("a --guidance 1e3", "--guidance 1e3", "is not a number", None, "0 to 12"),
        ("a --seed -1", "--seed -1", "is out of range", None, "0 to 4294967295"),
        ("a --seed 4294967296", "--seed 4294967296", "is out of range", None, "0 to 4294967295"),
        ("a --seed ٣", "--seed ٣", "is not a whole number", None, "0 to 4294967295"),
        ("a --seed", "--seed", "needs a number", None, "0 to 4294967295"),
        ("a --n 5", "--n 5", "is out of range", None, "1 to 4"),
        ("a --no", "--no", "needs words", None, None),
        ("a --model sdlx", "--model sdlx", "is not known", None, "one of builtin, Other"),
        ("a --model bultin", "--model bultin", "is not known", "builtin", None),
        ("a --model ../x", "--model ../x", "is not known", None, None),
        ("a --quality fulll", "--quality fulll", "is not known", "full", None),
        ("a --style ink", "--style ink", "is not known", None, "none is set up here"),
        ("a --strength 0.5", "--strength 0.5", "needs an image", None, None),
        ("a --private maybe", "--private maybe", "is not known", None, "yes, no"),
        ("a --seed 7 at night", "--seed 7 at night", "has words after it", None, None),
    ],
)
def test_a_wrong_option_is_named_with_what_is_right(text, option, problem, nearest, allowed):
    error = refused(text)
    assert (error.option, error.problem, error.nearest) == (option, problem, nearest)
    assert (allowed or "") in (error.allowed or "")


def test_an_option_beats_a_flag():
    draw = drawn("a red car --seed 7 --ar 16:9 --n 9", options={"seed": 8, "aspect": "1:1", "count": 2, "model": None})
    assert (draw.seed, draw.count, draw.width, draw.height) == (8, 2, 2048, 2048)


def test_an_option_that_does_not_exist_is_refused():
    assert refused("a red car", options={"sede": 7}).nearest == "--seed"


@pytest.mark.parametrize(
    ("text", "private"),
    [("a", False), ("a --private", True), ("a --private no", False), ("{a, b --private}", True)],
)
def test_private_needs_no_value(text, private):
    assert parse(text, HERE).is_private is private


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a {red, blue} car", ["a red car", "a blue car"]),
        ("{a, b} {c, d}", ["a c", "a d", "b c", "b d"]),
        ("a {red, {big, small} blue} car", ["a red car", "a big blue car", "a small blue car"]),
        ("a {,very} red car", ["a red car", "a very red car"]),
        ("a {red} car", ["a red car"]),
        ("red, blue and green", ["red, blue and green"]),
        (r"a \{red, blue\} car", ["a {red, blue} car"]),
        (r"{red\, blue, green}", ["red, blue", "green"]),
        ("a } b", ["a } b"]),
    ],
)
def test_braces_make_one_job_for_each_choice(text, expected):
    assert prompts(text) == expected


def test_permutations_reach_into_flags():
    draws = parse("a red car --ar {1:1, 16:9} --steps {5, 10}", HERE).draws
    assert [(draw.height, draw.steps) for draw in draws] == [(2048, 5), (2048, 10), (1152, 5), (1152, 10)]


@pytest.mark.parametrize(
    ("text", "problem", "amount"),
    [
        ("", "empty", None),
        (" \u200b\x00 ", "empty", None),
        ("--model Other", "empty", None),
        ("x" * 1501, "too_long", 1501),
        ("x" * 10_000, "too_long", 10_000),
        ("a --no " + "x" * 1501, "too_long", 1501),
        ("{a, b} {c, d} {e, f, g}", "too_many_jobs", 12),
        ("{a,b}" * 100, "too_many_jobs", 2**10),
        ("a {red, blue", "unclosed", None),
    ],
)
def test_a_prompt_that_cannot_be_drawn_says_why(text, problem, amount):
    with pytest.raises(BadPrompt) as error:
        parse(text, HERE)
    assert (error.value.problem, error.value.amount) == (problem, amount)


def test_flags_alone_draw_a_scene_where_the_model_knows_its_words():
    assert drawn("--seed 7").prompt == ""


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (r"the flag \--seed of \—dashes", "the flag --seed of —dashes"),
        (r"\(round\) (word)++ (other)1.3 <lora:ink:0.8>", "(round) (word)++ (other)1.3 <lora:ink:0.8>"),
        ("a house — red -- and old, well-known", "a house — red -- and old, well-known"),
        ("a -x b - c", "a -x b - c"),
        (r"C:\pictures \\ more", r"C:\pictures \ more"),
    ],
)
def test_what_is_no_flag_stays_in_the_prompt(text, prompt):
    assert prompts(text) == [prompt]


def test_a_draft_has_half_the_steps_and_the_base_size():
    draw = drawn("a red car --quality draft")
    assert (draw.steps, draw.width, draw.height) == (10, 256, 256)
    assert drawn("a red car --quality draft --model Other").steps == 13
    assert drawn("a red car --quality draft --steps 30").steps == 30


def test_a_style_puts_its_words_around_the_prompt():
    ink = {"ink": Style(before="ink drawing of", after="on paper", negative="colour")}
    draw = drawn("a red car --style INK --no fog", styles=ink)
    assert (draw.prompt, draw.negative_prompt) == ("ink drawing of a red car on paper", "fog, colour")


def test_an_image_is_drawn_over_by_its_strength():
    options = {"image": "/checked/1.png", "strength": 0.3}
    draw = drawn("a red car", options=options)
    assert (draw.init_image, draw.strength) == ("/checked/1.png", 0.3)
    assert drawn("a red car", options={"image": "/checked/1.png"}).strength == 0.6


def test_a_mask_says_where_an_image_is_drawn_over():
    draw = drawn("a red car", options={"image": "a.png", "mask": "m.png"})
    assert (draw.init_image, draw.mask, draw.strength) == ("a.png", "m.png", 0.9)
    assert drawn("a red car", options={"image": "a.png", "mask": "m.png", "strength": 0.5}).strength == 0.5
    assert refused("a red car", options={"mask": "m.png"}).problem == "needs an image"


def test_a_mask_stays_with_its_image():
    masked = drawn("a red car", options={"image": "a.png", "mask": "m.png"})
    assert drawn("at night", base=masked).mask == "m.png"
    assert drawn("--quality draft", base=masked).mask == "m.png"
    assert drawn("at night", base=masked, options={"image": "b.png"}).mask is None


def test_with_a_base_only_what_is_said_changes():
    assert drawn("--steps 30", base=CAR) == replace(CAR, steps=30)
    assert drawn("a boat", base=CAR) == replace(CAR, prompt="a boat")
    assert drawn("--seed random", base=CAR).seed == 4182
    foggy = drawn("--no fog", base=CAR)
    assert drawn("--ar 16:9", base=foggy).negative_prompt == "fog"
    assert drawn("--no", base=foggy).negative_prompt is None


def test_another_quality_or_model_brings_its_own_steps_and_size():
    wide = drawn("--ar 16:9 --steps 30", base=CAR)
    draft = drawn("--quality draft", base=wide)
    assert (draft.steps, draft.quality) == (10, "draft")
    assert drawn("--quality full", base=draft) == replace(wide, steps=20)
    assert drawn("--model Other", base=wide).scheduler == "euler"


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("at night", "a red car on a mountain road, at night"),
        ("snow", "a red car on a mountain road, snow"),
        ("with a dog --seed 9", "a red car on a mountain road, with a dog"),
        ("+ a dog", "a red car on a mountain road, a dog"),
        ("a dog on the beach", "a dog on the beach"),
        ("a blue car on a mountain road", "a blue car on a mountain road"),
        ("person walking through deep snow", "person walking through deep snow"),
        ("/imagine snow", "snow"),
        ("--seed 9", "a red car on a mountain road"),
        ("/imagine --seed 9", "a red car on a mountain road"),
    ],
)
def test_a_change_adds_to_the_prompt_or_replaces_it(text, prompt):
    (draw,) = change(text, CAR, HERE).draws
    assert draw.prompt == prompt


def test_a_change_that_says_nothing_is_refused():
    with pytest.raises(BadPrompt, match="empty"):
        change("  ", CAR, HERE)


def compared(text, models=MODELS):
    return compare(text, Known(models, "builtin", iter(range(100, 200)).__next__))


def test_a_comparison_is_one_prompt_and_seed_drawn_by_every_model():
    parsed = compared("a red car --ar 3:2 --private")
    assert [(each.model, each.seed, each.steps) for each in parsed.draws] == [("builtin", 100, 20), ("Other", 100, 25)]
    assert {(each.prompt, each.width, each.height) for each in parsed.draws} == {("a red car", 2048, 1365)}
    assert parsed.is_private


def test_a_comparison_chooses_the_models_itself():
    with pytest.raises(BadOption) as error:
        compared("a red car --model Other")
    assert (error.value.option, error.value.allowed) == ("--model Other", "builtin, Other")


@pytest.mark.parametrize(("text", "jobs"), [("{a, b, c, d} car", 8), ("{a, b, c, d, e} car", 10)])
def test_a_comparison_has_at_most_eight_jobs(text, jobs):
    if jobs == 8:
        assert len(compared(text).draws) == 8
        return
    with pytest.raises(BadPrompt) as error:
        compared(text)
    assert (error.value.problem, error.value.limit, error.value.amount) == ("too_many_jobs", 8, jobs)


def test_a_value_that_one_of_the_models_does_not_take_names_that_model():
    with pytest.raises(BadOption) as error:
        compared("a red car --steps 55")
    assert error.value.allowed == "1 to 50 for Other"


def test_every_character_that_cannot_be_seen_is_stripped():
    categories = ("Cc", "Cf", "Cs")
    hidden = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in categories]
    assert clean("".join(hidden)) == ""
    assert clean("re\u200bd\u2028car\x00\u202e \U000e0041\ufe0f\u3164") == "red car"
    assert clean("cafe\u0301") == "café"


def test_a_command_line_says_only_what_is_not_the_models_own():
    draw = drawn("a red car --seed 7 --ar 16:9 --n 2 --guidance 4.5 --no fog")
    line = "/imagine a red car --seed 7 --ar 16:9 --n 2 --guidance 4.5 --no fog --model builtin"
    assert to_text(draw, MODELS) == line


@settings(deadline=None)
@given(
    st.text(min_size=1, max_size=60),
    st.text(max_size=20),
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.integers(1, 50),
    st.sampled_from(SCHEDULERS),
    st.sampled_from(["builtin", "Other"]),
    st.sampled_from(["full", "draft"]),
    st.floats(1 / 3, 3),
)
def test_a_command_line_draws_the_same_again(words, no, seed, count, steps, scheduler, model, quality, ratio):
    options = {"aspect": f"{ratio:.4f}:1", "seed": seed, "count": count, "steps": steps, "scheduler": scheduler}
    plain = drawn("x", options={**options, "model": model, "quality": quality}) if 0.3334 <= ratio <= 2.9999 else CAR
    draw = replace(plain, prompt=clean(words) or "x", negative_prompt=clean(no) or None)
    assert drawn(to_text(draw, MODELS).removeprefix("/imagine ")) == draw


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "9:16", "21:9", "1:3", "3:1", "5:4"])
def test_a_draft_is_enlarged_to_the_shape_that_was_asked_for(ratio):
    full, draft = drawn(f"a red car --ar {ratio}"), drawn(f"a red car --quality draft --ar {ratio}")
    assert full_size_of(draft, MODELS) == Size(full.width, full.height)


GRAMMAR = st.lists(st.sampled_from(["{", "}", ",", "\\", "--", "—", "seed", "7", "no", " ", "ar", "1:1", "\x00"]))


@settings(deadline=None)
@given(st.one_of(st.text(max_size=1500), GRAMMAR.map("".join)))
def test_any_text_is_drawn_or_refused(text):
    for read in (lambda: parse(text, HERE), lambda: change(text, CAR, HERE)):
        with suppress(Refused):
            assert isinstance(read(), Parsed)
