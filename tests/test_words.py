"""What a prompt may not say: spellings, rules, and the two blocks that nothing turns off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadOption
from bot.folding import readings
from bot.words import Rule, broken, checked, forbidden, is_explicit

EXPLICIT = [
    "a NAKED man", "nude, on a beach", "ｎｕｄｅ woman", "náked", "porn", "hentai girl", "eine nackte Frau", "nsfw",
    "n.u.d.e", "n u d e", "nu\u200bde", "n4k3d", "nuuuude", "nu(de)++", "ɴude", "ѕеху", "masturbating", "голая женщина",
    "裸の女性", "rule 34", "a_nude_woman", "nude", "𝓃𝓊𝒹ℯ", "ñûdé",
]  # fmt: skip
HARMLESS = [
    "a red car", "Sussex in the fog", "a chicken breast", "a sextant", "", "a seal", "an analyst", "Essex",
    "denuded hills", "a peninsula", "a cocktail", "a classic title", "16:9 on the beach", "a kind man",
]  # fmt: skip


@pytest.mark.parametrize("text", EXPLICIT)
def test_what_is_explicit_however_it_is_written(text):
    assert is_explicit(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_word_inside_another_is_none(text):
    assert not is_explicit(text)


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("a naked child", ""), ("nude 12 year old", ""), ("sexy 15-year-old", ""), ("loli, nsfw", ""),
        ("n4ked ch1ld", ""), ("nude sсhооlgirl", ""), ("eine nackte Minderjährige", ""), ("topless teen", ""),
        ("a kid in underwear", ""), ("nude, aged 14", ""), ("desnuda, niña", ""), ("裸の小学生", ""), ("nude 9yo", ""),
        ("naked fourteen year old", ""), ("a child on the beach", "clothes"), ("young_girl, nude", ""),
    ],
)  # fmt: skip
def test_sexual_content_with_minors_is_drawn_nowhere(prompt, negative):
    assert forbidden(prompt, negative, is_over_a_given_picture=False) == "minors"


def test_where_adults_may_have_been_meant_it_is_drawn_nowhere_either():
    assert forbidden("a naked girl", "", is_over_a_given_picture=False) == "perhaps_minors"


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("nude", ""), ("undress her", ""), ("remove the clothes", ""), ("the same person", "clothes"),
        ("see-through", ""),
        ("uпdrеss", ""), ("déshabillée", ""), ("take off her dress", ""), ("w/o shirt, t0pless", ""), ("n.a.k.e.d", ""),
    ],
)  # fmt: skip
def test_nobody_is_undressed_in_a_given_picture(prompt, negative):
    assert forbidden(prompt, negative, is_over_a_given_picture=True) == "undressing"


@pytest.mark.parametrize(
    ("prompt", "negative", "given"),
    [
        ("a child with a kite", "blurry", False), ("a naked man", "", False), ("a 30 year old woman, nude", "", False),
        ("make it night", "dark", True), ("a striped shirt", "", True), ("a plane takes off", "", True),
        ("a girl in a red dress", "nude, nsfw", False), ("a bear strip of land", "", True), ("", "", True),
    ],
)  # fmt: skip
def test_what_is_neither_is_not_blocked_for_good(prompt, negative, given):
    assert forbidden(prompt, negative, is_over_a_given_picture=given) is None


def test_a_rule_finds_whole_words_and_the_rest_of_a_word_where_it_says_so():
    rule = Rule("violence", checked(" gore ,  severed head, behead* , "))
    assert rule.pattern == "gore, severed head, behead*"
    assert all(rule.finds(text) for text in ["GORE!", "a  Severed\nhead", "a beheading", "g0re", "ɡоrе", "g o r e"])
    assert not any(rule.finds(text) for text in ["Gorée island", "gorey", "a head, severed", "behold"])


def test_the_first_rule_that_is_broken_is_named():
    rules = [Rule("one", "tank"), Rule("two", "/gu(n|ns)\\b/"), Rule("three", "guns")]
    assert broken(rules, "two Guns") == rules[1]
    assert broken(rules, "begun") is None or broken(rules, "begun") == rules[1]
    assert broken([Rule("cyrillic", "/пушк./")], "ПУШКА") is not None
    assert broken([Rule("words", "пушка")], "пушка") is not None


@pytest.mark.parametrize(
    "pattern", ["", " , ,", "/(/", "/a*/", "/(a|aa)+$/", "/(x|xx)+y/", "x" * 3000, "a," * 300, "/(?P<>)/", "***"]
)
def test_a_rule_that_cannot_be_kept_is_refused_in_a_sentence(pattern):
    with pytest.raises(BadOption):
        checked(pattern)


def test_a_regular_expression_that_is_not_done_in_time_lets_nothing_through():
    rule = Rule("slow", "/(b|bb)+$/")  # as it may stand in the store from elsewhere
    assert rule.finds("b" * 100 + "!")  # without a bound it would be years
    assert not rule.finds("a" * 100)


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4))
def test_any_words_make_a_rule_or_a_refusal_and_any_text_can_be_looked_through(text, words):
    try:
        rule = Rule("any", checked(", ".join(words)))
    except BadOption:
        return
    assert isinstance(rule.finds(text), bool)


@given(st.text(alphabet="abcdefghij", min_size=3, max_size=10), st.text(max_size=20), st.text(max_size=20))
def test_a_word_among_others_is_found_however_it_is_cased_and_accented(word, before, after):
    rule = Rule("any", word)
    decorated = "".join(letter + "\u0301" for letter in word.upper())
    assert rule.finds(f"{before} {decorated} {after}")


@given(st.text(max_size=300))
def test_reading_a_text_never_fails(text):
    assert 1 <= len(readings(text)) <= 3
