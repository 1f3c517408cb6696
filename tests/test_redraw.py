"""A picture that is drawn over lies where it lay, and outside its mask it stays as it was."""

import numpy as np
import pytest
from PIL import Image

from engine import encode, redraw


@pytest.fixture
def saved(tmp_path):
    def save(pixels, name="picture.png"):
        Image.fromarray(np.asarray(pixels, np.uint8)).save(tmp_path / name)
        return str(tmp_path / name)

    return save


def noise(height, width):
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def mask(height, width, inside):
    pixels = np.zeros((height, width), np.uint8)
    pixels[inside] = 255
    return pixels


RIGHT = np.s_[:, 256:]
CORNER = np.s_[100:300, 200:400]


@pytest.mark.parametrize("inside", [RIGHT, CORNER])
def test_outside_the_mask_each_pixel_is_the_originals_and_well_inside_the_drawn_one(saved, inside):
    before, drawn = noise(512, 512), 255 - noise(512, 512)
    pasted = redraw.pasted(drawn, saved(before), saved(mask(512, 512, inside), "mask.png"))
    outside = mask(512, 512, inside) == 0
    assert np.array_equal(pasted[outside], before[outside])
    deep = inside[0], slice((inside[1].start or 0) + 8, (inside[1].stop or 512) - 8)
    if inside is RIGHT:
        assert np.array_equal(pasted[deep], drawn[deep])
    assert np.array_equal(pasted[200, 300], drawn[200, 300])


def test_the_edge_fades_from_the_original_to_what_was_drawn(saved):
    before, drawn = np.zeros((512, 512, 3)), np.full((512, 512, 3), 255, np.uint8)
    row = redraw.pasted(drawn, saved(before), saved(mask(512, 512, RIGHT), "mask.png"))[256, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert row[255] == 0
    assert 0 < row[257] < 255
    assert row[262] == 255


def test_an_inner_corner_of_a_mask_stays_the_originals(saved):
    elbow = mask(512, 512, np.s_[:, :])
    elbow[:256, :256] = 0
    before, drawn = noise(512, 512), 255 - noise(512, 512)
    pasted = redraw.pasted(drawn, saved(before), saved(elbow, "mask.png"))
    assert np.array_equal(pasted[:256, :256], before[:256, :256])


def test_a_mask_is_placed_like_its_picture_whatever_its_size(saved):
    small = mask(64, 64, np.s_[16:32, 32:48])
    large = redraw.read_mask(saved(small), 512, 512, 1.0)
    assert np.array_equal(large, np.kron(small, np.ones((8, 8))) > 0)


@pytest.mark.parametrize(("width", "height"), [(600, 400), (400, 600), (500, 500)])
def test_what_the_final_shape_cuts_off_was_continued_not_taken_from_the_picture(saved, width, height):
    """A grid of another shape than the final one: cut to that again, the picture is where it was."""
    picture = saved(np.indices((height, width)).sum(0)[..., None].repeat(3, 2) * 255 / (height + width))
    on_grid = redraw.read(picture, 512, 384, width / height)
    again = encode.fit(on_grid, width, height).astype(int)
    before = redraw.read(picture, width, height, width / height).astype(int)
    assert np.abs(again - before)[8:-8, 8:-8].max() <= 3


def test_a_picture_of_another_shape_is_cropped_evenly(saved):
    wide = np.zeros((100, 300, 3))
    wide[:, 100:200] = 255
    assert (redraw.read(saved(wide), 100, 100, 1.0) == 255).all()
