"""Limner's PNG and JPEG against Pillow's default PNG, on one 2048 px frame.

    python -m benchmarks.encoders [FILE.png] [--rounds 5]

Without a file the frame is photo-like: noise whose spectrum falls as 1/f, with sensor grain.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measuring import machine, median, print_table
from engine import encode

TEXT = {"parameters": "benchmark", "XML:com.adobe.xmp": "<x:xmpmeta/>"}


def photo_like(side_px: int = 2048) -> encode.Pixels:
    """[side, side, 3]; a 1/f spectrum, as natural images have, and grain of sigma 2."""
    random = np.random.default_rng(7)
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.rfftfreq(side_px)[None, :])
    frequency[0, 0] = 1.0
    planes = []
    for _ in range(3):
        spectrum = np.fft.rfft2(random.standard_normal((side_px, side_px))) / frequency**1.3
        plane = np.fft.irfft2(spectrum, (side_px, side_px))
        planes.append(128 + 48 * plane / plane.std() + random.normal(0, 2, plane.shape))
    return np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)


def pillow_png(pixels: encode.Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    pixels = np.asarray(Image.open(arguments.file).convert("RGB")) if arguments.file else photo_like()
    encoders: dict[str, Callable[[], bytes]] = {
        "Pillow PNG, default": lambda: pillow_png(pixels),
        "Limner PNG": lambda: encode.png(pixels, TEXT),
        "Limner JPEG q95 4:4:4": lambda: encode.jpeg(pixels, TEXT),
    }
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    sizes: dict[str, int] = {}
    for _ in range(arguments.rounds):
        for name, encoder in encoders.items():
            started = time.perf_counter()
            sizes[name] = len(encoder())
            seconds[name].append(time.perf_counter() - started)
    plain = seconds["Pillow PNG, default"]
    rows = [
        (
            name,
            f"{1000 * median(spent):.0f}",
            f"{median([a / b for a, b in zip(spent, plain, strict=True)]):.3f}",
            f"{sizes[name] / 2**20:.2f}",
            f"{sizes[name] / sizes['Pillow PNG, default']:.2f}",
        )
        for name, spent in seconds.items()
    ]
    print(machine())
    columns = ("encoder", "ms", "time / Pillow's", "MiB", "size / Pillow's")
    print_table(f"{pixels.shape[1]} × {pixels.shape[0]} px", columns, rows)


if __name__ == "__main__":
    main()
