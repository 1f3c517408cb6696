import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sizes import Size, base_size, final_size, is_allowed


@pytest.mark.parametrize(
    ("ratio", "final"),
    [
        (1, Size(2048, 2048)),
        (3 / 2, Size(2048, 1365)),
        (2 / 3, Size(1365, 2048)),
        (16 / 9, Size(2048, 1152)),
        (9 / 16, Size(1152, 2048)),
        (21 / 9, Size(2048, 878)),
        (3, Size(2048, 683)),
    ],
)
def test_the_longest_side_is_exactly_2048(ratio, final):
    assert final_size(ratio) == final


@pytest.mark.parametrize(
    ("ratio", "native_px", "multiple", "base"),
    [
        (1, 256, 16, Size(256, 256)),
        (1, 512, 8, Size(512, 512)),
        (1, 1024, 64, Size(1024, 1024)),
        (16 / 9, 1024, 64, Size(1344, 768)),
        (3 / 2, 512, 8, Size(624, 416)),
        (9 / 16, 256, 16, Size(192, 336)),
        (1 / 3, 512, 64, Size(320, 896)),
    ],
)
def test_the_base_size_keeps_the_area_the_model_was_trained_at(ratio, native_px, multiple, base):
    assert base_size(ratio, native_px, multiple) == base


@given(st.floats(1 / 3, 3), st.sampled_from([(256, 16), (512, 8), (512, 64), (768, 64), (1024, 64)]))
def test_any_allowed_ratio_has_a_base_size_near_it(ratio, model):
    native_px, multiple = model
    base = base_size(ratio, native_px, multiple)
    assert base.width % multiple == base.height % multiple == 0
    assert 0.8 < base.width * base.height / native_px**2 < 1.15
    assert 0.84 < base.ratio / ratio < 1.19


@pytest.mark.parametrize(("ratio", "allowed"), [(3, True), (1 / 3, True), (3.01, False), (40, False), (0.3, False)])
def test_the_range_is_from_one_to_three_to_three_to_one(ratio, allowed):
    assert is_allowed(ratio) is allowed
