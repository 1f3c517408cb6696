"""Trains the built-in model from nothing: `python -m engine.builtin.train`.

Every stage has a budget in seconds, keeps small checkpoints and goes on where it was stopped. On a CPU the UNet
may train faster with a process for each core than with threads, above all beside other work:
`python -m torch.distributed.run --nproc-per-node 2 -m engine.builtin.train --stage unet --threads 1`.
"""

import argparse
import atexit
import os
import time
from pathlib import Path

import torch
from diffusers import StableDiffusionImg2ImgPipeline
from torch import distributed

from engine.builtin.networks import SmallVAE, Upscaler

from .card import ADOPTED, FIGURES, collected, write_card
from .classifier import train_classifier
from .evaluate import MODEL, evaluate
from .export import WEIGHTS, load_pipeline, new_unet, save_pipeline, save_upscaler
from .latents import Latents, make_latents
from .loop import RANK, Loop, Place
from .pictures import TRAIN_SEEDS, draw, in_parallel, to_tensor
from .reward import Reader, train_reader
from .text import WIDTH, AttributeHeads, make_tokenizer, new_text_encoder, train_text
from .unet import train_unet
from .upscaler import train_upscaler
from .vae import train_vae, whiten
from .wordings import learn_wordings

STAGES = (
    "vae", "text", "latents", "unet", "wordings", "reader", "reward", "upscaler", "export", "classifier", "card",
)  # fmt: skip
MINUTES = {
    "vae": 17.0, "text": 4.0, "unet": 87.0, "wordings": 8.0, "reader": 9.0, "reward": 78.0, "upscaler": 10.0,
    "classifier": 15.0,
}  # fmt: skip


def main() -> None:
    options = _options()
    if "WORLD_SIZE" in os.environ:
        _join()
    torch.set_num_threads(options.threads)
    torch.manual_seed(int(time.time()) + RANK)
    recipe = Recipe(options)
    for stage in STAGES if options.stage == "all" else (options.stage,):
        print(f"stage {stage}", flush=True)
        getattr(recipe, stage)()


def _join() -> None:
    """Be one of the processes that torch.distributed.run started, on a core of its own."""
    distributed.init_process_group("gloo")
    atexit.register(distributed.destroy_process_group)  # else its threads may abort the process as it ends
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[RANK % len(cores)]})


class Recipe:
    """One method per stage; each takes what it needs from the work folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        options.work.mkdir(parents=True, exist_ok=True)
        self.place = Place(options.work, torch.device(options.device), options.workers)

    def seconds(self, stage: str) -> float:
        return float(60 * getattr(self.options, f"{stage}_minutes"))

    def vae(self) -> None:
        if (self.place.work / "vae/config.json").exists():
            return
        vae = train_vae(self.place, self.seconds("vae"))
        jobs = [(TRAIN_SEEDS - 1 - i, 256, 256) for i in range(256 if self.seconds("vae") > 60 else 8)]
        whiten(vae, to_tensor(list(in_parallel(draw, jobs, self.place.workers))).to(self.place.device))
        vae.cpu().save_pretrained(self.place.work / "vae")

    def text(self) -> None:
        train_text(self.place, self.seconds("text"))

    def adopt(self) -> None:
        """Makes the shipped weights the last checkpoint of an empty work folder: the UNet trains on from there."""
        work, pipeline = self.place.work, load_pipeline()
        pipeline.vae.save_pretrained(work / "vae")
        pipeline.tokenizer.save_pretrained(work / "tokenizer")
        encoder, unet = pipeline.text_encoder, pipeline.unet
        heads = AttributeHeads(WIDTH)
        kept = {"unet": unet, "unet_kept": unet, "encoder": encoder, "encoder_kept": encoder, "heads": heads}
        text = Loop("text", self.place, {"encoder": encoder, "heads": heads}, 1.0)
        text.spent = self.seconds("text")
        text.save()
        Loop("unet", self.place, kept, 1.0).save()
        if (WEIGHTS / FIGURES).exists():
            (work / ADOPTED).write_text((WEIGHTS / FIGURES).read_text())

    def latents(self) -> None:
        self._latents()

    def unet(self) -> None:
        self._train_unet("unet", self._latents(), None)

    def wordings(self) -> None:
        tokenizer, encoder = train_text(self.place, self.seconds("text"))
        learn_wordings(self.place, self._latents(), tokenizer, encoder, self.seconds("wordings"))

    def reader(self) -> None:
        train_reader(self.place, self._latents(), self.seconds("reader"))

    def reward(self) -> None:
        data = self._latents()
        self._train_unet("reward", data, train_reader(self.place, data, self.seconds("reader")))

    def _train_unet(self, stage: str, data: list[Latents], reader: Reader | None) -> None:
        tokenizer, encoder = train_text(self.place, self.seconds("text"))
        options = self.options
        train_unet(
            self.place, data, tokenizer, encoder, self.seconds(stage), options.batch, not options.no_compile, reader
        )

    def _latents(self) -> list[Latents]:
        """Of several processes the first makes what is missing; the others wait for it."""
        if RANK:
            distributed.barrier()
        data = make_latents(self.place, self._vae(), self.options.scenes)
        if distributed.is_initialized() and not RANK:
            distributed.barrier()
        return data

    def upscaler(self) -> None:
        train_upscaler(self.place, self._vae(), self.seconds("upscaler"), self.options.upscaler_scenes)

    def classifier(self) -> None:
        """Learns from what the exported weights draw, too."""
        options, drawing = self.options, load_pipeline(self.options.out)
        redrawing = StableDiffusionImg2ImgPipeline.from_pipe(drawing, vae=drawing.vae).to(options.device)
        redrawing.set_progress_bar_config(disable=True)
        net = train_classifier(self.place, redrawing, self.seconds("classifier"), options.classifier_scenes)
        net.save(options.out)

    def export(self) -> None:
        """Writes what is trained so far, with averaged weights, into the package."""
        tokenizer = make_tokenizer(self.place)
        unet, encoder = new_unet(), new_text_encoder(tokenizer)
        parts = {"unet_kept": unet, "encoder_kept": encoder}
        for stage, reached in (("unet", parts), ("wordings", {"encoder_kept": encoder}), ("reward", parts)):
            loop = Loop(stage, self.place, reached, 1.0)
            print(f"export: after {loop.step} steps of {stage}, {loop.spent:.0f} s", flush=True)
        folder = self.options.out
        save_pipeline(folder, tokenizer, encoder, unet, self._vae())
        if (self.place.work / "upscaler/state.json").exists():
            upscaler = Upscaler()
            Loop("upscaler", self.place, {"kept": upscaler}, 1.0)
            save_upscaler(folder, upscaler)

    def card(self) -> None:
        """Writes how it came about and how well it draws beside the exported weights."""
        options = self.options
        evaluation = evaluate(options.out, options.evaluated, MODEL.steps, MODEL.guidance_scale, options.device)
        write_card(options.out, collected(options.work, STAGES), evaluation)

    def _vae(self) -> SmallVAE:
        vae: SmallVAE = SmallVAE.from_pretrained(self.place.work / "vae")
        return vae


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.builtin.train", description=__doc__)
    parser.add_argument("--stage", choices=("all", "adopt", *STAGES), default="all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="processes that render")
    parser.add_argument("--work", type=Path, default=Path(".cache/builtin"), help="checkpoints and latents")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--scenes", type=int, default=32_768, help="rendered scenes that the UNet learns from")
    parser.add_argument("--upscaler-scenes", type=int, default=112)
    parser.add_argument(
        "--classifier-scenes", type=int, default=3_200, help="renders that the model draws over for the classifier"
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--evaluated", type=int, default=300, help="prompts that the model card's shares are counted on"
    )
    parser.add_argument("--no-compile", action="store_true")
    for stage, minutes in MINUTES.items():
        parser.add_argument(f"--{stage}-minutes", type=float, default=minutes)
    return parser.parse_args()


if __name__ == "__main__":
    main()
