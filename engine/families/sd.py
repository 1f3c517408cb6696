"""Stable Diffusion 1.x, 2.x and everything of their shape: CLIP text encoder, UNet, VAE.

The arithmetic is that of diffusers' StableDiffusionPipeline, one step at a time, so that images of
different people, at different steps of different schedules, share a forward.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
)
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from engine import redraw
from engine.catalogue import Model
from engine.encode import Pixels
from engine.families import BadModel, BadRequest, Denoising, Kept, named_class
from engine.protocol import MAX_SEED, Draw

SCHEDULERS = {
    "ddim": DDIMScheduler,
    "euler": EulerDiscreteScheduler,
    "euler_a": EulerAncestralDiscreteScheduler,
    "dpmpp_2m": DPMSolverMultistepScheduler,
}
_CACHED_PROMPTS = 256


class StableDiffusion:
    def __init__(self, model: Model, folder: Path, device: torch.device, dtype: torch.dtype):
        self.model_hash = ""
        self._model, self._folder, self._device, self._dtype = model, folder, device, dtype
        self._embeddings: OrderedDict[str, Tensor] = OrderedDict()

    def load(self) -> Iterator[None]:
        vae_class = named_class(self._model.vae_class) if self._model.vae_class else AutoencoderKL
        self._scheduler_config = json.loads(self._read(self._folder / "scheduler" / "scheduler_config.json"))
        self._tokenizer = self._part(CLIPTokenizer.from_pretrained, "tokenizer")
        self._text_encoder = self._weights(CLIPTextModel, "text_encoder", torch.float32)
        yield
        self._unet = self._weights(UNet2DConditionModel, "unet", self._dtype).to(memory_format=torch.channels_last)
        yield
        self._vae = self._weights(vae_class, "vae", self._dtype).to(memory_format=torch.channels_last)
        self._factor = 2 ** (len(self._vae.config.block_out_channels) - 1)
        self.model_hash = self._hash()
        yield

    def begin(self, draw: Draw, index: int, width: int, height: int) -> Denoising:
        scheduler = SCHEDULERS[draw.scheduler].from_config(self._scheduler_config)
        scheduler.set_timesteps(draw.steps, device=self._device)
        generator = torch.Generator("cpu").manual_seed((draw.seed + index) & MAX_SEED)
        denoising = Denoising(
            latents=torch.empty(0),
            embeddings=self._encode(draw),
            guidance_scale=draw.guidance_scale,
            scheduler=scheduler,
            timesteps=scheduler.timesteps,
            generator=generator,
        )
        shape = (1, self._unet.config.in_channels, height // self._factor, width // self._factor)
        if draw.init_image is None:
            denoising.latents = self._noise(shape, generator) * scheduler.init_noise_sigma
        else:
            self._begin_from_image(denoising, draw, width, height)
        return denoising

    @torch.inference_mode()
    def step(self, images: Sequence[Denoising]) -> None:
        times = [image.timesteps[image.step] for image in images]
        scaled = [i.scheduler.scale_model_input(i.latents, t) for i, t in zip(images, times, strict=True)]
        rows = 2 if images[0].is_guided else 1
        predicted = self._unet(
            torch.cat(scaled * rows).to(self._dtype).contiguous(memory_format=torch.channels_last),
            torch.stack(times * rows).to(self._device),
            encoder_hidden_states=torch.cat([i.embeddings[row : row + 1] for row in range(rows) for i in images]),
            return_dict=False,
        )[0].float()
        for nth, image in enumerate(images):
            output = predicted[nth : nth + 1]
            if rows == 2:
                prompted = predicted[len(images) + nth : len(images) + nth + 1]
                output = output + image.guidance_scale * (prompted - output)
            self._advance(image, output, times[nth])

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        scaled = (latents / self._vae.config.scaling_factor).to(self._dtype)
        decoded = self._vae.decode(scaled.contiguous(memory_format=torch.channels_last), return_dict=False)[0]
        image: Tensor = (decoded[0].float() / 2 + 0.5).clamp(0, 1)
        return image

    def _advance(self, image: Denoising, output: Tensor, time: Tensor) -> None:
        if isinstance(image.scheduler, DPMSolverMultistepScheduler):
            image.latents = image.scheduler.step(output, time, image.latents).prev_sample
            image.clean = image.scheduler.model_outputs[-1]  # it keeps its guesses of the clean latents
        else:
            result = image.scheduler.step(output, time, image.latents, generator=image.generator)
            image.latents, image.clean = result.prev_sample, result.pred_original_sample
        image.step += 1
        if image.kept:
            self._keep_outside(image, image.kept)

    def _keep_outside(self, image: Denoising, kept: Kept) -> None:
        """Put the original back where the mask is black, with the noise that the next step expects."""
        outside = kept.clean
        if not image.is_done:
            outside = image.scheduler.add_noise(outside, kept.noise, image.timesteps[image.step : image.step + 1])
        image.latents = torch.lerp(outside, image.latents, kept.mask)
        image.clean = kept.clean if image.clean is None else torch.lerp(kept.clean, image.clean, kept.mask)

    def _encode(self, draw: Draw) -> Tensor:
        prompt = self._embed(draw.prompt)
        if draw.guidance_scale <= 1:
            return prompt
        return torch.cat([self._embed(draw.negative_prompt or ""), prompt])

    @torch.inference_mode()
    def _embed(self, text: str) -> Tensor:
        """[1, tokens, width]; the latest prompts are kept, the empty one nearly always hits."""
        if text in self._embeddings:
            self._embeddings.move_to_end(text)
            return self._embeddings[text]
        length = self._tokenizer.model_max_length
        tokens = self._tokenizer(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        mask = tokens.attention_mask if getattr(self._text_encoder.config, "use_attention_mask", False) else None
        hidden = self._text_encoder(tokens.input_ids.to(self._device), attention_mask=mask)[0].to(self._dtype)
        self._embeddings[text] = hidden
        if len(self._embeddings) > _CACHED_PROMPTS:
            self._embeddings.popitem(last=False)
        return hidden

    def _noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Drawn on the CPU in float32: the same seed starts from the same noise on every device."""
        return torch.randn(shape, generator=generator, dtype=torch.float32).to(self._device)

    def _begin_from_image(self, denoising: Denoising, draw: Draw, width: int, height: int) -> None:
        scheduler, strength = denoising.scheduler, draw.strength or 0.0
        run = min(int(draw.steps * strength), draw.steps)
        if run < 1:
            raise BadRequest(f"strength {strength} of {draw.steps} steps leaves none to draw")
        start = (draw.steps - run) * scheduler.order
        if hasattr(scheduler, "set_begin_index"):  # DDIM finds its place by the timestep
            scheduler.set_begin_index(start)
        denoising.timesteps = scheduler.timesteps[start:]
        pixels = redraw.read(str(draw.init_image), width, height, draw.width / draw.height)
        clean = self._encode_image(pixels, denoising.generator)
        noise = self._noise(tuple(clean.shape), denoising.generator)
        denoising.latents = scheduler.add_noise(clean, noise, denoising.timesteps[:1])
        if draw.mask is not None:
            denoising.kept = Kept(clean, noise, self._mask(draw, width, height))

    def _mask(self, draw: Draw, width: int, height: int) -> Tensor:
        """Every latent that the mask touches is drawn again. Raises BadRequest if there is none."""
        pixels = redraw.read_mask(str(draw.mask), width, height, draw.width / draw.height)
        if not pixels.any():
            raise BadRequest("nothing of the mask is white")
        whole = torch.from_numpy(pixels.astype(np.float32))[None, None]
        return torch.nn.functional.max_pool2d(whole, self._factor).to(self._device)

    @torch.inference_mode()
    def _encode_image(self, pixels: Pixels, generator: torch.Generator) -> Tensor:
        scaled = torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        sampled = self._vae.encode(scaled.to(self._device, self._dtype)).latent_dist.sample(generator)
        latents: Tensor = sampled.float() * self._vae.config.scaling_factor
        return latents

    def _weights(self, kind: Any, part: str, dtype: torch.dtype) -> Any:
        """A part in safetensors, every tensor of it present."""

        def load(folder: Path) -> Any:
            network, info = kind.from_pretrained(
                folder,
                dtype=dtype,
                variant=self._model.variant,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
            if missing := set(info["missing_keys"]) - {"text_model.embeddings.position_ids"}:
                raise BadModel(f"{folder}: {len(missing)} tensors are missing, {min(missing)} for one")
            return network.to(self._device).eval().requires_grad_(False)

        return self._part(load, part)

    def _part(self, load: Callable[[Path], Any], part: str) -> Any:
        folder = self._folder / part
        if not folder.is_dir():
            raise BadModel(f"{folder} is missing")
        try:
            return load(folder)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise BadModel(f"{folder} cannot be read: {str(error).splitlines()[0]}") from error

    @staticmethod
    def _read(file: Path) -> str:
        try:
            return file.read_text(encoding="utf-8")
        except OSError as error:
            raise BadModel(f"{file} cannot be read: {error.strerror}") from error

    def _hash(self) -> str:
        """The first ten digits of the UNet file's SHA-256, as this field's viewers show it."""
        file = next((self._folder / "unet").glob("*.safetensors"))
        with file.open("rb") as weights:
            return hashlib.file_digest(weights, "sha256").hexdigest()[:10]


FAMILY = StableDiffusion
