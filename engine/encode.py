"""Pixels → files: PNG for keeping, JPEG for messages, both with their provenance inside.

Pillow's PNG encoder takes longer than the picture takes to draw; one PNG filter in numpy and
ISA-L's deflate give the same pixels in a twentieth of the time (`benchmarks/encoders.py`).
"""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image

from engine import VERSION
from engine.protocol import Draw, Request

JPEG_QUALITY = 95
_LOWER_QUALITIES = (92, 88, 84, 78, 70, 60, 45)
PREVIEW_LONGEST_PX = 256
_STRIP_HEIGHT_PX = 192
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SUB_FILTER = 1

Pixels = NDArray[np.uint8]  # [height, width, 3]


def png(pixels: Pixels, text: Mapping[str, str]) -> bytes:
    """A lossless PNG with each of `text` in an iTXt chunk (UTF-8) before the pixels."""
    height, width, _ = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    texts = [_chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + value.encode()) for key, value in text.items()]
    body = isal_zlib.compress(_filtered(pixels), 1)
    return b"".join([_PNG_SIGNATURE, _chunk(b"IHDR", header), *texts, _chunk(b"IDAT", body), _chunk(b"IEND", b"")])


def _filtered(pixels: Pixels) -> Pixels:
    """PNG's Sub filter: every byte less the same channel's byte one pixel to the left."""
    height, width, _ = pixels.shape
    rows = np.empty((height, 1 + width * 3), np.uint8)
    rows[:, 0] = _SUB_FILTER
    flat = pixels.reshape(height, width * 3)
    rows[:, 1:4] = flat[:, :3]
    np.subtract(flat[:, 3:], flat[:, :-3], out=rows[:, 4:])
    return rows


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join([struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))])


def jpeg(pixels: Pixels, text: Mapping[str, str]) -> bytes:
    """A 4:4:4 JPEG; `text` carries the XMP packet and the parameters, as an EXIF user comment."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text["parameters"].encode("utf-16-be")
    image = Image.fromarray(pixels)
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, exif=exif, xmp=text["XML:com.adobe.xmp"].encode())
    return buffer.getvalue()


def fitted_jpeg(original: Path, jpeg_file: Path, limit_bytes: int) -> tuple[bytes, int]:
    """The best 4:4:4 JPEG of `original` within `limit_bytes`, and its quality; its metadata is that of `jpeg_file`.

    Where even the lowest quality is too large, so is the picture: it is halved until it fits.
    """
    with Image.open(jpeg_file) as known, Image.open(original) as whole:
        kept = {key: known.info[key] for key in ("exif", "xmp") if key in known.info}
        image: Image.Image = whole
        while True:
            for quality in _LOWER_QUALITIES:
                buffer = io.BytesIO()
                image.save(buffer, "JPEG", quality=quality, subsampling=0, **kept)
                if buffer.tell() <= limit_bytes or max(image.size) < 64:
                    return buffer.getvalue(), quality
            image = image.reduce(2)


def preview_jpeg(pixels: Pixels) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((PREVIEW_LONGEST_PX, PREVIEW_LONGEST_PX))
    return _small_jpeg(image)


def film_strip(frames: list[Pixels]) -> bytes:
    """The frames side by side, left to right in time, as one small JPEG."""
    images = [Image.fromarray(frame) for frame in frames]
    scaled = [i.resize((max(1, round(i.width * _STRIP_HEIGHT_PX / i.height)), _STRIP_HEIGHT_PX)) for i in images]
    strip = Image.new("RGB", (sum(i.width for i in scaled) + 4 * (len(scaled) - 1), _STRIP_HEIGHT_PX), "white")
    x = 0
    for image in scaled:
        strip.paste(image, (x, 0))
        x += image.width + 4
    return _small_jpeg(strip)


def _small_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def fit(pixels: Pixels, width: int, height: int) -> Pixels:
    """`pixels` scaled down to cover width × height and cropped evenly; unchanged if it fits."""
    have_height, have_width, _ = pixels.shape
    if (have_width, have_height) == (width, height):
        return pixels
    scale = min(have_width / width, have_height / height)
    left, top = max(0.0, (have_width - width * scale) / 2), max(0.0, (have_height - height * scale) / 2)
    box = (left, top, min(have_width, left + width * scale), min(have_height, top + height * scale))
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS, box=box))


def provenance(request: Request, seed: int, model_hash: str) -> dict[str, str]:
    """What a file says of itself: the text that this field's viewers read, ours, and XMP.

    `parameters` is the format of AUTOMATIC1111's web UI; the XMP names IPTC's digital source type
    "trained algorithmic media" (https://cv.iptc.org/newscodes/digitalsourcetype/).
    """
    return {
        "parameters": _parameters(request.draw, seed, request.width, request.height, model_hash),
        "limner": msgspec.json.encode({"version": VERSION, "seed": seed, "request": _portable(request)}).decode(),
        "XML:com.adobe.xmp": _XMP,
    }


def _portable(request: Request) -> dict[str, object]:
    """The request less the paths of this machine."""
    fields = msgspec.to_builtins(request)
    fields.pop("source", None)
    for name in ("init_image", "mask"):
        if fields.get(name):
            fields[name] = Path(fields[name]).name
    return dict(fields)


def _parameters(draw: Draw, seed: int, width: int, height: int, model_hash: str) -> str:
    negative = f"Negative prompt: {draw.negative_prompt}\n" if draw.negative_prompt else ""
    return (
        f"{draw.prompt}\n{negative}Steps: {draw.steps}, Sampler: {draw.scheduler}, "
        f"CFG scale: {draw.guidance_scale:g}, Seed: {seed}, Size: {width}x{height}, "
        f"Model hash: {model_hash}, Model: {draw.model}, Version: limner {VERSION}"
    )


_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia" '
    f'xmp:CreatorTool="Limner {VERSION}"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def write_image(
    folder: Path, index: int, pixels: Pixels, frames: list[Pixels], text: Mapping[str, str]
) -> tuple[Path, str]:
    """The message's JPEG, the film strip of `frames` and the original, whose path and SHA-256 it gives.

    Raises OSError as `write_file` does.
    """
    write_file(folder / f"{index}.jpg", jpeg(pixels, text))
    write_file(folder / f"{index}.strip.jpg", film_strip(frames))
    original = folder / f"{index}.png"
    return original, write_file(original, png(pixels, text))


def write_file(path: Path, content: bytes) -> str:
    """Put `content` at `path` whole or not at all, synced to disk; return its SHA-256.

    Raises OSError: the disk is full, or the directory is gone.
    """
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return hashlib.sha256(content).hexdigest()
