"""What the looks of the model are measured with, and a small sheet of everything from the real engine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recipe.looks import places


def standing(*lefts, width=352, height=176):
    """A picture of red blocks, 50 px wide with a gap like a zip, on snow under a blue sky."""
    picture = torch.tensor([0.95, 0.95, 0.97])[:, None, None].expand(3, height, width).clone()
    picture[:, : height // 2] = torch.tensor([0.4, 0.65, 0.95])[:, None, None]
    for left in lefts:
        picture[:, 60:140, left : left + 50] = torch.tensor([0.8, 0.2, 0.2])[:, None, None]
        picture[:, 60:140, left + 22 : left + 28] = 1.0
    return picture


@pytest.mark.parametrize(("lefts", "count"), [([150], 1), ([40, 250], 2), ([0, 150, 300], 3), ([], 0)])
def test_a_subject_that_stands_twice_is_counted_twice(lefts, count):
    assert places(standing(*lefts), "red") == count
    assert places(standing(*lefts).transpose(1, 2), "red") == count


def test_the_sheets_show_every_shape_scheduler_and_seed_and_the_figures_say_what_is_kept(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "recipe.looks", str(tmp_path), "--count", "1", "--steps", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    counted = json.loads(done.stdout)
    assert {file.stem for file in tmp_path.iterdir()} == {"shapes", "settings", "seeds", "words", "over"}
    flattest, roughest = counted["settings: flattest, roughest"]
    assert flattest > 0.12  # mud is flat
    assert roughest < 0.06  # noise is not
    assert counted["seeds: brightness apart, least and mean"][0] > 0.02
    first, last = counted["seeds: subject's middle, of the width"]
    assert max(counted["words: subject moved by, of the width"]) < last - first + 0.05
    weak, middling, strong = counted["over: brightness apart, by strength"]
    assert weak < middling < strong
    outside, inside = counted["over: outside and inside the mask apart"]
    assert outside < 0.01 < inside
