"""What the built-in model's text encoder learns from its own UNet."""

import copy
import random

import pytest
import torch

from recipe import wordings
from recipe.captions import Caption, caption
from recipe.export import load_pipeline
from recipe.latents import Latents
from recipe.loop import Place
from recipe.spec import random_scene

# diffusers converts tensors to numpy in a way that numpy 2 warns of
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
SEEDS = [seed for seed in range(2_000_000, 2_000_400) if len(random_scene(seed).objects) == 2][:8]


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline()


@pytest.fixture
def pairs(pipeline, tmp_path):
    scenes = Latents(torch.randn(8, 12, 16, 16).half(), torch.ones(8, 16, 16).half(), SEEDS)
    place, unet = Place(tmp_path, torch.device("cpu"), 0), pipeline.unet.requires_grad_(False)
    return wordings._Pairs(place, scenes, pipeline.tokenizer, unet, random.Random(1))


def test_an_encoder_that_is_told_plainly_has_nothing_to_learn(pairs, pipeline, monkeypatch):
    monkeypatch.setattr(wordings, "caption", lambda scene, rng: Caption("a red cube", {}))
    monkeypatch.setattr(wordings, "noisy", lambda text, rng: text)
    monkeypatch.setattr(wordings, "plain", lambda scene, named: "a red cube")
    encoder = pipeline.text_encoder
    assert pairs.loss(encoder, encoder, 4).item() == pytest.approx(0, abs=1e-6)


def test_both_sentences_tell_the_same_attributes(pairs, monkeypatch):
    told = []
    monkeypatch.setattr(wordings, "noisy", lambda text, rng: text)
    monkeypatch.setattr(wordings, "caption", lambda *args: told.append(caption(*args)) or told[-1])
    for seed in SEEDS:
        scene = random_scene(seed)
        any_way, plainly = pairs._told(scene)
        assert any_way == told[-1].text
        colours = [value for name, value in told[-1].named.items() if name.startswith(("shape colour", "backdrop"))]
        assert all(plainly.count(colour) >= colours.count(colour) for colour in colours)


def test_what_a_new_wording_draws_comes_nearer_to_what_the_plain_one_draws(pairs, pipeline, monkeypatch):
    """And nothing but the encoder that learns is changed."""
    monkeypatch.setattr(wordings, "caption", lambda scene, rng: Caption("eine rote kugel uber wurfel", {}))
    monkeypatch.setattr(wordings, "noisy", lambda text, rng: text)
    monkeypatch.setattr(wordings, "plain", lambda scene, named: "a red sphere on top of a blue cube")
    before = pipeline.text_encoder.requires_grad_(False)
    learner = copy.deepcopy(before).requires_grad_(True)
    frozen = [p.clone() for part in (before, pipeline.unet) for p in part.parameters()]
    optimizer = torch.optim.AdamW(learner.parameters(), lr=wordings.RATE, weight_decay=0.0)
    losses = []
    for _ in range(12):
        torch.manual_seed(0)
        loss = pairs.loss(before, learner, 4)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(
        torch.equal(a, b)
        for a, b in zip(frozen, (p for part in (before, pipeline.unet) for p in part.parameters()), strict=True)
    )
