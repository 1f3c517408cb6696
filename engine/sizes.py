"""Aspect ratio → base size → final size, in px. Pure arithmetic."""

from dataclasses import dataclass
from functools import cache
from math import ceil, log

FINAL_LONGEST_PX = 2048
WIDEST = 3.0  # 3:1; the narrowest is 1:3
_AREA_BAND = (0.82, 1.12)  # a base size may leave the native area by this much to fit the ratio


@dataclass(frozen=True, slots=True)
class Size:
    width: int  # px
    height: int  # px

    @property
    def ratio(self) -> float:
        return self.width / self.height


def is_allowed(ratio: float) -> bool:
    return 1 / WIDEST <= ratio <= WIDEST


def final_size(ratio: float) -> Size:
    """The size of the file at full quality."""
    if ratio >= 1:
        return Size(FINAL_LONGEST_PX, round(FINAL_LONGEST_PX / ratio))
    return Size(round(FINAL_LONGEST_PX * ratio), FINAL_LONGEST_PX)


@cache
def base_size(ratio: float, native_px: int, multiple: int) -> Size:
    """The size that is denoised: about `native_px`² in area, sides divisible by `multiple`.

    Of all such sizes the one nearest to `ratio`; the enlarged picture is then cropped to the ratio.
    Keeping the area, as SDXL's buckets do, keeps the subject's scale at which the model was trained.
    """
    area = native_px * native_px
    least, most = (share * area for share in _AREA_BAND)
    sizes = [
        Size(width, height)
        for width in range(multiple, 2 * native_px + multiple, multiple)
        for height in range(ceil(least / width / multiple) * multiple, int(most / width) + 1, multiple)
    ]
    return min(sizes, key=lambda size: _misfit(size, ratio, area))


def _misfit(size: Size, ratio: float, area: int) -> float:
    return abs(log(size.ratio / ratio)) + 0.25 * abs(log(size.width * size.height / area))
