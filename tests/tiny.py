"""A Stable Diffusion of a few thousand random weights: real loading, real arithmetic, no picture."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from engine.builtin.networks import Upscaler
from engine.catalogue import PACKAGE_DIR, Model

TINY = Model(
    name="tiny", title="Tiny", family="sd", folder="tiny", licence="Apache-2.0", native_px=64, multiple=16,
    steps=8, max_steps=50, guidance_scale=4.0, max_guidance_scale=20.0, scheduler="ddim", weight=1.0,
    upscaler_class="engine.builtin.networks:Upscaler", upscaler_folder="tiny/upscaler",
)  # fmt: skip


def save_tiny_pipeline(models_dir: Path, *, prediction_type: str = "epsilon") -> Path:
    """A folder as `StableDiffusionPipeline.save_pretrained` writes it; factor 8, 4 latent channels."""
    torch.manual_seed(0)
    folder = models_dir / "tiny"
    tokenizer = CLIPTokenizer.from_pretrained(PACKAGE_DIR / "builtin/weights/tokenizer")
    tokenizer.save_pretrained(folder / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length, projection_dim=32,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32, attention_head_dim=8, norm_num_groups=8,
    ).save_pretrained(folder / "unet")  # fmt: skip
    AutoencoderKL(
        block_out_channels=(16, 16, 32, 32), latent_channels=4, norm_num_groups=8, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    ).save_pretrained(folder / "vae")  # fmt: skip
    DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, prediction_type=prediction_type,
    ).save_pretrained(folder / "scheduler")  # fmt: skip
    Upscaler(scale=8, channels=8, blocks=1).save_pretrained(folder / "upscaler")
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    return folder


def save_tiny_checker(folder: Path, *, variant: str | None = None) -> StableDiffusionSafetyChecker:
    """A classifier as `safety_checker/` of a model's repository has it, which flags nothing until it is told what."""
    torch.manual_seed(1)
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(vision_config=vision | {"image_size": 32, "patch_size": 8}, projection_dim=16)
    checker = StableDiffusionSafetyChecker(config).eval()
    checker.concept_embeds.data = torch.randn(17, 16)
    checker.special_care_embeds.data = torch.randn(3, 16)
    checker.concept_embeds_weights.data = torch.full((17,), 2.0)  # no cosine is as large
    checker.special_care_embeds_weights.data = torch.full((3,), 2.0)
    checker.save_pretrained(folder, variant=variant)
    return checker
