"""Pictures that are drawn over, and the masks that say where: white is drawn again, the rest stays."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from engine.encode import Pixels

_FEATHERED = 256  # the longest side has so many times the width of the soft edge


def read(path: str, width: int, height: int, ratio: float) -> Pixels:
    """The picture on a grid of width × height px, of which `encode.fit` keeps what has this `ratio`: cropped to that,
    its edges continued into the rest."""
    return _placed(path, width, height, ratio, Image.Resampling.LANCZOS)


def read_mask(path: str, width: int, height: int, ratio: float) -> NDArray[np.bool_]:
    """[height, width], placed like the picture; True is drawn again."""
    grey = _placed(path, width, height, ratio, Image.Resampling.BOX).mean(axis=2)
    return np.asarray(grey >= 128)


def pasted(drawn: Pixels, original: str, mask: str) -> Pixels:
    """`drawn` with the original's own pixels outside the mask, exactly; inside, its edge fades into them."""
    height, width, _ = drawn.shape
    before = read(original, width, height, width / height)
    inside = read_mask(mask, width, height, width / height)
    radius = max(1, max(width, height) // _FEATHERED)
    soft = Image.fromarray(inside.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(radius))
    share = np.where(inside, np.clip(np.asarray(soft, np.float32) / 127.5 - 1, 0, 1), 0)[..., None]
    return np.asarray(np.round(before + share * (drawn.astype(np.float32) - before)), np.uint8)


def _placed(path: str, width: int, height: int, ratio: float, how: Image.Resampling) -> Pixels:
    with Image.open(path) as file:
        image = file.convert("RGB")
    have_width, have_height = image.size
    kept_width, kept_height = min(have_width, round(have_height * ratio)), min(have_height, round(have_width / ratio))
    left, top = (have_width - kept_width) // 2, (have_height - kept_height) // 2
    cropped = np.asarray(image.crop((left, top, left + kept_width, top + kept_height)))
    beside = max(0, round(kept_height * width / height) - kept_width)
    below = max(0, round(kept_width * height / width) - kept_height)
    around = [(below // 2, below - below // 2), (beside // 2, beside - beside // 2), (0, 0)]
    whole = Image.fromarray(np.pad(cropped, around, mode="edge"))
    return np.asarray(whole if whole.size == (width, height) else whole.resize((width, height), how))
