"""Puts the trained parts together as a StableDiffusionPipeline folder in fp16 safetensors."""

import copy
import json
from pathlib import Path

from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from engine.builtin.networks import SmallVAE, Upscaler
from engine.catalogue import PACKAGE_DIR

from .text import add_same_words

WEIGHTS = PACKAGE_DIR / "builtin" / "weights"


def new_scheduler() -> DDIMScheduler:
    """Zero terminal SNR with v-prediction, in a config that every scheduler of diffusers can take over."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        rescale_betas_zero_snr=True, timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip


def new_unet(
    channels: tuple[int, ...] = (96, 128, 128), latent_channels: int = 12, text_width: int = 160
) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16, in_channels=latent_channels, out_channels=latent_channels, block_out_channels=channels,
        layers_per_block=1, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=text_width,
        attention_head_dim=4, norm_num_groups=16, addition_embed_type="text", addition_embed_type_num_heads=4,
    )  # fmt: skip


def save_pipeline(
    folder: Path, tokenizer: CLIPTokenizer, encoder: CLIPTextModel, unet: UNet2DConditionModel, vae: SmallVAE
) -> None:
    add_same_words(tokenizer, encoder)
    half = {
        name: copy.deepcopy(part).cpu().half()
        for name, part in (("vae", vae), ("text_encoder", encoder), ("unet", unet))
    }
    pipeline = StableDiffusionPipeline(
        **half, tokenizer=tokenizer, scheduler=EulerAncestralDiscreteScheduler.from_config(new_scheduler().config),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder, safe_serialization=True)
    words = folder / "tokenizer" / "tokenizer.json"
    words.write_text(
        json.dumps(json.loads(words.read_text("utf-8")), ensure_ascii=False, separators=(",", ":")), "utf-8"
    )


def save_upscaler(folder: Path, upscaler: Upscaler) -> None:
    copy.deepcopy(upscaler).cpu().half().save_pretrained(folder / "upscaler", safe_serialization=True)


def load_pipeline(folder: Path = WEIGHTS) -> StableDiffusionPipeline:
    """In float32, with its own scheduler; the files are fp16, and transformers would keep its part so."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, vae=SmallVAE.from_pretrained(folder / "vae"))
    for part in (pipeline.text_encoder, pipeline.unet, pipeline.vae):
        part.float()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_upscaler(folder: Path = WEIGHTS) -> Upscaler:
    upscaler: Upscaler = Upscaler.from_pretrained(folder / "upscaler")
    return upscaler.eval()
