import numpy as np
import pytest
import torch

from engine.builtin.networks import Upscaler
from engine.upscale import Enlarging, to_bytes


@pytest.fixture(scope="module")
def upscaler():
    torch.manual_seed(0)
    network = Upscaler(scale=4, channels=8, blocks=2).eval().requires_grad_(False)
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    for block in network.body.children():
        if hasattr(block, "second"):
            torch.nn.init.normal_(block.second.weight, std=0.1)
    return network


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 96), (70, 33)])
def test_tiles_join_to_what_the_network_makes_of_the_whole(upscaler, height, width):
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))
    enlarging = Enlarging(upscaler, image, tile_px=32)
    count = sum(1 for _ in enlarging.tiles())
    whole = to_bytes(upscaler(image[None])[0])
    assert count == enlarging.count > 1
    assert np.abs(enlarging.pixels.astype(int) - whole).max() <= 1  # one rounding


def test_a_tile_that_saw_less_than_the_network_sees_would_show(upscaler):
    """Guards the test above: with too small an overlap the tiles do not join."""

    class Blind:
        scale, receptive_radius = upscaler.scale, 0

        def __call__(self, image):
            return upscaler(image)

    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    enlarging = Enlarging(Blind(), image, tile_px=32)
    list(enlarging.tiles())
    assert np.abs(enlarging.pixels.astype(int) - to_bytes(upscaler(image[None])[0])).max() > 10
