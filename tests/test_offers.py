"""What the buttons under a private answer remember, for whom, and for how long."""

import pytest

from bot import wording
from bot.commands import Ask, Imagine
from bot.controls import Press
from bot.errors import BadOption, Expired, Gone, QueueFull, QuotaExceeded, Unconfirmed
from bot.offers import MAX_OFFERS, Offers

ASKED = Imagine("a boat --stlye noir", {"quality": "draft"})


def made(offers, error, asked=ASKED, user_id="1"):
    return offers.controls(wording.refusal(error), user_id, asked)


def test_a_text_is_corrected_with_the_options_that_stood_beside_it():
    offers = Offers()
    (edit,) = made(offers, BadOption("--stlye", "unknown", nearest="--style"))
    form = offers.take(edit.press, "1")
    assert form.text == "a boat --stlye noir"
    assert offers.edited(form.press, "1", "a boat --style noir") == Imagine("a boat --style noir", {"quality": "draft"})
    with pytest.raises(Expired):
        Offers().edited(form.press, "1", "a boat")  # after a restart, the options are not forgotten in silence


def test_a_text_without_options_is_corrected_after_a_restart_too():
    offers = Offers()
    (edit,) = made(offers, BadOption("--stlye", "unknown"), Imagine("a boat --stlye noir"))
    form = offers.take(edit.press, "1")
    assert Offers().edited(form.press, "1", "a boat") == Imagine("a boat")


def test_a_remix_is_corrected_as_a_remix():
    offers, remix = Offers(), Press("remix", "k7q2", 1, "/imagine a boat --ar 40:1")
    (edit,) = made(offers, BadOption("--ar 40:1", "is out of range"), remix)
    form = offers.take(edit.press, "1")
    assert (form.press.id, form.text) == ("v1:remix:k7q2:1", "a boat --ar 40:1")


def test_a_price_is_agreed_to_once_and_by_its_person_alone():
    offers = Offers()
    (confirm,) = made(offers, Unconfirmed(jobs=4, units=8))
    with pytest.raises(Expired):
        offers.take(confirm.press, "2")
    assert offers.take(confirm.press, "1") == ASKED
    with pytest.raises(Expired):
        offers.take(confirm.press, "1")


def test_what_fits_and_what_waits_are_offered_as_commands():
    offers = Offers()
    (smaller,) = made(offers, QuotaExceeded(needed=4, left=1, smaller=("/imagine a boat --quality draft", 1)))
    assert offers.take(smaller.press, "1") == Imagine("a boat --quality draft")
    (jobs,) = made(offers, QueueFull(waiting=3, limit=3, own=True))
    assert offers.take(jobs.press, "1") == Ask("queue")


def test_a_picture_that_is_gone_is_drawn_again_from_its_recipe():
    (again,) = made(Offers(), Gone(), Press("original", "k7q2", 2))
    assert again.press.id == "v1:again:k7q2:2"
    assert made(Offers(), Gone()) == []


def test_the_oldest_offers_are_forgotten():
    offers = Offers()
    first, *_, last = [made(offers, Unconfirmed(jobs=2, units=4))[0] for _ in range(MAX_OFFERS + 1)]
    with pytest.raises(Expired):
        offers.take(first.press, "1")
    assert offers.take(last.press, "1") == ASKED
