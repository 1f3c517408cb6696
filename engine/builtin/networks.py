"""The two networks of the built-in model that diffusers has no stock class for."""

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

LATENT_LOGVAR = -4.0  # the decoder is trained with noise of this size on its latents


class Residual(nn.Module):
    """Two 3×3 convolutions beside a skip; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.relu(self.first(functional.relu(x))))


class Down(nn.Module):
    """[B,C,H,W] → [B,O,H/r,W/r]: pixel-unshuffle, then a convolution."""

    def __init__(self, channels: int, out: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.fold = nn.Conv2d(channels * ratio**2, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fold(functional.pixel_unshuffle(x, self.ratio))


class Up(nn.Module):
    """[B,C,H,W] → [B,O,H·r,W·r]: a convolution to r² times the channels, then pixel-shuffle."""

    def __init__(self, channels: int, out: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.unfold = nn.Conv2d(channels, out * ratio**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.unfold(x), self.ratio)


@dataclass
class Encoded:
    """What diffusers' pipelines expect back from `encode`."""

    latent_dist: DiagonalGaussianDistribution

    def __getitem__(self, index: int) -> DiagonalGaussianDistribution:
        return (self.latent_dist,)[index]


class SmallVAE(ModelMixin, ConfigMixin):
    """Pictures [B,3,H,W] in −1…1 ↔ latents [B,C,H/16,W/16] of about unit variance.

    Has what StableDiffusionPipeline asks of a VAE: `block_out_channels` (its length gives the
    factor 16), `scaling_factor`, `encode` and `decode`. Pixel-shuffle blocks learn many times faster
    than the strided convolutions of AutoencoderKL.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        latent_channels: int = 12,
        block_out_channels: tuple[int, ...] = (32, 48, 64, 96, 128),
        encoder_blocks: int = 1,
        decoder_blocks: int = 2,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
        force_upcast: bool = False,
        sample_size: int = 256,
    ) -> None:
        super().__init__()
        _, low, middle, high, top = block_out_channels
        self.encoder = nn.Sequential(
            Down(in_channels, low, 4), *_residuals(low, encoder_blocks),
            Down(low, high, 2), *_residuals(high, encoder_blocks),
            Down(high, top, 2), *_residuals(top, encoder_blocks),
        )  # fmt: skip
        self.quant_conv = nn.Conv2d(top, latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, top, 1)
        self.decoder = nn.Sequential(
            *_residuals(top, decoder_blocks),
            Up(top, high, 2), *_residuals(high, decoder_blocks),
            Up(high, middle, 2), *_residuals(middle, decoder_blocks),
            nn.ReLU(), Up(middle, out_channels, 4),
        )  # fmt: skip

    def encode(self, x: Tensor, return_dict: bool = True) -> Encoded | tuple[DiagonalGaussianDistribution]:
        mean = self.quant_conv(self.encoder(x))
        posterior = DiagonalGaussianDistribution(torch.cat([mean, torch.full_like(mean, LATENT_LOGVAR)], 1))
        return Encoded(posterior) if return_dict else (posterior,)

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        sample = self.drawn(z)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    def drawn(self, z: Tensor) -> Tensor:
        """[B,C,h,w] → [B,3,16·h,16·w]."""
        picture: Tensor = self.decoder(self.post_quant_conv(z))
        return picture

    def forward(self, sample: Tensor) -> Tensor:
        return self.drawn(self.quant_conv(self.encoder(sample)))

    @torch.no_grad()
    def whiten(self, mean: Tensor, std: Tensor) -> None:
        """Fold (z − mean) / std, both [C], into the 1×1 convolutions around the latents."""
        assert self.post_quant_conv.bias is not None
        assert self.quant_conv.bias is not None
        self.post_quant_conv.bias += self.post_quant_conv.weight[:, :, 0, 0] @ mean
        self.post_quant_conv.weight *= std.view(1, -1, 1, 1)
        self.quant_conv.weight /= std.view(-1, 1, 1, 1)
        self.quant_conv.bias.copy_((self.quant_conv.bias - mean) / std)


class Upscaler(ModelMixin, ConfigMixin):
    """Pictures [B,3,h,w] in 0…1 → [B,3,S·h,S·w] in 0…1, as crisp as the style was drawn.

    Fully convolutional at the small size: an output pixel depends on input pixels at most
    `receptive_radius` away, so tiles that overlap by that much on each side join exactly.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(self, scale: int = 8, channels: int = 48, blocks: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*_residuals(channels, blocks), nn.ReLU())
        self.tail = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)

    @property
    def scale(self) -> int:
        return int(self.config.scale)

    @property
    def receptive_radius(self) -> int:
        """Input px: one for each 3×3 convolution on the longest way."""
        return 2 + 2 * int(self.config.blocks)

    def forward(self, image: Tensor) -> Tensor:
        return self.enlarge(image).clamp(0, 1)

    def enlarge(self, image: Tensor) -> Tensor:
        """Without the clamp, which would stop gradients where black and white are overshot."""
        features = self.body(self.head(image.to(self.head.weight.dtype)))
        detail = functional.pixel_shuffle(self.tail(features), self.scale)
        smooth = functional.interpolate(image, scale_factor=self.scale, mode="bilinear")
        return smooth + detail  # in float32 if `image` is: soft gradients need more bits than bfloat16 has


def _residuals(channels: int, count: int) -> list[nn.Module]:
    return [Residual(channels) for _ in range(count)]
