from dataclasses import replace
from typing import get_args

import pytest
from msgspec.structs import replace as changed

from bot import answers, controls, wording
from bot.errors import (
    BadImage,
    BadOption,
    BadPrompt,
    Gone,
    ImageProblem,
    NotAllowed,
    QueueFull,
    QuotaExceeded,
    Refused,
    Unavailable,
    Unknown,
)
from bot.feed import Live
from bot.jobs import Image, Job, Lineage, Place, Status
from bot.phrases import clip, duration, relative, utc
from bot.store import Account, Charge, Grant
from bot.views import Info, QueueView
from engine.catalogue import read_catalogue
from engine.protocol import Draw, Upscale

NOW_MS = 1_800_000_000_000
WHEN = relative(NOW_MS)
CAR = changed(read_catalogue()["builtin"].plain_draw(), prompt="a red car on a mountain road", seed=4182)


def image(index: int = 0, status: str = "done") -> Image:
    return Image(index, 4182 + index, status, f"/spool/{index}.png", "", 2048, 2048)


def job(status: Status = Status.QUEUED, request: Draw | Upscale = CAR, **more) -> Job:
    given = {"id": "k7q2", "person_id": 1, "place": Place("web"), "units": 2, "attempts": 1, "created_ms": NOW_MS}
    return Job(request=request, status=status, **{**given, **more})


def line(status: Status, live: Live | None = None, **more) -> str:
    return wording.status_line(job(status, **more), live, WHEN)


@pytest.mark.parametrize(
    ("live", "says"),
    [
        (None, "queued"),
        (Live("queued", position=3, starts_at_ms=NOW_MS + 120_000), "queued #3, starts in 2 min"),
        (
            Live("queued", position=3, starts_at_ms=NOW_MS + 120_000, can_be_passed=True),
            "queued #3, starts in 2 min or later",
        ),
        (Live("loading", done_at_ms=NOW_MS + 20_000), "loading model (first use) · done in 20 s"),
        (Live("drawing", percent=45, done_at_ms=NOW_MS + 8_000), "45 % ▓▓▓▓▓░░░░░ · done in 8 s"),
        (Live("drawing"), "0 % ░░░░░░░░░░"),
        (Live("enlarging"), "enlarging to 2048"),
        (Live("encoding"), "sending"),
    ],
)
def test_a_waiting_job_says_where_it_stands(live, says):
    assert line(Status.QUEUED, live) == says


@pytest.mark.parametrize(
    ("status", "more", "says"),
    [
        (Status.RENDERED, {}, "sending"),
        (
            Status.DELIVERED,
            {"images": (image(),), "started_ms": NOW_MS, "finished_ms": NOW_MS + 21_000},
            "`k7q2` · seed 4182 · builtin · 2048×2048 · 21 s · 2 units",
        ),
        (
            Status.DELIVERED,
            {"images": (image(0), image(1), image(2, "withheld")), "units": 6},
            "`k7q2` · seeds 4182–4183 · builtin · 2048×2048 · 1 withheld by the safety check · 4 units",
        ),
        (Status.CANCELLED, {}, "cancelled, 2 units returned"),
        (Status.FAILED, {"failure": "out_of_memory"}, "not enough GPU memory for 2048 px, 2 units returned"),
        (Status.UNDELIVERABLE, {"units": 1}, "could not be shown here, 1 unit returned; `/limner show k7q2`"),
    ],
)
def test_a_job_that_is_over_says_how_it_ended(status, more, says):
    assert line(status, **more) == says


def test_after_a_restart_the_job_is_said_to_be_kept():
    says = wording.status_line(job(), Live("queued", position=1, kept_after="bot"), WHEN)
    assert says == "the bot restarted; your job is kept, #1"


def test_after_a_death_of_the_engine_the_job_is_said_to_be_kept():
    says = wording.status_line(job(), Live("queued", position=2, kept_after="engine"), WHEN)
    assert says == "the image engine is restarting; your job is kept, #2"


@pytest.mark.parametrize("problem", get_args(ImageProblem))
def test_every_picture_that_cannot_be_used_has_a_sentence(problem):
    assert wording.refusal(BadImage(problem)).body.endswith("megapixels. Nothing was charged.")


@pytest.mark.parametrize(
    ("error", "title", "body", "actions"),
    [
        (
            QuotaExceeded(needed=4, left=1, free_at_ms=NOW_MS + 7_200_000, smaller=("/imagine a --quality draft", 1)),
            "Not enough units",
            "Needs 4, you have 1. The next 4 are free in 2 h. Nothing was charged.",
            ["Run as draft (1)"],
        ),
        (QuotaExceeded(needed=4, left=1), "Not enough units", "Needs 4, you have 1. Nothing was charged.", []),
        (
            QueueFull(waiting=3, limit=3, own=True, wait_seconds=1080, starts_at_ms=NOW_MS + 120_000),
            "You already have 3 jobs waiting",
            "The oldest starts in 2 min. Nothing was charged.",
            ["Show my jobs"],
        ),
        (
            QueueFull(waiting=50, limit=50, own=False, wait_seconds=1080),
            "The queue is full (50)",
            "About 18 min of work. Nothing was charged.",
            [],
        ),
        (
            BadOption("--stlye", "unknown", nearest="--style"),
            "Unknown option `--stlye`",
            "Did you mean `--style`?",
            ["Edit"],
        ),
        (
            BadOption("--x", "unknown", allowed="--ar --no"),
            "Unknown option `--x`",
            "Known are: --ar --no. Write `\\--` for dashes in a prompt.",
            ["Edit"],
        ),
        (
            BadOption("/imagien", "unknown", nearest="/imagine"),
            "Unknown command `/imagien`",
            "Did you mean `/imagine`?",
            ["Edit"],
        ),
        (
            BadOption("--ar 40:1", "is out of range", allowed="1:3 to 3:1"),
            "`--ar 40:1` is out of range",
            "1:3 to 3:1.",
            ["Edit"],
        ),
        (BadPrompt("empty"), "Say what to draw", "Try `/imagine a red car on a mountain road`.", []),
        (
            BadPrompt("too_long", limit=1500, amount=10_000),
            "That prompt is too long",
            "10,000 characters; at most 1,500 fit.",
            ["Edit"],
        ),
        (
            BadPrompt("unclosed"),
            "A `{` is never closed",
            "Write `{red, blue}`, or `\\{` for the brace itself.",
            ["Edit"],
        ),
        (
            BadPrompt("too_many_jobs", limit=8, amount=12),
            "That would be 12 jobs",
            "At most 8 fit in one command: drop a choice.",
            ["Edit"],
        ),
        (
            BadImage("unsupported_kind"),
            "That kind of picture can't be used",
            "Attach another: PNG, JPEG or WebP up to 20 MB and 16.8 megapixels. Nothing was charged.",
            [],
        ),
        (
            BadImage("too_many_pixels", limit=16_800_000, amount=169_000_000),
            "That picture has too many pixels (169 million)",
            "Attach a smaller one: PNG, JPEG or WebP up to 20 MB and 16.8 megapixels. Nothing was charged.",
            [],
        ),
        (
            BadImage("too_big", limit=20_000_000, amount=25_500_000),
            "That picture is too big (25.5 MB)",
            "Attach a smaller one: PNG, JPEG or WebP up to 20 MB and 16.8 megapixels. Nothing was charged.",
            [],
        ),
        (NotAllowed("delete"), "Only its owner or a moderator can delete this", "", []),
        (Unknown("zzzz"), "There is no `zzzz` here", "It may have been deleted.", ["Show my pictures"]),
        (Gone(), "That image is no longer stored", "Its recipe is kept.", ["Run again from its recipe"]),
        (
            Unavailable("the disk is full"),
            "Nothing can be accepted right now",
            "The disk is full. Nothing was charged.",
            [],
        ),
        (Refused("no"), "That can't be done", "No. Nothing was charged.", []),
    ],
)
def test_a_refusal_says_what_to_do(error, title, body, actions):
    sentence = wording.refusal(error, WHEN)
    assert (sentence.title, sentence.body, [action.label for action in sentence.actions]) == (title, body, actions)


def test_a_refusal_echoes_nothing_that_breaks_out_of_its_quotes():
    sentence = wording.refusal(BadOption("--ar `@everyone` " + "x" * 900, "is out of range"))
    assert sentence.title.count("`") == 2
    assert len(sentence.title) < 100


@pytest.mark.parametrize(
    ("kind", "title", "actions"),
    [
        ("out_of_memory", "Not enough GPU memory for 2048 px", ["Try as draft"]),
        ("timed_out", "Stopped: it took too long", ["Try as draft"]),
        ("unsafe", "Image withheld by the safety check", []),
        ("bad_model", "The model's files are missing or damaged; tell the operator", []),
        ("bad_request", "The engine can't draw this; change a value and try again", []),
        ("internal", "Something broke while drawing", ["Run again"]),
    ],
)
def test_a_failure_says_what_was_returned(kind, title, actions):
    failed = job(Status.FAILED, failure=kind)
    assert (wording.failure(failed), [action.label for action in wording.actions(failed)]) == (title, actions)
    assert wording.status_line(failed, None, WHEN) == f"{title[0].lower()}{title[1:]}, 2 units returned"


@pytest.mark.parametrize(
    ("status", "request_", "verbs"),
    [
        (Status.QUEUED, CAR, ["cancel"]),
        (Status.RUNNING, CAR, ["cancel"]),
        (Status.RENDERED, CAR, []),
        (Status.DELIVERED, CAR, ["reroll", "remix", "vary"]),
        (Status.DELIVERED, changed(CAR, quality="draft"), ["reroll", "remix", "vary", "full_size"]),
        (Status.CANCELLED, CAR, ["again"]),
        (Status.UNDELIVERABLE, CAR, ["again"]),
        (Status.FAILED, CAR, ["again"]),
    ],
)
def test_each_state_has_its_buttons(status, request_, verbs):
    assert [action.verb for action in wording.actions(job(status, request_))] == verbs


def test_an_enlarged_draft_is_not_offered_in_full_size_once_more():
    enlarged = Upscale(source="0.png", of=changed(CAR, quality="draft", width=256), width=2048, height=2048)
    made = job(Status.DELIVERED, enlarged, images=(image(),))
    assert "full_size" not in [each.press.verb for each in controls.under(made)]
    assert controls.meant(controls.Press("pick", "k7q2"), made).verb == "info"


@pytest.mark.parametrize(
    ("verb", "request_", "says"),
    [
        ("reroll", changed(CAR, seed=9031), "re-roll of k7q2 · seed 4182 → 9031"),
        ("remix", changed(CAR, prompt=f"{CAR.prompt}, at night"), 'remix of k7q2 · +"at night" · seed kept'),
        ("remix", changed(CAR, prompt="a boat", seed=1), 'remix of k7q2 · "a boat" · seed 4182 → 1'),
        ("remix", changed(CAR, height=1152), "remix of k7q2 · 2048×2048 → 2048×1152 · seed kept"),
        ("remix", changed(CAR, steps=30), "remix of k7q2 · steps 20 → 30 · seed kept"),
        ("remix", changed(CAR, quality="draft", width=256, height=256, steps=10), "remix of k7q2 · draft · seed kept"),
        ("remix", changed(CAR, negative_prompt="fog"), 'remix of k7q2 · without "fog" · seed kept'),
        ("full_size", Upscale(source="0.png", of=CAR, width=2048, height=2048), "full size of k7q2 · seed kept"),
    ],
)
def test_a_child_says_what_changed(verb, request_, says):
    child = job(Status.DELIVERED, request_, id="m3x9", lineage=Lineage("k7q2", 0, verb))
    assert wording.lineage_line(child, job(Status.DELIVERED)) == says


def test_a_child_of_several_images_names_the_one_it_came_from():
    parent = job(Status.DELIVERED, changed(CAR, count=4))
    child = job(request=changed(CAR, seed=1), lineage=Lineage("k7q2", 2, "vary"))
    assert wording.lineage_line(child, parent) == "variation of k7q2 #3 · seed 4184 → 1"
    assert wording.lineage_line(parent, parent) == ""


def test_prompts_are_clipped_in_messages_and_whole_in_the_alt_text():
    long = job(request=changed(CAR, prompt="x" * 1500))
    assert (len(wording.title(long)), len(wording.alt_text(long))) == (300, 1500)
    assert wording.title(job(request=changed(CAR, prompt=""))) == "a scene of its own"
    assert wording.file_name("k7q2", 0, "png") == "limner-k7q2-0.png"
    assert clip("a red car", 6) == "a red…"


ENGINE = "0.1 cpu float32"
SHOWN = Info(
    job=job(
        Status.DELIVERED,
        images=(image(),),
        lineage=Lineage("a1b2", 0, "reroll"),
        started_ms=NOW_MS,
        finished_ms=NOW_MS + 21_400,
        engine=ENGINE,
    ),
    image=image(),
    draw=CAR,
    model=read_catalogue()["builtin"],
    command="/imagine a red car --seed 4182",
    engine_now=ENGINE,
)


def test_info_gives_the_whole_recipe():
    rows = dict(answers.info(SHOWN, WHEN))
    assert rows["Job"] == "`k7q2` image 1"
    assert rows["Came from"] == "re-roll of a1b2"
    assert rows["Steps"] == "20 · guidance 3 · euler_a"
    assert rows["Took"] == "21 s"
    assert "Without" not in rows


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "yes, with this command"),
        ({"engine_now": "0.2 cuda:0 bfloat16"}, "nearly: the engine was 0.1 cpu float32 and is 0.2 cuda:0 bfloat16"),
        ({"engine_now": None}, "not known until an engine has drawn it and runs"),
        (
            {"draw": changed(CAR, init_image="0.png", strength=0.6)},
            "not from a command: it was drawn over another image",
        ),
    ],
)
def test_info_says_whether_the_seed_still_gives_this_picture(more, says):
    assert dict(answers.info(replace(SHOWN, **more), WHEN))["Same picture again"] == says


def test_the_quota_shows_what_is_used_reserved_and_when_more_is_free():
    view = Account(
        used=12,
        reserved=2,
        allowance=20,
        is_limited=True,
        next_free_ms=NOW_MS + 3 * 3_600_000,
        charges=(Charge("k7q2", 2, NOW_MS - 60_000),),
        grants=(Grant(10, NOW_MS + 86_400_000),),
    )
    assert answers.quota(view, WHEN).split("\n") == [
        "Today 12 / 20 units ▓▓▓▓▓▓░░░░ · 2 reserved · next free in 3 h",
        "`k7q2` 2 units, 60 s ago",
        "+10 units, ends in 24 h",
    ]


def test_the_operator_is_counted_and_not_limited():
    view = Account(12, 0, 20, False, None, (), ())
    assert answers.quota(view, WHEN) == "Today 12 units, counted but not limited for you"


def test_the_queue_tells_of_other_people_only_their_number():
    view = QueueView(own=((job(), Live("queued", position=2)),), others=5, wait_seconds=300)
    assert answers.queue(view, WHEN).split("\n") == [
        "`k7q2` a red car on a mountain road — queued #2",
        "5 jobs of other people · about 5 min of work",
    ]
    assert answers.queue(QueueView((), 0, None), WHEN) == "Nothing waits."


def test_history_models_and_help_are_a_line_for_each():
    assert answers.history([job(Status.DELIVERED)], WHEN) == "`k7q2` a red car on a mountain road — delivered, now"
    assert answers.models(read_catalogue()).startswith("`builtin` Built-in sketch · 20 steps · ")
    assert "`/limner reroll JOB [seed]`" in answers.help_text()


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (8.4, "8 s"),
        (99, "99 s"),
        (120, "2 min"),
        (5_999, "100 min"),
        (10_800, "3 h"),
        (172_800, "2 days"),
    ],
)
def test_a_span_has_one_unit(seconds, says):
    assert duration(seconds) == says


def test_times_are_told_from_now_or_in_utc():
    assert (WHEN(NOW_MS), WHEN(NOW_MS + 8_000), WHEN(NOW_MS - 8_000)) == ("now", "in 8 s", "8 s ago")
    assert utc(NOW_MS) == "at 08:00 UTC"
