"""The tick loop with a tiny pipeline: who shares a forward, who leaves when, what lies on disk."""

import json
import queue

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from engine.families import sd
from engine.loop import TickLoop
from engine.protocol import (
    Cancel,
    Cancelled,
    Done,
    Draw,
    Failed,
    Generate,
    ImageDone,
    Preview,
    Progress,
    Timing,
    Upscale,
)
from tests.tiny import TINY, save_tiny_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RED_CAR = Draw(
    prompt="a red car", negative_prompt=None, model="tiny", seed=7, count=1, steps=8, guidance_scale=4.0,
    scheduler="euler", width=512, height=512,
)  # fmt: skip


class Events:
    """Stands for the socket: what the loop sends is kept, what it is sent is queued."""

    def __init__(self):
        self.commands = queue.Queue()
        self.sent = []

    def send(self, event):
        self.sent.append(event)

    def of(self, *kinds, job_id=None):
        return [e for e in self.sent if isinstance(e, kinds) and job_id in (None, e.job_id)]


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    save_tiny_pipeline(models)
    return models


class Engine:
    """The loop, turned by hand."""

    def __init__(self, models, spool):
        self.events, self._spool = Events(), spool
        self.loop = TickLoop(self.events, models, {"tiny": TINY}, torch.float32)

    def send(self, job_id, request=RED_CAR, owner=1, **changes):
        spool = self._spool / job_id
        spool.mkdir()
        request = msgspec.structs.replace(request, **changes)
        command = Generate(job_id=job_id, owner=owner, weight=1.0, request=request, spool_dir=str(spool))
        self.events.commands.put(command)

    def until(self, job_id, *kinds):
        for _ in range(10_000):
            if found := self.events.of(*kinds, job_id=job_id):
                return found[-1]
            assert not self.events.of(Failed, job_id=job_id)
            self.loop.turn()
        raise AssertionError(f"no {kinds} of {job_id}")

    def pixels(self, job_id, index=0):
        with Image.open(self._spool / job_id / f"{index}.png") as file:
            return np.asarray(file).astype(int)


@pytest.fixture
def engine(models, tmp_path):
    return Engine(models, tmp_path)


@pytest.fixture
def forwards(monkeypatch):
    """The number of rows of each UNet forward."""
    rows, plain = [], sd.UNet2DConditionModel.forward

    def counted(self, sample, *args, **kwargs):
        rows.append(sample.shape[0])
        return plain(self, sample, *args, **kwargs)

    monkeypatch.setattr(sd.UNet2DConditionModel, "forward", counted)
    return rows


def test_four_jobs_that_arrive_together_share_their_forwards(engine, forwards):
    for owner, job_id in enumerate("abcd"):
        engine.send(job_id, owner=owner, steps=20, seed=owner)
    for job_id in "abcd":
        engine.until(job_id, Done)
    assert 20 <= len(forwards) <= 24
    assert max(forwards) == 8  # four images, each with its negative prompt


def test_an_image_in_company_is_the_image_drawn_alone(models, tmp_path):
    (tmp_path / "alone").mkdir()
    (tmp_path / "company").mkdir()
    alone, company = Engine(models, tmp_path / "alone"), Engine(models, tmp_path / "company")
    alone.send("a", scheduler="euler_a")
    alone.until("a", Done)
    company.send("x", owner=2, prompt="a dog", scheduler="ddim", steps=12, count=2)
    company.send("a", scheduler="euler_a")
    company.send("y", owner=3, prompt="", guidance_scale=1.0)
    company.until("a", Done)
    assert np.abs(alone.pixels("a") - company.pixels("a")).max() <= 1


def test_image_i_of_a_job_has_seed_plus_i(engine):
    engine.send("four", count=4, seed=2**32 - 2)
    engine.until("four", Done)
    assert sorted(e.seed for e in engine.events.of(ImageDone)) == [0, 1, 2**32 - 2, 2**32 - 1]


@pytest.mark.parametrize(("width", "height"), [(512, 512), (512, 288), (171, 512)])
def test_the_file_has_exactly_the_size_asked_for(engine, width, height):
    engine.send("a", width=width, height=height)
    done = engine.until("a", ImageDone)
    assert engine.pixels("a").shape == (height, width, 3)
    assert (done.width, done.height) == (width, height)


def test_the_original_says_how_it_was_made(engine, tmp_path):
    engine.send("a", prompt="a café at night — “neon”", negative_prompt="rain")
    engine.until("a", Done)
    with Image.open(tmp_path / "a" / "0.png") as png, Image.open(tmp_path / "a" / "0.jpg") as jpeg:
        assert png.text["parameters"].startswith(
            "a café at night — “neon”\nNegative prompt: rain\nSteps: 8, Sampler: euler"
        )
        assert json.loads(png.text["limner"])["request"]["seed"] == 7
        for xmp in (png.text["XML:com.adobe.xmp"], jpeg.info["xmp"].decode()):
            assert "digitalsourcetype/trainedAlgorithmicMedia" in xmp
        assert jpeg.size == (512, 512)


def test_a_preview_comes_at_a_quarter_of_the_steps_and_the_strip_is_kept(engine, tmp_path):
    engine.send("a", steps=8)
    engine.until("a", Done)
    assert engine.events.of(Preview)[0].step == 2
    with Image.open(tmp_path / "a" / "0.strip.jpg") as strip:
        assert strip.width > 3 * strip.height


def test_frames_flow_through_every_stage(engine):
    engine.send("a")
    engine.until("a", Done)
    stages = [event.stage for event in engine.events.of(Progress)]
    assert list(dict.fromkeys(stages)) == ["loading", "drawing", "enlarging", "encoding"]
    assert set(engine.events.of(Timing)[0].seconds) == {
        "encode_prompt", "denoise", "preview", "decode", "upscale", "write",
    }  # fmt: skip


def test_a_job_hears_at_once_that_its_model_is_loaded_first(engine):
    engine.send("a")
    engine.until("a", Progress)
    first = engine.events.of(Progress)[0]  # loading its first part may take long enough for a second
    assert (first.stage, first.step) == ("loading", 0)


def test_a_cancelled_job_takes_no_further_step(engine, forwards):
    engine.send("a", steps=50)
    engine.until("a", Preview)
    before = len(forwards)
    engine.events.commands.put(Cancel(job_id="a"))
    engine.send("b", steps=2)
    engine.until("b", Done)
    assert engine.events.of(Cancelled) == [Cancelled(job_id="a")]
    assert len(forwards) - before == 2


def test_a_draft_is_as_large_as_it_was_drawn_and_grows_later(engine, tmp_path):
    engine.send("draft", width=64, height=64, quality="draft", steps=4)
    engine.until("draft", Done)
    of = msgspec.structs.replace(RED_CAR, width=64, height=64, quality="draft")
    source = str(tmp_path / "draft" / "0.png")
    engine.send("full", Upscale(source=source, of=of, width=512, height=512))
    engine.until("full", Done)
    assert engine.pixels("draft").shape == (64, 64, 3)
    small = Image.fromarray(engine.pixels("full").astype(np.uint8)).resize((64, 64), Image.Resampling.BOX)
    assert np.abs(np.asarray(small).astype(int) - engine.pixels("draft")).mean() < 12


def test_a_masked_picture_keeps_the_originals_pixels_whatever_is_drawn_with_it(engine, tmp_path):
    before = np.asarray(Image.effect_mandelbrot((512, 512), (-2, -1, 1, 1), 50).convert("RGB"))
    Image.fromarray(before).save(tmp_path / "start.png")
    inside = np.zeros((512, 512), np.uint8)
    inside[:, 256:] = 255
    Image.fromarray(inside).save(tmp_path / "mask.png")
    masked = {"init_image": str(tmp_path / "start.png"), "mask": str(tmp_path / "mask.png"), "strength": 0.9}
    engine.send("alone", **masked)
    engine.until("alone", Done)
    engine.send("other", owner=2, prompt="a dog")
    engine.send("company", **masked)
    engine.until("company", Done)
    assert np.array_equal(engine.pixels("alone")[:, :256], before[:, :256])
    assert np.abs(engine.pixels("alone")[:, 272:] - before[:, 272:]).mean() > 10
    assert np.abs(engine.pixels("alone") - engine.pixels("company")).max() <= 1


def test_one_owners_many_images_do_not_hold_up_another(engine):
    for number in range(8):
        engine.send(f"flood{number}", owner=1, steps=20)
    engine.send("guest", owner=2, steps=20)
    engine.until("guest", Done)
    assert len(engine.events.of(Done)) <= 5


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"steps": 51}, {"count": 9}, {"scheduler": "magic"}, {"guidance_scale": float("nan")},
              {"width": 100_000}, {"seed": -1}, {"mask": "alone.png"}],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_the_engine_too(engine, wrong):
    engine.send("a", **wrong)
    assert engine.until("a", Failed).kind == "bad_request"


def test_a_missing_model_fails_its_jobs_and_no_others(models, tmp_path):
    engine = Engine(tmp_path / "nowhere", tmp_path)
    engine.send("a")
    engine.send("b", model="unheard-of")
    assert engine.until("a", Failed).kind == "bad_model"
    assert engine.until("b", Failed).kind == "bad_model"


def test_a_step_that_fails_for_one_image_fails_that_job_alone(engine, monkeypatch):
    plain = sd.StableDiffusion.step

    def step(self, images):
        if any(image.guidance_scale == 13.0 for image in images):
            raise torch.OutOfMemoryError("asked for")
        plain(self, images)

    monkeypatch.setattr(sd.StableDiffusion, "step", step)
    engine.send("good", owner=1)
    engine.send("bad", owner=2, guidance_scale=13.0)
    assert engine.until("bad", Failed).kind == "out_of_memory"
    engine.until("good", Done)


def test_files_that_cannot_be_written_fail_the_job_with_the_reason(engine, tmp_path):
    engine.send("a")
    (tmp_path / "a").rmdir()
    failed = engine.until("a", Failed)
    assert "No such file" in failed.detail
