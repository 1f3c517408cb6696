"""Whatever people write, Discord makes nothing of it but text: no ping, no link, no formatting, and it fits.

`FUZZ_PROMPTS=100000` runs the seeded prompts in that number; without it a part of them, which takes some seconds.
"""

import os
import random
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from bot import controls, prompt, wording
from bot.discord import attachments, messages
from bot.discord.adapter import DiscordAdapter
from bot.errors import Refused
from bot.feed import Live
from bot.jobs import Image, Job, Lineage, Place, Status
from engine.catalogue import read_catalogue
from tests.house import a_draw

PROMPTS = int(os.environ.get("FUZZ_PROMPTS", "20000"))
PERSON = "<@424242424242424242>"
HERE = prompt.Known(read_catalogue(), "builtin", lambda: 4182)
JOB = Job("k7q2", 1, Place("discord", "1", "2"), a_draw(), Status.QUEUED, units=2, attempts=0, created_ms=10**12)
IMAGES = tuple(Image(index, 7 + index, "done", "/nowhere", "", 2048, 2048) for index in range(4))
LIVE = Live("drawing", percent=40, done_at_ms=1_800_000_000_000)

# what Discord makes of a message, from what its client shows and its documentation says


_CODE = re.compile(
    r"(?P<escaped>\\[^0-9A-Za-z\s])|(?P<fence>```[\s\S]+?```)|(?P<code>(?P<ticks>`+)[\s\S]*?[^`](?P=ticks)(?!`))"
)
_ESCAPED = re.compile(r"\\([^0-9A-Za-z\s])")
_PINGS = re.compile(r"@everyone|@here|<@[!&]?\d+>|<#\d+>|</[^:>]+:\d+>|<a?:\w+:\d+>|<id:\w+>|<t:-?\d+(?::[A-Za-z])?>")
_LINKS = re.compile(r"(?i)(?:https?|discord|steam|ftp)://\S|<(?:mailto|tel|sms):|<\+?[\w.-]+@[\w.-]+>|<\+\d+>")
_MARKS = re.compile(r"[*_~|`]|\[[^\]]*\]\([^)]*\)")


def without_code(text):
    """(the text where mentions and links count, the code blocks): what is in code stays as it is."""
    fences = [match[0] for match in _CODE.finditer(text) if match["fence"]]
    return _CODE.sub(lambda match: match[0] if match["escaped"] else "\0", text), fences


def pings(text):
    """Every mention, time and custom emoji in `text`, whether it may ping or not."""
    return _PINGS.findall(without_code(text)[0])


def links(text):
    """Every link and code block."""
    rest, fences = without_code(text)
    return _LINKS.findall(rest) + fences


def marks(text):
    """The characters that format something: those that no backslash makes plain."""
    return "".join(_MARKS.findall(_ESCAPED.sub("", text)))


def read(text):
    """What a reader sees of `plain` text."""
    return _ESCAPED.sub(r"\1", text).replace("\u200b", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hi @everyone", ["@everyone"]),
        ("**a** — <@1> and <@!2>", ["<@1>", "<@!2>"]),
        ("\\<@&1> <#1> </cmd:1> <:e:1> <a:e:1> <t:1:R>", ["<@&1>", "<#1>", "</cmd:1>", "<:e:1>", "<a:e:1>", "<t:1:R>"]),
        ("_https://a.example", ["https://a"]),
        ("xHTTPS://a.example [b](discord://c)", ["HTTPS://a", "discord://c"]),
        ("```\n<@1>```", ["```\n<@1>```"]),
        ("`<@1>` ``a`@here`` \\`@here\\`", ["@here"]),
        ("`a <@1>", ["<@1>"]),
        ("@\u200beveryone <\u200b@1> http\u200b://a \\`\\`\\`a\\`\\`\\`", []),
    ],
)
def test_the_reading_that_these_tests_rest_on(text, found):
    assert pings(text) + links(text) == found


# prompts

FRAGMENTS = [
    "a red car", "at night", " ", "  ", "\n", "\t", ", ", "@everyone", "@here", "@", "everyone", "<@1>", "<@!1>",
    "<@123456789012345678>", "<@&1>", "<#1>", "</cmd:1>", "</a b:1>", "<t:1>", "<t:1:R>", "<:e:1>", "<a:e:1>",
    "<id:home>", "<", ">", "https://a.example/x", "http://a.example", "HTTPS://A.EXAMPLE", "://", "//a.example",
    "https:", "discord://-/x", "discord.gg/abc", "[a](https://a.example)", "[a](<https://a.example>)",
    "[", "](", ")", "<https://a.example>",
    "**", "*", "_", "__", "~~", "||", "`", "``", "```", "```py\n", "\n```", "> ", ">>> ", "# ", "-# ", "- ", "1. ",
    "\\", "\\\\", "{", "}", "{a, b}", "--", "--seed 7", "--no ", "--ar 16:9", "--n 4", "--stlye", "—", "--style ",
    "\u202e", "\u2066", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\U000e0041", "\U000e007f", "\ufe0f",
    "👩\u200d🚀", "🎨", "é", "e\u0301", "ｈttps", "＠everyone", "ß", "日本語", "\x00", "\x1b[31m", "\ud800", "\udfff",
    "\ud83d", "\u2028", "\u0085", "0", "x", "'", '"', "&amp;", "%00", "=" ,
]  # fmt: skip
ANYTHING = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=20))).map("".join)


def written(chance):
    """A prompt as nobody writes it; now and then one that is much too long, or just as long as is allowed."""
    text = "".join(chance.choices(FRAGMENTS, k=chance.randint(1, 14)))
    if chance.random() < 0.03:
        return (text * 10_000)[: chance.choice((1500, 1501, 6000, 10_000))]
    return text


@dataclass(frozen=True)
class Written:
    """A text that the bot writes, and what of it is its own."""

    text: str
    pings: tuple[str, ...] = ()
    marks: str = ""
    lines: int = 1


def contents(text):
    """Every message content that comes of a prompt on its way."""
    try:
        draws = prompt.parse(text, HERE).draws
    except Refused as error:
        return [messages.sentence(wording.refusal(error))], []
    return [], [each for draw in draws[:2] for each in _of_draw(draw)]


def _of_draw(draw):
    job = replace(JOB, request=draw)
    child = replace(job, lineage=Lineage("m3x9", 0, "remix"), images=IMAGES, status=Status.RENDERED)
    lineage = messages.plain(wording.lineage_line(child, replace(JOB, id="m3x9")))
    done = messages.content(child, None, PERSON, lineage=lineage, remark="JPEG quality 88 to fit")
    return [
        Written(messages.content(job, None, PERSON), (PERSON,), "****"),
        Written(messages.content(job, LIVE, PERSON), (PERSON, "<t:1800000000:R>"), "****"),
        Written(done, (PERSON,), "****``", lines=3),
    ]


def check_pings(text):
    refusals, drawn = contents(text)
    for said in refusals:
        assert len(said) <= messages.MAX_CONTENT == 2000
        assert pings(said) == []
    for each in drawn:
        assert len(each.text) <= 2000
        assert tuple(_PINGS.findall(each.text)) == each.pings
        assert each.text.count("\n") == each.lines - 1
        each.text.encode()


def check_links_and_marks(text):
    refusals, drawn = contents(text)
    assert not any(links(said) for said in refusals)
    for each in drawn:
        assert links(each.text) == []
        assert marks(each.text) == each.marks


def check_files(text):
    with suppress(Refused):
        for draw in prompt.parse(text, HERE).draws[:2]:
            job = replace(JOB, request=draw)
            file = attachments.file(b"", wording.file_name(job.id, 3, "jpg"), job)
            assert file.filename == "limner-k7q2-3.jpg"
            assert 1 <= len(file.description) <= 1024
            assert prompt.clean(file.description) == file.description.strip()


def each_of(prompts, check):
    chance = random.Random(3)
    for _ in range(prompts):
        text = written(chance)
        try:
            check(text)
        except AssertionError as error:
            raise AssertionError(f"of the prompt {text!r}: {error}") from None


def test_no_prompt_pings_anybody_or_is_too_long():
    each_of(PROMPTS, check_pings)


@settings(deadline=None)
@given(ANYTHING)
def test_nothing_that_can_be_typed_pings_anybody(text):
    check_pings(text)
    check_files(text)
    assert pings(messages.plain(text)) == []


def test_no_prompt_links_or_formats():
    each_of(PROMPTS // 4, check_links_and_marks)


@settings(deadline=None)
@given(ANYTHING)
def test_what_was_typed_is_what_is_read(text):
    text = prompt.clean(text)
    assert links(messages.plain(text)) == []
    assert marks(messages.plain(text)) == ""
    assert read(messages.plain(text)) == text


# what is no content


class _Threads:
    """Discord, as far as it opens threads."""

    def __init__(self):
        self.names = []
        self.http = SimpleNamespace(start_thread_with_message=self._start)
        self.get_channel = lambda channel_id: None  # none is open yet

    async def _start(self, channel_id, message_id, *, name, auto_archive_duration):
        self.names.append(name)


async def test_a_thread_has_a_name_that_fits():
    chance, threads = random.Random(3), _Threads()
    adapter = DiscordAdapter(threads, None, now_ms=lambda: 0)
    for number in range(2000):
        with suppress(Refused):
            draw = prompt.parse(written(chance), HERE).draws[0]
            root = replace(
                JOB, id="k7q2k7q2k7q2", request=draw, place=Place("discord", "1", "2", None, str(number + 1))
            )
            assert await adapter.thread_for(root) == str(number + 1)
    assert len(threads.names) > 500
    for name in threads.names:
        assert 1 <= len(name) <= 100
        assert name == " ".join(name.split())
        name.encode()


@given(
    st.from_regex(r"[a-z_]{1,24}", fullmatch=True), st.from_regex(r"[a-z0-9]{0,16}", fullmatch=True), st.integers(0, 99)
)
def test_the_id_of_a_button_is_read_as_it_was_made(verb, job_id, index):
    asked = controls.Press(verb, job_id, index)
    assert controls.read_press(asked.id) == asked
    assert len(asked.id) <= 100


@given(st.one_of(st.text(max_size=110), st.from_regex(r"v\d{1,3}:[^:]{0,9}:[^:]{0,9}:\d{0,3}\n?")))
def test_an_id_that_the_bot_never_made_means_nothing(text):
    asked = controls.read_press(text)
    assert asked is None or asked.id.removesuffix(text.rpartition(":")[2]) + text.rpartition(":")[2] == text


@settings(max_examples=50, deadline=None)
@given(ANYTHING, st.sampled_from(Status), st.integers(1, 4), st.sampled_from(["full", "draft"]))
def test_every_button_fits_and_means_what_it_says(label, status, count, quality):
    job = replace(
        JOB, status=status, images=IMAGES[:count], request=with_values(a_draw(), count=count, quality=quality)
    )
    offer = controls.Control(label, controls.Press("offer", "ab12"))
    for item in [*messages.controls(job).children, *messages.view([*controls.more(job, 3), offer]).children]:
        assert len(item.item.label) <= 80
        assert controls.read_press(item.item.custom_id).job_id in ("k7q2", "ab12")
    ids = [item.item.custom_id for item in messages.controls(job).children]
    assert len(ids) == len(set(ids))
