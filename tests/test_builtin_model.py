"""The shipped model as plain diffusers runs it, and the recipe from nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
)
from PIL import Image
from safetensors.torch import load_file

from engine.builtin.networks import SmallVAE, Upscaler
from engine.builtin.words import unknown_words
from recipe.card import collected
from recipe.classifier import Classifier
from recipe.evaluate import draw_prompts, fresh_renders, held_out, shares
from recipe.examples import write_examples
from recipe.export import WEIGHTS, load_pipeline, load_upscaler, save_pipeline

# diffusers converts tensors to numpy in a way that numpy 2 warns of
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
LIMIT_BYTES = 25_000_000
SCHEDULERS = [DDIMScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, DPMSolverMultistepScheduler]
TRAINED = ("vae", "text", "unet", "wordings", "reader", "reward", "upscaler", "classifier")
PROMPT = "a man in a red jacket on a beach at sunset"


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline()


@pytest.fixture(autouse=True, scope="module")
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, before))
    yield
    torch.set_num_threads(before)


def picture(pipeline, prompt=PROMPT, steps=10, **more):
    """[3,H,W] in 0…1."""
    generator = torch.Generator().manual_seed(7)
    drawn = pipeline(
        prompt, num_inference_steps=steps, guidance_scale=3.0, generator=generator, output_type="pt", **more
    )
    return drawn.images[0]


def test_all_of_it_fits_in_25_megabytes():
    files = [f for f in WEIGHTS.parent.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert sum(f.stat().st_size for f in files) <= LIMIT_BYTES


def test_the_pictures_show_what_held_out_prompts_ask_for(pipeline):
    prompts = held_out(20)
    drawn = draw_prompts(pipeline, [p.text for p in prompts], steps=10, guidance=3.0)
    assert shares(prompts, map(Classifier.load(WEIGHTS).named, drawn))["overall"] > 0.6


def test_with_a_random_unet_the_picture_is_noise():
    broken = load_pipeline()
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in broken.unet.parameters():
            weights.normal_(0, 0.05)
    prompts = held_out(20)
    drawn = draw_prompts(broken, [p.text for p in prompts], steps=4, guidance=4.0)
    assert shares(prompts, map(Classifier.load(WEIGHTS).named, drawn))["overall"] < 0.4


def test_drawing_imports_nothing_of_the_renderer(tmp_path):
    code = f"""
import sys
from pathlib import Path
from engine.loop import TickLoop
from engine.protocol import Done, Draw, Generate
import queue

class Channel:
    commands = queue.Queue()

    def send(self, event):
        if isinstance(event, Done):
            strangers = {{name for name in sys.modules if name.split(".")[0] in ("recipe", "bot")}}
            sys.exit(str(strangers) if strangers else 0)

draw = Draw(prompt="a red car", negative_prompt=None, model="builtin", seed=1, count=1, steps=1, guidance_scale=4.0,
            scheduler="euler", width=2048, height=2048)
Channel.commands.put(Generate(job_id="a", owner=1, weight=1.0, request=draw, spool_dir={str(tmp_path)!r}))
TickLoop(Channel(), Path("models")).run()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
    assert (tmp_path / "0.png").is_file()


@pytest.mark.parametrize("steps", [8, 20])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_no_scheduler_draws_mud(pipeline, scheduler, steps, monkeypatch):
    monkeypatch.setattr(pipeline, "scheduler", scheduler.from_config(pipeline.scheduler.config))
    drawn = picture(pipeline, steps=steps)
    assert drawn.std() > 0.12  # mud is flat
    assert drawn.diff(dim=-1).abs().mean() < 0.06  # noise is not


@pytest.mark.parametrize(("width", "height"), [(448, 144), (144, 448), (336, 192), (272, 240)])
def test_every_base_size_is_drawn(pipeline, width, height):
    assert picture(pipeline, steps=2, width=width, height=height).shape == (3, height, width)


def test_an_empty_prompt_draws_a_scene_and_a_negative_prompt_changes_it(pipeline):
    assert picture(pipeline, "").std() > 0.1
    changed = picture(pipeline, negative_prompt="night") - picture(pipeline)
    assert changed.abs().mean() > 0.01


def test_unknown_words_leave_the_subject(pipeline):
    seen = Classifier.load(WEIGHTS).named(2 * picture(pipeline, f"{PROMPT}, trending, zzyzx")[None] - 1)
    assert (seen["subject"], seen["time"]) == ("person", "sunset")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("a woman in a gelbe coat, lac, NOIR hair", "a woman in a yellow coat, lac, black hair"),
        ("yelow hut by the pond at nite", "yellow hut by the lake at night"),
        ("gru\u0308n sphere; carrot", "green sphere; carrot"),
    ],
)
def test_other_spellings_and_languages_encode_to_what_the_learnt_word_encodes_to(exported, theirs, ours):
    assert torch.equal(encoded(exported, theirs), encoded(exported, ours))


def test_the_words_that_were_learnt_encode_as_before_they_were_added(exported, pipeline):
    assert torch.equal(encoded(exported, PROMPT), encoded(pipeline, PROMPT))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The shipped parts, exported again: twice is once."""
    folder, again = tmp_path_factory.mktemp("exported"), load_pipeline()
    for _ in range(2):
        save_pipeline(folder, again.tokenizer, again.text_encoder, again.unet, again.vae)
    return load_pipeline(folder)


def encoded(pipeline, prompt):
    with torch.no_grad():
        return pipeline.encode_prompt(prompt, torch.device("cpu"), 1, False)[0]


def test_image_to_image_keeps_the_layout(pipeline):
    again = StableDiffusionImg2ImgPipeline.from_pipe(pipeline, vae=pipeline.vae)
    again.set_progress_bar_config(disable=True)
    first = picture(pipeline)
    varied = picture(again, image=first[None], strength=0.3)
    assert (varied - first).abs().mean() < 0.12


def test_the_vae_keeps_its_latents_near_unit_variance_and_its_pictures():
    vae, drawn = load_pipeline().vae, picture(load_pipeline())[None] * 2 - 1
    with torch.no_grad():
        latents = vae.encode(drawn).latent_dist.mean
        again = vae.decode(latents).sample
    assert latents.shape[1:] == (12, 16, 16)
    assert 0.5 < latents.std() < 2
    assert (again - drawn).square().mean().sqrt() < 0.15


def test_upscaled_tiles_join_exactly_at_the_documented_radius():
    upscaler = load_upscaler()
    radius, scale = upscaler.receptive_radius, upscaler.scale
    image = torch.rand(1, 3, 40, 70)
    with torch.no_grad():
        whole = upscaler(image)
        left = upscaler(image[..., : 35 + radius])[..., : 35 * scale]
        right = upscaler(image[..., 35 - radius :])[..., radius * scale :]
    assert whole.shape == (1, 3, 40 * scale, 70 * scale)
    assert (torch.cat([left, right], dim=-1) - whole).abs().max() < 1e-4


def test_whitening_changes_the_latents_and_not_the_pictures():
    vae = SmallVAE().eval()
    given = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        before, latents = vae(given), vae.encode(given).latent_dist.mean
        vae.whiten(latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
        after = vae.encode(given).latent_dist.mean
    assert torch.allclose(after.std((0, 2, 3)), torch.ones(12), atol=1e-3)
    assert torch.allclose(vae(given), before, atol=1e-4)


def test_the_networks_can_be_saved_and_loaded(tmp_path):
    Upscaler(scale=2, channels=8, blocks=1).save_pretrained(tmp_path)
    assert Upscaler.from_pretrained(tmp_path).receptive_radius == 4


def test_a_saved_classifier_sees_the_same(tmp_path):
    classifier, pictures = Classifier.load(WEIGHTS), list(fresh_renders(4))
    classifier.save(tmp_path)
    again = Classifier.load(tmp_path)
    assert [again.named(each) for each in pictures] == [classifier.named(each) for each in pictures]
    assert (tmp_path / "classifier.safetensors").stat().st_size < 400_000


def test_the_recipe_trains_every_stage_from_nothing_and_goes_on_after_a_stop(tmp_path):
    seconds = [f"--{stage}-minutes=0.02" for stage in TRAINED]
    command = [
        sys.executable, "-m", "engine.builtin.train", "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"),
        "--scenes", "32", "--upscaler-scenes", "1", "--classifier-scenes", "32", "--batch", "4",
        "--evaluated", "2", "--no-compile", "--workers", "0", *seconds,
    ]  # fmt: skip
    first = subprocess.run(command, capture_output=True, text=True, check=True, cwd=WEIGHTS.parents[2])
    assert "stage export" in first.stdout
    assert (tmp_path / "out/unet/diffusion_pytorch_model.safetensors").exists()
    _check_card((tmp_path / "out/README.md").read_text(), json.loads((tmp_path / "out/figures.json").read_text()))
    learnt, shipped = (
        load_file(tmp_path / file)["encoder.layers.0.mlp.fc1.weight"]
        for file in ("work/wordings/encoder_kept.safetensors", "out/text_encoder/model.safetensors")
    )
    assert torch.equal(learnt, shipped)
    spent = json.loads((tmp_path / "work/unet/state.json").read_text())["seconds"]
    again = subprocess.run(
        [*command, "--stage", "unet", f"--unet-minutes={spent / 60 + 0.02}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=WEIGHTS.parents[2],
    )
    assert _steps(again.stdout) > _steps(first.stdout[first.stdout.index("stage unet") :])


def _check_card(card, figures):
    assert set(figures) == set(TRAINED)
    assert all(f"| {stage} | {figures[stage]['step']} |" in card for stage in TRAINED)
    assert all("loss" in figures[stage] for stage in TRAINED)
    assert all(f"dB {figures[stage]['dB']:g}" in card for stage in ("vae", "upscaler"))
    assert "license: apache-2.0" in card
    assert "| overall |" in card


def test_what_adopted_weights_have_behind_them_counts_in_the_card(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/state.json").write_text('{"step": 5, "seconds": 60.0, "budget_seconds": 60, "loss": 0.3}')
    (tmp_path / "adopted.json").write_text(
        '{"unet": {"step": 1, "seconds": 3}, "vae": {"step": 7, "seconds": 9, "dB": 28.9}}'
    )
    figures = collected(tmp_path, ("vae", "text", "unet"))
    assert list(figures) == ["vae", "unet"]
    assert figures == {
        "vae": {"step": 7, "seconds": 9, "dB": 28.9},
        "unet": {"step": 6, "seconds": 63.0, "loss": 0.3},
    }


def test_examples_for_fine_tuning_are_pictures_with_their_captions(tmp_path):
    write_examples(tmp_path, 3, 64)
    lines = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text().splitlines()]
    for line in lines:
        with Image.open(tmp_path / line["file_name"]) as picture:
            assert picture.size == (64, 64)
        assert unknown_words(line["text"]) == []


def _steps(text: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith("unet:"))
    return int(line.split("step ")[1].split(",")[0])


def test_weights_are_only_safetensors():
    assert not [f for f in Path(WEIGHTS).rglob("*") if f.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl")]
