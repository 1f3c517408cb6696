"""Whatever people write, Discord makes nothing of it but text: no ping, no link, no formatting, and it fits.

`FUZZ_PROMPTS=100000` runs the seeded prompts in that number; without it a part of them, which takes some seconds.
"""

import os
import random
import re
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from bot import prompt, wording
from bot.discord import attachments, messages
from bot.discord.adapter import DiscordAdapter
from bot.errors import Refused
from bot.feed import Live
from bot.jobs import Image, Job, Lineage, Place, Status
from engine.catalogue import read_catalogue
from tests.house import a_draw

PROMPTS = int(os.environ.get("FUZZ_PROMPTS", "20000"))
PERSON = "<@424242424242424242>"
HERE = {"models": read_catalogue(), "default_model": "builtin", "new_seed": lambda: 4182}
JOB = Job("k7q2", 1, Place("discord", "1", "2"), a_draw(), Status.QUEUED, units=2, attempts=0, created_ms=10**12)
IMAGES = tuple(Image(index, 7 + index, "done", "/nowhere", "", 2048, 2048) for index in range(4))
LIVE = Live("drawing", percent=40, done_at_ms=1_800_000_000_000)

# what Discord makes of a message, from what its client shows and its documentation says


_CODE = re.compile(r"(?P<escaped>\\[^0-9A-Za-z\s])|(?P<fence>```[\s\S]+?```)|(?P<code>(?P<ticks>`+)[\s\S]*?[^`](?P=ticks)(?!`))")
_PINGS = re.compile(
    r"@everyone|@here|<@[!&]?\d+>|<#\d+>|</[^:>]+:\d+>|<a?:\w+:\d+>|<id:\w+>|<t:-?\d+(?::[A-Za-z])?>"
)
_LINKS = re.compile(r"(?i)(?:https?|discord|steam|ftp)://\S|<(?:mailto|tel|sms):|<\+?[\w.-]+@[\w.-]+>|<\+\d+>")
_MARKS = re.compile(r"[*_~|`]|\[[^\]]*\]\([^)]*\)")


def without_code(text):
    """(the text where mentions and links count, the code blocks): what is in code stays as it is."""
    fences = [match[0] for match in _CODE.finditer(text) if match["fence"]]
    return _CODE.sub(lambda match: match[0] if match["escaped"] else "\0", text), fences


def active(text):
    """Every mention, time, custom emoji, link and code block that readers of `text` would see or be pinged by."""
    rest, fences = without_code(text)
    return _PINGS.findall(rest) + _LINKS.findall(rest) + fences


def marks(text):
    """The characters that format something: those that no backslash makes plain."""
    return "".join(_MARKS.findall(re.sub(r"\\[^0-9A-Za-z\s]", "", text)))


def read(text):
    """What a reader sees of `plain` text."""
    return re.sub(r"\\([^0-9A-Za-z\s])", r"\1", text).replace("\u200b", "")


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
    assert active(text) == found


# prompts

FRAGMENTS = [
    "a red car", "at night", " ", "  ", "\n", "\t", ", ", "@everyone", "@here", "@", "everyone", "<@1>", "<@!1>",
    "<@123456789012345678>", "<@&1>", "<#1>", "</cmd:1>", "</a b:1>", "<t:1>", "<t:1:R>", "<:e:1>", "<a:e:1>",
    "<id:home>", "<", ">", "https://a.example/x", "http://a.example", "HTTPS://A.EXAMPLE", "://", "//a.example", "https:",
    "discord://-/x", "discord.gg/abc", "[a](https://a.example)", "[a](<https://a.example>)", "[", "](", ")", "<https://a.example>",
    "**", "*", "_", "__", "~~", "||", "`", "``", "```", "```py\n", "\n```", "> ", ">>> ", "# ", "-# ", "- ", "1. ",
    "\\", "\\\\", "{", "}", "{a, b}", "--", "--seed 7", "--no ", "--ar 16:9", "--n 4", "--stlye", "—", "--style ",
    "\u202e", "\u2066", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\U000e0041", "\U000e007f", "\ufe0f",
    "👩\u200d🚀", "🎨", "é", "e\u0301", "ｈttps", "＠everyone", "ß", "日本語", "\x00", "\x1b[31m", "\ud800", "\udfff",
    "\ud83d", "\u2028", "\u0085", "0", "x", "'", '"', "&amp;", "%00", "=" ,
]  # fmt: skip
WORDS = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=20))).map("".join)
PROSE = st.lists(st.sampled_from([each for each in FRAGMENTS if "{" not in each and "-" not in each])).map("".join)


def written(chance):
    """A prompt as nobody writes it; now and then one that is much too long, or just as long as is allowed."""
    text = "".join(chance.choices(FRAGMENTS, k=chance.randint(1, 14)))
    if chance.random() < 0.03:
        return (text * 10_000)[: chance.choice((1500, 1501, 6000, 10_000))]
    return text


def check_text(text):
    """`plain` text is read as it was written and starts nothing."""
    shown = messages.plain(text)
    assert active(shown) == []
    assert marks(shown) == ""
    assert read(shown) == " ".join(text.replace("\u200b", "").split())


def check_content(content, own, own_marks, lines=1):
    assert len(content) <= 2000
    assert active(content) == own
    assert marks(content) == "****" + own_marks
    assert content.count("\n") == lines - 1


def check_prompt(text):
    """The whole way of a prompt to every text that Discord is given of it."""
    try:
        draws = prompt.parse(text, **HERE).draws
    except Refused as error:
        said = messages.sentence(wording.refusal(error))
        assert len(said) <= 2000
        assert active(said) == []
        return
    for draw in draws[:2]:
        job = replace(JOB, request=draw)
        check_text(draw.prompt)
        check_content(messages.content(job, None, PERSON), [PERSON], "")
        check_content(messages.content(job, LIVE, PERSON), [PERSON, "<t:1800000000:R>"], "")
        parent = replace(JOB, id="m3x9")
        child = replace(job, lineage=Lineage("m3x9", 0, "remix"), images=IMAGES, status=Status.RENDERED)
        lineage = messages.plain(wording.lineage_line(child, parent))
        done = messages.content(child, None, PERSON, lineage=lineage, remark="JPEG quality 88 to fit")
        check_content(done, [PERSON], "``", lines=3)
        file = attachments.file(b"", wording.file_name(job.id, 3, "jpg"), job)
        assert (file.filename, 1 <= len(file.description) <= 1024) == ("limner-k7q2-3.jpg", True)
        file.description.encode()
        file.close()


def test_no_prompt_pings_links_or_formats():
    chance = random.Random(3)
    for _ in range(PROMPTS):
        text = written(chance)
        try:
            check_prompt(text)
        except AssertionError:
            raise AssertionError(f"of the prompt {text!r}") from None


@settings(deadline=None)
@given(WORDS)
def test_no_text_of_any_kind_pings_links_or_formats(text):
    check_prompt(text)
    check_text(prompt.clean(text))
