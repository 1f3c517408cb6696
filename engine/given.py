"""A picture that a person gave → a plain PNG: `python -m engine.given IN OUT`, a process of its own.

Nothing else decodes what came from outside. It limits itself before it loads a decoder, and looks at bytes and header
before it decodes. It says one JSON object: {"width", "height"}, or {"problem", "amount"}; killed by a limit, nothing.
"""

import contextlib
import io
import json
import os
import re
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image

Problem = Literal["not_an_image", "unsupported_kind", "too_big", "too_many_pixels", "bad_shape", "animated", "damaged"]

MAX_BYTES = 20_000_000
MAX_PIXELS = 16_800_000
SHORTEST_PX, LONGEST_PX = 16, 16_384  # each side
_LIMITS = {resource.RLIMIT_AS: 2**30, resource.RLIMIT_CPU: 10, resource.RLIMIT_FSIZE: 2**26, resource.RLIMIT_CORE: 0}
_ORIENTATION = 0x0112  # EXIF
_KINDS = re.compile(rb"(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<JPEG>\xff\xd8\xff)|(?P<WEBP>RIFF....WEBPVP8[ LX])", re.DOTALL)
_OTHERS = re.compile(
    rb"GIF8|BM|II\*\0|MM\0\*|%PDF|%!PS|8BPS|\0\0[\1\2]\0|....ftyp|....JXL |\xff\x0a|(\xef\xbb\xbf)?\s*<(\?xml|svg|!)",
    re.DOTALL,
)


class Unusable(Exception):
    """`amount` is what there is too much of: bytes, or pixels."""

    def __init__(self, problem: Problem, amount: int | None = None):
        super().__init__(problem)
        self.problem, self.amount = problem, amount


def cleaned(content: bytes) -> "Image.Image":
    """The picture in `content`, upright, RGB over white, with nothing else that the file said. Raises Unusable."""
    kind = _KINDS.match(content)
    if kind is None:
        raise Unusable("unsupported_kind" if _OTHERS.match(content) else "not_an_image")
    try:
        return _decoded(content, str(kind.lastgroup))
    except Unusable:
        raise
    except MemoryError:
        raise Unusable("too_big") from None
    except Exception as error:  # a damaged file makes decoders raise whatever comes
        raise Unusable("damaged") from error


def _decoded(content: bytes, kind: str) -> "Image.Image":
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit is too high
    with Image.open(io.BytesIO(content), formats=[kind]) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Unusable("too_many_pixels", image.width * image.height)
        if not all(SHORTEST_PX <= side <= LONGEST_PX for side in image.size):
            raise Unusable("bad_shape")
        if kind != "JPEG" and getattr(image, "is_animated", False):  # in a JPEG those are maps of depth and gain
            raise Unusable("animated")
        image.load()
        plain = Image.new("RGB", image.size, "white")
        with contextlib.suppress(Exception):  # broken EXIF is no reason to refuse what can be seen
            plain.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
        if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip
            plain.paste(image.convert("I").point([value >> 8 for value in range(2**16)], "L"))
        elif image.has_transparency_data:
            alpha = image.convert("RGBA")
            plain.paste(alpha, mask=alpha)
        else:
            plain.paste(image.convert("RGB"))
    ImageOps.exif_transpose(plain, in_place=True)
    return plain


def main(given: Path, wanted: Path) -> None:
    for kind, limit in _LIMITS.items():
        _, most = resource.getrlimit(kind)
        allowed = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (allowed, allowed))
    try:
        if (size_bytes := given.stat().st_size) > MAX_BYTES:
            raise Unusable("too_big", size_bytes)
        image = cleaned(given.read_bytes())
    except Unusable as error:
        print(json.dumps({"problem": error.problem, "amount": error.amount}))
        return
    with (part := wanted.with_name(f"{wanted.name}.part")).open("wb") as file:
        image.save(file, "PNG", compress_level=1, compress_type=3)  # Z_RLE: as small as usual, in a fifth of the time
        file.flush()
        os.fsync(file.fileno())
    part.replace(wanted)
    print(json.dumps({"width": image.width, "height": image.height}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
