import pytest

from bot.decency import is_explicit

EXPLICIT = [
    "a NAKED man",
    "nude, on a beach",
    "ｎｕｄｅ woman",
    "náked",
    "porn",
    "hentai girl",
    "eine nackte Frau",
    "nsfw",
]
HARMLESS = ["a red car", "Sussex in the fog", "a chicken breast", "a sextant", "", "a seal", "an analyst"]


@pytest.mark.parametrize("text", EXPLICIT)
def test_what_is_explicit_however_it_is_written(text):
    assert is_explicit(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_word_inside_another_is_none(text):
    assert not is_explicit(text)
