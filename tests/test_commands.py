import pytest

from bot.commands import ASKS, Ask, Imagine, read_command
from bot.errors import BadOption


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/imagine a red car --seed 7", Imagine("a red car --seed 7")),
        ("/IMAGINE a red car", Imagine("a red car")),
        ("/imagine\na red car", Imagine("a red car")),
        ("/imagine", Imagine("")),
        ("a red car", Imagine("a red car")),
        ("", Imagine("")),
        ("limner quota", Imagine("limner quota")),
        ("/limner quota", Ask("quota")),
        ("/limner", Ask("help")),
        (" /Limner  QUEUE ", Ask("queue")),
        ("/limner show `K7Q2`", Ask("show", ("k7q2",))),
        ("/limner cancel", Ask("cancel")),
        ("/limner cancel k7q2", Ask("cancel", ("k7q2",))),
        ("/limner reroll k7q2 9", Ask("reroll", ("k7q2", "9"))),
        ("/limner compare A red  car --ar 3:2", Imagine("A red  car --ar 3:2", by_every_model=True)),
        ("/limner settings", Ask("settings")),
        ("/limner settings --style Noir  --ar 3:2", Ask("settings", ("--style Noir  --ar 3:2",))),
        ("/limner compare", Imagine("", by_every_model=True)),
    ],
)
def test_a_text_is_a_prompt_or_a_question(text, command):
    assert read_command(text) == command


@pytest.mark.parametrize(
    ("text", "option", "problem", "nearest"),
    [
        ("/imagien a red car", "/imagien", "unknown", "/imagine"),
        ("/limmer quota", "/limmer", "unknown", "/limner"),
        ("/xyz", "/xyz", "unknown", None),
        ("/limner qouta", "/limner qouta", "unknown", "/limner quota"),
        ("/limner xyz", "/limner xyz", "unknown", None),
        ("/limner show", "/limner show", "needs a job", None),
        ("/limner quota today", "/limner quota today", "has too many words", None),
        ("/limner reroll k7q2 -1", "--seed -1", "is out of range", None),
    ],
)
def test_a_wrong_command_is_named_with_the_nearest(text, option, problem, nearest):
    with pytest.raises(BadOption) as error:
        read_command(text)
    assert (error.value.option, error.value.problem, error.value.nearest) == (option, problem, nearest)


def test_every_question_stands_under_its_own_name():
    assert all(form.usage.split()[0] == verb for verb, form in ASKS.items())
