"""What the built-in model's UNet learns from the pictures that it draws itself."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recipe.export import load_pipeline, new_scheduler
from recipe.loop import Place
from recipe.reward import Drawings
from recipe.spec import VALUES
from recipe.text import labels
from recipe.unet import EDGES, LAYOUT, random_times

# diffusers converts tensors to numpy in a way that numpy 2 warns of
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
COUNT = 6
ROOT = Path(__file__).parents[1]
SIGNAL = new_scheduler().alphas_cumprod


@pytest.fixture(scope="module")
def texts():
    pipeline = load_pipeline()
    return pipeline.tokenizer, pipeline.text_encoder


@pytest.fixture
def drawings(texts, tmp_path):
    """Read by somebody who has no idea what they show."""
    torch.manual_seed(1)
    return Drawings(
        Place(tmp_path, torch.device("cpu"), 0), undecided, *texts, SIGNAL, torch.ones(9, 12, 16, 16), COUNT
    )


def undecided(latents):
    return {name: torch.zeros(len(latents), len(values) + 1) for name, values in VALUES.items()}


def knowing(picture):
    """Predicts what leads to `picture` from wherever it is."""

    def predict(latents, times, text):
        signal = SIGNAL[times].view(-1, 1, 1, 1)
        noise = (latents - signal.sqrt() * picture) / (1 - signal).sqrt()
        return signal.sqrt() * noise - (1 - signal).sqrt() * picture

    return predict


def test_every_picture_is_drawn_to_its_end_in_its_own_number_of_steps(drawings, monkeypatch):
    picture, ended, begin = torch.randn(COUNT, 12, 16, 16), [], drawings._begin
    monkeypatch.setattr(drawings, "_begin", lambda i: (ended.append((i, drawings.latents[i].clone())), begin(i)))
    steps = [len(times) for times in drawings.times]
    assert len(set(steps)) > 1
    assert all(times[0] == 999 for times in drawings.times)
    for n in range(1, max(steps) + 1):
        before = len(ended)
        drawings.loss(knowing(picture))
        if n <= min(steps):
            assert {i for i, _ in ended[before:]} == {i for i, count in enumerate(steps) if count == n}
    assert {i for i, _ in ended} == set(range(COUNT))
    for i, latents in ended:
        assert torch.allclose(latents, picture[i], atol=1e-2)
    assert all(times[0] >= 0 for times in drawings.times)


@pytest.mark.parametrize(
    ("first_power", "share", "clearer"),
    [(LAYOUT, 0.0, 0.25), (LAYOUT, 0.5, 0.5), (LAYOUT, 1.0, 0.63), (EDGES, 0.0, 0.63)],
)
def test_layout_is_learnt_before_edges(first_power, share, clearer):
    times = random_times(1_000, first_power, share)
    assert (times < 500).float().mean() == pytest.approx(clearer, abs=0.01)
    assert 0 <= times.min() <= times.max() <= 999


def test_on_the_way_there_is_as_much_noise_as_the_time_says(drawings):
    drawings.loss(knowing(torch.zeros(COUNT, 12, 16, 16)))
    for latents, times in zip(drawings.latents, drawings.times, strict=True):
        assert float(latents.std()) == pytest.approx(float((1 - SIGNAL[times[0]]).sqrt()), rel=0.1)


def test_what_was_asked_for_and_is_not_read_is_loss(drawings):
    asked = labels(drawings.named, torch.device("cpu"))

    def reading(shift):
        """Reads each attribute that was named, or the `shift`th value after it; of the rest, anything."""
        return {
            name: 20 * torch.nn.functional.one_hot(
                torch.where(asked[name] < len(values), (asked[name] + shift) % len(values), 0), len(values) + 1
            ).float()
            for name, values in VALUES.items()
        }  # fmt: skip

    times = torch.full((COUNT,), 500)
    assert float(drawings._not_read(reading(0), times)) == pytest.approx(0, abs=1e-3)
    assert float(drawings._not_read(reading(1), times)) == pytest.approx(20, rel=0.01)


def test_what_nobody_asked_for_may_be_anything_but_not_a_bit_of_several(drawings):
    drawings.named = [{}] * COUNT
    times = torch.full((COUNT,), 500)

    def reading(*values):
        scores = {name: torch.zeros(COUNT, len(values) + 1) for name, values in VALUES.items()}
        for one in scores.values():
            one[:, list(values)] = 20
        return float(drawings._not_read(scores, times))

    assert reading(0) == reading(1) == pytest.approx(0, abs=1e-3)
    assert reading(0, 1) == pytest.approx(math.log(2), rel=0.01)


def test_small_things_that_are_not_read_count_more(drawings):
    drawings.named = [{"hair": "red", "time": "day"}] * COUNT
    times = torch.full((COUNT,), 500)

    def wrong(name):
        scores = {other: torch.zeros(COUNT, len(values) + 1) for other, values in VALUES.items()}
        for other, values in VALUES.items():
            scores[other][:, values.index(drawings.named[0].get(other, values[0]))] = 20
        scores[name] = scores[name].roll(1, 1)
        return float(drawings._not_read(scores, times))

    assert wrong("hair") == pytest.approx(3 * wrong("time"), rel=0.01)


def test_some_prompts_are_of_several_objects_and_some_of_three(drawings):
    told = []
    for _ in range(200):
        drawings._begin(0)
        told.append(drawings.named[0])
    several = [named for named in told if "shape 1" in named]
    assert 60 < len(several) < 120
    assert 25 < sum("shape 2" in named for named in several) < 70


def test_what_is_not_read_reaches_the_weights_of_what_draws(drawings):
    weight = torch.zeros(16, requires_grad=True)

    def reader(latents):
        return {name: latents.flatten(1)[:, : len(values) + 1] for name, values in VALUES.items()}

    drawings.reader = reader
    loss = drawings.loss(lambda latents, times, text: weight.expand_as(latents))
    loss.backward()
    assert float(weight.grad.abs().sum()) > 0


def test_the_critic_draws_guesses_towards_what_renders_look_like(drawings):
    guess = -torch.ones(COUNT, 12, 16, 16)
    for _ in range(40):
        drawings._not_passing(guess)
    assert (drawings.critic(drawings.renders).mean() > drawings.critic(guess).mean() + 0.5).all()
    guess.requires_grad_()
    drawings._not_passing(guess).backward()
    moved = guess.detach() - guess.grad / guess.grad.abs().max()
    assert drawings.critic(moved).mean() > drawings.critic(guess).mean()
    assert all(p.grad is None for p in drawings.critic.parameters())


TWO = """
import sys
from pathlib import Path
import torch
from torch import nn
from recipe.loop import RANK, Loop, Place
from recipe.train import _join
_join()
torch.manual_seed(RANK)
net = nn.Conv2d(2, 2, 3).to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
loop = Loop("net", Place(Path(sys.argv[1]), torch.device("cpu"), 0), {"net": net}, 0.2)
loop.run([optimizer], lambda: net(torch.randn(1, 2, 4, 4)).square().mean())
Path(sys.argv[1], f"{RANK}.txt").write_text(str([p.tolist() for p in net.parameters()]))
"""


def test_two_processes_that_begin_with_nothing_train_the_same_network(tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(tmp_path / "two.py"), str(tmp_path),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (tmp_path / "0.txt").read_text() == (tmp_path / "1.txt").read_text()
