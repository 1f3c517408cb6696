"""What a user would run instead: diffusers' pipeline, the upscaler on the whole picture, Pillow's PNG.

Run as a child by `benchmarks.picture`: a line "ours" or "pillow" on standard input asks for one
picture with that encoder; the answer is one line with its seconds.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from PIL import Image

from engine import encode
from engine.builtin.networks import SmallVAE, Upscaler
from engine.catalogue import PACKAGE_DIR

WEIGHTS = PACKAGE_DIR / "builtin" / "weights"


def main() -> None:
    prompt, steps, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    warnings.simplefilter("ignore")
    pipe = StableDiffusionPipeline.from_pretrained(
        WEIGHTS, vae=SmallVAE.from_pretrained(WEIGHTS / "vae"), safety_checker=None, dtype=torch.float32
    )
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    upscaler = Upscaler.from_pretrained(WEIGHTS / "upscaler").eval()
    for line in sys.stdin:
        started = time.monotonic()
        _draw(pipe, upscaler, prompt, steps, folder, line.strip())
        print(time.monotonic() - started, flush=True)


@torch.no_grad()
def _draw(pipe, upscaler, prompt: str, steps: int, folder: Path, encoder: str) -> None:
    generator = torch.Generator("cpu").manual_seed(7)
    small = pipe(
        prompt, num_inference_steps=steps, guidance_scale=3.0, height=256, width=256, generator=generator,
        output_type="pt",
    ).images  # fmt: skip
    large = upscaler(small).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    pixels = (large * 255).round().astype(np.uint8)
    if encoder == "pillow":
        Image.fromarray(pixels).save(folder / "plain.png")
        return
    text = {"parameters": prompt, "XML:com.adobe.xmp": "<x:xmpmeta/>"}
    encode.write_file(folder / "plain.jpg", encode.jpeg(pixels, text))
    encode.write_file(folder / "plain.png", encode.png(pixels, text))


if __name__ == "__main__":
    main()
