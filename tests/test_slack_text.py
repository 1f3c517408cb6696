"""Whatever people write, Slack makes nothing of it but text: no mention, no link, no formatting, and it fits.

`FUZZ_PROMPTS=100000` runs the seeded prompts in that number; without it a part of them, which takes some seconds.
"""

import os
import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from bot import answers, prompt, wording
from bot.controls import Control, Press, more, under
from bot.errors import Refused
from bot.feed import Live
from bot.jobs import Image, Job, Lineage, Place, Status
from bot.slack import forms, home, interactions, messages
from bot.store import Account
from bot.views import QueueView
from engine.catalogue import read_catalogue
from tests.house import a_draw
from tests.slack_api.rules import check_blocks, check_view
from tests.slack_api.things import File, active, walk

PROMPTS = int(os.environ.get("FUZZ_PROMPTS", "20000"))
HERE = prompt.Known(read_catalogue(), "builtin", lambda: 4182)
JOB = Job("k7q2", 1, Place("slack", "T1", "C1"), a_draw(), Status.QUEUED, units=2, attempts=0, created_ms=10**12)
IMAGES = tuple(Image(index, 7 + index, "done", "/nowhere", "", 2048, 2048) for index in range(4))
LIVE = Live("drawing", percent=40, done_at_ms=1_800_000_000_000)
FILES = {0: "F1", 1: "F2"}
KINDS = {"rich_text", "rich_text_section", "text", "date", "image", "actions", "button", "plain_text", None}
NAMES = ["ada", "<!channel>", "*bo* `b`", "@here", "https://a.example", "&lt;@U1&gt;"]

FRAGMENTS = [
    "a red car", "at night", " ", "  ", "\n", "\t", ", ", "<!channel>", "<!here>", "<!everyone>", "<!here|here>", "@",
    "@channel", "@here", "@everyone", "@ada", "<@U024BE7LH>", "<@W1|ada>", "<#C024BE7LR>", "<#C1|general>", "<", ">",
    "<!subteam^S1>", "<!subteam^S1|@team>", "<!date^1392734382^{date}^https://a.example|x>", "&lt;!channel&gt;", "&",
    "&amp;", "&lt;", "&#60;!channel>", "https://a.example/x", "http://a.example", "HTTPS://A.EXAMPLE", "://",
    "<https://a.example|b>", "<https://a.example>", "<mailto:a@a.example|a>", "[a](https://a.example)", "|",
    "*", "_", "~", "`", "``", "```", "```\n", "\n```", "> ", ">>> ", "• ", "1. ", ":tada:", ":", "\ue000", "\ue001",
    "\ue000d1800000000\ue001", "\\", "{", "}", "{a, b}", "--", "--seed 7", "--no ", "--ar 16:9", "--n 4", "--stlye",
    "—", "--style ", "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u00ad", "\U000e0041", "\ufe0f", "👩\u200d🚀",
    "é", "e\u0301", "ß", "日本語", "\x00", "\x1b[31m", "\ud800", "\udfff", "\u2028", "\u0085", "0", "x", "'", '"',
]  # fmt: skip
ANYTHING = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=20))).map("".join)


def written(chance):
    """A prompt as nobody writes it; now and then one that is much too long, or just as long as is allowed."""
    text = "".join(chance.choices(FRAGMENTS, k=chance.randint(1, 14)))
    if chance.random() < 0.03:
        return (text * 10_000)[: chance.choice((1500, 1501, 6000, 10_000))]
    return text


def said(text, name="ada"):
    """Every message that comes of a prompt on its way."""
    try:
        draws = prompt.parse(text, HERE).draws
    except Refused as error:
        return [messages.sentence(wording.refusal(error, messages.clock))]
    return [message for draw in draws[:2] for message in _of_draw(draw, name)]


def _of_draw(draw, name):
    job = replace(JOB, request=draw)
    child = replace(job, lineage=Lineage("m3x9", 0, "remix"), images=IMAGES, status=Status.RENDERED)
    lineage = wording.lineage_line(child, replace(JOB, id="m3x9"))
    history = answers.history([job], messages.moment, messages.plain)
    queue = answers.queue(QueueView(((job, LIVE),), 2, 30.0), messages.moment, messages.plain)
    return [
        messages.message(job, messages.status(job, None), name),
        messages.message(job, messages.status(job, LIVE), name, remark=draw.prompt),
        messages.message(child, messages.status(child, None), name, lineage=lineage, files=FILES),
        messages.answer(f"{history}\n{queue}"),
        messages.facts((("Prompt", draw.prompt or "none"), ("Again", f"`{prompt.to_text(draw, HERE.models)}`"))),
    ]


def check_is_only_text(text, name="ada"):
    for message in said(text, name):
        pings, links = active(message["text"], message["blocks"], text_is_shown=True)
        assert (pings, links) == ([], [])
        assert len(message["text"]) <= 4000
        assert (message["parse"], message["link_names"]) == ("none", False)
        kinds = {part.get("type") for part in walk(message["blocks"])}
        assert kinds <= {
            "rich_text",
            "rich_text_section",
            "text",
            "date",
            "image",
            "actions",
            "button",
            "plain_text",
            None,
        }
        message["text"].encode()


def check_is_what_was_typed(text):
    try:
        draw = prompt.parse(text, HERE).draws[0]
    except Refused:
        return
    title = messages.message(replace(JOB, request=draw), "queued", "ada")["blocks"][0]["elements"][0]["elements"][0]
    assert title["text"] == wording.title(replace(JOB, request=draw))
    assert title["style"] == {"bold": True}


def check_fits(text, name="ada"):
    for message in said(text, name):
        check_blocks(message["blocks"], lambda found: PICTURE)


PICTURE = File("F1", "a.jpg", 1, "U1", 0, mimetype="image/jpeg", state="processed")


def each_of(prompts, check):
    chance = random.Random(3)
    for _ in range(prompts):
        text = written(chance)
        try:
            check(text)
        except Exception as error:
            raise AssertionError(f"of the prompt {text!r}: {error!r}") from None


def test_the_reading_that_these_tests_rest_on():
    rich = messages.rich({"type": "user", "user_id": "U1"}, {"type": "broadcast", "range": "here"})
    assert active("", [rich], text_is_shown=False)[0]
    assert active("<!here> <@U1>", [], text_is_shown=True)[0]
    assert active("see https://a.example", [], text_is_shown=True)[1]


def test_no_prompt_mentions_or_links_or_formats():
    each_of(PROMPTS, check_is_only_text)


def test_every_message_of_a_prompt_fits():
    each_of(PROMPTS // 20, check_fits)


@settings(deadline=None)
@given(ANYTHING, st.sampled_from(NAMES))
def test_nothing_that_can_be_typed_mentions_anybody(text, name):
    check_is_only_text(text, name)
    check_fits(text, name)


@settings(deadline=None)
@given(ANYTHING)
def test_what_was_typed_is_what_is_read(text):
    check_is_what_was_typed(text)


@settings(deadline=None)
@given(ANYTHING)
def test_a_quoted_prompt_is_no_mark(text):
    parts = messages.runs(f"`k7q2` {messages.plain(text)} — queued")
    assert [part["text"] for part in parts if part.get("style")] == ["k7q2"]
    assert not any(part["type"] == "date" for part in parts)


def test_our_own_texts_have_code_and_times():
    soon = int(time.time()) + 60
    parts = messages.runs(f"`k7q2` starts {messages.clock(soon * 1000)}, `/imagine a boat`")
    assert [part["type"] for part in parts] == ["text", "text", "date", "text", "text"]
    at = {"type": "date", "timestamp": soon, "format": "at {time}", "fallback": ""}
    assert parts[2] | {"fallback": ""} == at


@pytest.mark.parametrize("at", [messages.moment, messages.clock])
def test_a_time_of_another_day_has_the_day(at):
    then = at(2_000_000_000_000)
    assert messages.runs(then)[0]["format"] == "{date_short_pretty} at {time}"
    assert messages.fallback(f"That ends {then}.") == "That ends 18 May at 03:33 UTC."


def test_the_facts_of_a_picture_are_ours_and_what_was_typed_stands_as_it_was():
    rows = [("Job", "`k7q2` image 2"), ("Prompt", "`a` \ue000d1\ue001 boat"), ("Again", "`/imagine a boat --seed 7`")]
    [section] = messages.facts(rows)["blocks"][0]["elements"]
    said = [(part["text"], part.get("style", {})) for part in section["elements"] if part["text"] != "\n"]
    assert said == [
        ("Job ", {"bold": True}), ("k7q2", {"code": True}), (" image 2", {}),
        ("Prompt ", {"bold": True}), ("`a` \ue000d1\ue001 boat", {}),
        ("Again ", {"bold": True}), ("/imagine a boat --seed 7", {"code": True}),
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ANYTHING, st.sampled_from(Status), st.integers(1, 4), st.sampled_from(["full", "draft"]))
def test_every_button_fits_and_means_what_it_says(label, status, count, quality):
    job = replace(
        JOB, status=status, images=IMAGES[:count], request=with_values(a_draw(), count=count, quality=quality)
    )
    shown = [*under(job), *more(job, 3), Control(label or "x", Press("offer", "ab12"))]
    blocks = messages.actions(shown)
    check_blocks(blocks, lambda found: None)
    assert {part["value"] for part in walk(blocks) if part.get("type") == "button"} == {each.press.id for each in shown}


def test_delete_asks_first():
    [button] = [part for part in walk(messages.actions(more(JOB, 0))) if part.get("value") == "v1:delete:k7q2:0"]
    assert (button["style"], button["confirm"]["confirm"]["text"]) == ("danger", "Delete")


# forms


@settings(max_examples=60, deadline=None)
@given(ANYTHING)
def test_every_form_fits(text):
    new = forms.new_image(HERE.models, "builtin", ["noir", "a" * 200])
    for view in (
        new,
        forms.text_form("Remix", Press("remix", "k7q2"), text, "[]"),
        forms.text_form("Remix", Press("remix", "k7q2"), None),
        forms.told("Remix", wording.Sentence(text or "x", text)),
    ):
        check_view(view, lambda found: None)


@settings(max_examples=30, deadline=None)
@given(ANYTHING, st.integers(0, 12))
def test_every_home_fits(text, count):
    draw = with_values(a_draw(), prompt=prompt.clean(text)[:1500])
    done = replace(JOB, request=draw, images=IMAGES, status=Status.DELIVERED)
    quota = Account(3, 1, 20, True, 10**12, (), ())
    queue = QueueView(tuple((done, LIVE) for _ in range(count)), 2, 30.0)
    view = home.view(quota, [(done, FILES)] * count, "model sd15", queue)
    check_view(view, lambda found: PICTURE, home=True)
    assert active("", view["blocks"], text_is_shown=False) == ([], [])


# what Slack makes of what is typed


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("<@U0LIMNER> a red car --ar 3:2", "a red car --ar 3:2"),
        ("a cat <@U024BE7LH|ada> in <#C1|general>", "a cat   in #general"),
        ("fish &amp; chips &lt;3", "fish & chips <3"),
        ("<https://a.example/x|a.example> <mailto:a@b.example|a@b.example>", "a.example a@b.example"),
        ("<https://a.example/x>", "https://a.example/x"),
        ("<!here> hello", "hello"),
        ("2 < 3 > 1", "2 < 3 > 1"),
    ],
)
def test_what_slack_marks_up_is_read_as_it_was_typed(text, typed):
    assert interactions.words(text) == typed


@given(st.text())
def test_any_text_of_slack_can_be_read(text):
    interactions.words(text)


@given(st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner, max_size=3), max_leaves=6))
def test_what_nobody_listens_to_is_passed_over(body):
    if isinstance(body, dict):
        assert interactions.read({"type": "unheard_of"} | body | {"type": "unheard_of"}) is None or "command" in body
