import errno
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine import encode
from engine.sizes import Size, base_size, final_size

TEXT = {"parameters": "a café\nSteps: 20", "XML:com.adobe.xmp": "<x:xmpmeta/>"}


def noise(height: int, width: int) -> encode.Pixels:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def read(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@given(st.integers(1, 70), st.integers(1, 70))
def test_a_png_gives_back_every_pixel_at_any_size(height, width):
    pixels = noise(height, width)
    assert np.array_equal(np.asarray(read(encode.png(pixels, {}))), pixels)


def test_a_png_carries_text_of_any_language():
    assert read(encode.png(noise(8, 8), TEXT)).text["parameters"] == TEXT["parameters"]


def test_a_jpeg_keeps_full_colour_resolution_and_its_provenance():
    image = read(encode.jpeg(noise(16, 16), TEXT))
    assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4
    assert image.info["xmp"] == b"<x:xmpmeta/>"


def test_a_preview_is_small_and_keeps_its_shape():
    assert read(encode.preview_jpeg(noise(512, 1024))).size == (256, 128)


def test_a_film_strip_lays_its_frames_side_by_side():
    assert read(encode.film_strip([noise(64, 64), noise(128, 128)])).size == (192 + 4 + 192, 192)


@pytest.mark.parametrize(("height", "width"), [(1152, 2048), (2048, 683), (64, 64)])
def test_fitting_gives_exactly_the_size(height, width):
    assert encode.fit(noise(64, 64), width, height).shape == (height, width, 3)


@given(st.floats(1 / 3, 3), st.sampled_from([(256, 16), (512, 8), (1024, 64)]))
def test_any_base_size_can_be_fitted_to_its_final_size(ratio, model):
    base, large = base_size(ratio, *model), final_size(ratio)
    final = Size(round(large.width / 10), round(large.height / 10))
    assert encode.fit(noise(base.height, base.width), final.width, final.height).shape == (final.height, final.width, 3)


def test_fitting_crops_both_sides_evenly():
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    assert (encode.fit(pixels, 10, 10) == 200).all()


def test_a_file_that_fits_is_left_as_it_is():
    pixels = noise(32, 32)
    assert encode.fit(pixels, 32, 32) is pixels


def test_a_full_disk_leaves_neither_the_file_nor_a_piece_of_it(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(encode.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        encode.write_file(tmp_path / "0.png", b"pixels")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole_and_its_hash_is_that_of_its_bytes(tmp_path):
    encode.write_file(tmp_path / "0.png", b"old")
    sha256 = encode.write_file(tmp_path / "0.png", b"new")
    assert (tmp_path / "0.png").read_bytes() == b"new"
    assert sha256 == "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"
