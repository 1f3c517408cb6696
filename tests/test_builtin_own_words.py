"""Prompts in people's own words: none of them from the grammar, and what is counted of the answers."""

import random

import pytest

from recipe.captions import caption
from recipe.own_words import form, own_words, score
from recipe.spec import VALUES, random_scene


def test_there_are_sixty_and_each_names_something_that_the_world_has():
    told = own_words()
    assert len({each.text for each in told}) == 60
    assert all(each.named and each.named.items() <= {(n, v) for n in VALUES for v in VALUES[n]} for each in told)
    assert {each.named.get("subject") for each in told} == {*VALUES["subject"], None}


def test_none_of_them_is_of_the_grammar():
    texts = {caption(random_scene(seed), random.Random(seed)).text.lower() for seed in range(5000)}
    assert not texts & {each.text.lower() for each in own_words()}


def test_the_form_asks_for_every_picture_and_an_empty_one_is_all_wrong():
    told = own_words()
    assert set(score(told, form(len(told))).values()) == {0.0}


def test_answers_are_counted_by_attribute_and_by_picture():
    told = own_words()
    lines = [f"{n}: {', '.join(f'{k}={v}' for k, v in each.named.items())}" for n, each in enumerate(told, 1)]
    assert set(score(told, "\n".join(lines)).values()) == {1.0}
    dog = next(n for n, each in enumerate(told) if each.named.get("subject") == "dog")
    lines[dog] = lines[dog].replace("subject=dog", "subject=cat")
    counted = score(told, "\n".join(lines))
    dogs = sum("subject" in each.named for each in told)
    assert counted["subject"] == round(1 - 1 / dogs, 3)
    assert counted["pictures: subject, or all shapes"] == counted["pictures: everything"] == round(59 / 60, 3)
    assert counted["weather"] == 1.0


@pytest.mark.parametrize("line", ["1: subject=horse", "1: mood=sad", "1: dog"])
def test_an_answer_that_cannot_be_read_is_refused(line):
    with pytest.raises(ValueError, match="no such value"):
        score(own_words(), line)
