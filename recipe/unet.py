"""Stages 4 and 7: the UNet learns to take noise off the latents, the text encoder to guide it."""

import random
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from .captions import caption, noisy
from .export import new_scheduler, new_unet
from .latents import Latents, is_square, nearest
from .loop import RANK, Loop, Place, average
from .muon import ConvMuon
from .reward import ASPECTS, Drawings, Reader
from .spec import VALUES, random_scene
from .text import WIDTH, AttributeHeads, labels, tokenized

EMPTY = 0.1  # share of captions left empty, for guidance
TEXT_LEARNS = 0.35  # share of the budget after which the text encoder stays as it is: a fifth faster
NAMING = 0.05  # of the loss of naming a caption's attributes, without which the encoder forgets shapes and colours
SQUARE_MORE = 1.8  # square pictures are asked for most, and theirs is the compiled shape
DECAY = 0.999
# Powers of an even spread of times: at first three of four are in the noisier half, where the layout is decided; at the
# end five of eight are in the clearer one, where edges are.
LAYOUT, EDGES = 0.5, 1.5
WEIGHTS = {"": 2.0, "dog": 2.0, "cat": 1.8}  # how much more often a scene of objects, a dog or a cat is seen


def train_unet(
    place: Place, data: list[Latents], tokenizer: CLIPTokenizer, encoder: CLIPTextModel, budget_seconds: float,
    batch: int = 64, compiled: bool = True, reader: Reader | None = None,
) -> tuple[UNet2DConditionModel, CLIPTextModel]:  # fmt: skip
    """v-prediction on `data` with captions told anew each time; returns the averaged weights.

    With a `reader` it is the stage "reward", which goes on from "unet" and "wordings"; the text encoder stays.
    """
    unet, kept = new_unet(), new_unet()
    kept_encoder = CLIPTextModel(encoder.config)
    kept.load_state_dict(unet.state_dict())
    kept_encoder.load_state_dict(encoder.state_dict())
    heads = AttributeHeads(WIDTH)
    parts = {"unet": unet, "unet_kept": kept, "encoder": encoder, "encoder_kept": kept_encoder, "heads": heads}
    loop = Loop("reward" if reader else "unet", place, parts, budget_seconds)
    if reader and loop.step == 0:
        Loop("unet", place, parts, budget_seconds)
        Loop("wordings", place, {"encoder_kept": kept_encoder}, budget_seconds)
    rate, text_learns, power = (6e-4, 0.0, EDGES) if reader else (1e-3, TEXT_LEARNS, LAYOUT)
    for part in parts.values():
        part.to(place.device)
    unet.to(memory_format=torch.channels_last)
    if place.device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # in plain matrices: a step takes a sixth less there
    inner = [p for name, p in unet.named_parameters() if _is_inner(name, p)]
    outer = [p for name, p in unet.named_parameters() if not _is_inner(name, p)]
    optimizers = [
        ConvMuon(inner, rate),
        torch.optim.AdamW(
            [
                {"params": [*outer, *heads.parameters()], "lr": rate},
                {"params": encoder.parameters(), "lr": 2e-4},
            ],
            betas=(0.9, 0.99), weight_decay=0.01, fused=True,
        ),
    ]  # fmt: skip
    forward = _forward(unet, compiled)
    noise = _Noise(place, data, tokenizer, (encoder, kept_encoder), heads, forward, batch, loop, text_learns, power)
    drawings = [
        Drawings(place, reader, tokenizer, kept_encoder, noise.signal, nearest(data, aspect).values, max(1, batch // 2))
        for aspect in ASPECTS
        if reader
    ]

    def step() -> Tensor:
        if not drawings:
            return noise()
        return noise() + noise.rng.choices(drawings, list(ASPECTS.values()))[0].loss(forward)

    def after() -> None:
        decay = min(DECAY, (1 + loop.step) / (10 + loop.step))
        average(kept, unet, decay)
        if loop.share < text_learns:
            average(kept_encoder, encoder, decay)

    loop.run(optimizers, step, after)
    return kept, kept_encoder


def _is_inner(name: str, p: nn.Parameter) -> bool:
    """What Muon is for: matrices and convolutions between hidden features."""
    return p.ndim >= 2 and not name.startswith(("conv_in", "conv_out", "add_embedding", "time_embedding"))


def _forward(unet: UNet2DConditionModel, compiled: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Compiled for the square bucket, which two of three batches have; each other shape would cost a minute."""
    fast = torch.compile(unet, dynamic=False) if compiled else unet

    def forward(latents: Tensor, times: Tensor, text: Tensor) -> Tensor:
        net = fast if is_square(latents) else unet
        prediction: Tensor = net(latents, times, text).sample
        return prediction

    return forward


class _Noise:
    """The loss of telling the noise on a batch of latents from the latents."""

    def __init__(
        self, place: Place, data: list[Latents], tokenizer: CLIPTokenizer,
        encoders: tuple[CLIPTextModel, CLIPTextModel], heads: AttributeHeads,
        forward: Callable[[Tensor, Tensor, Tensor], Tensor], batch: int, loop: Loop, text_learns: float,
        power: float,
    ) -> None:  # fmt: skip
        self.place, self.data, self.batch, self.loop = place, data, batch, loop
        self.tokenizer, self.encoders, self.heads, self.forward = tokenizer, encoders, heads, forward
        self.text_learns, self.power = text_learns, power  # of the times, at the beginning
        self.rng = random.Random(f"unet {loop.step} {RANK}")
        self.shares = [len(bucket.seeds) * (SQUARE_MORE if is_square(bucket.values) else 1) for bucket in data]
        self.weights = {
            id(bucket): [WEIGHTS.get(random_scene(seed).subject, 1.0) for seed in bucket.seeds] for bucket in data
        }
        self.signal = new_scheduler().alphas_cumprod.to(place.device)

    def __call__(self) -> Tensor:
        bucket = self.rng.choices(self.data, self.shares)[0]
        chosen = self.rng.choices(range(len(bucket.seeds)), self.weights[id(bucket)], k=self.batch)
        clean = bucket.values[chosen].float().to(self.place.device, memory_format=torch.channels_last)
        tokens, named = self._told([bucket.seeds[i] for i in chosen])
        times = random_times(self.batch, self.power, self.loop.share).to(self.place.device)
        signal = self.signal[times].view(-1, 1, 1, 1)
        noise = torch.randn_like(clean)
        with self.place.autocast:
            text, naming = self._encode(tokens.to(self.place.device), named)
            guess = self.forward(signal.sqrt() * clean + (1 - signal).sqrt() * noise, times, text)
        target = signal.sqrt() * noise - (1 - signal).sqrt() * clean
        matters = bucket.emphasis[chosen].float().to(self.place.device)
        error = ((guess.float() - target).square().mean(1) * matters).sum((1, 2)) / matters.sum((1, 2))
        return (error * weight(signal.flatten())).mean() + NAMING * naming

    def _encode(self, tokens: Tensor, named: list[dict[str, str]]) -> tuple[Tensor, Tensor]:
        """[B,L,width], by the learning encoder at first, then by its average, which ships; and the loss of naming."""
        live, kept = self.encoders
        if self.loop.share >= self.text_learns:
            with torch.no_grad():
                return kept(tokens).last_hidden_state, torch.zeros((), device=tokens.device)
        told = live(tokens)
        scores, true = self.heads(told.pooler_output), labels(named, tokens.device)
        losses = [functional.cross_entropy(scores[name].float(), true[name]) for name in VALUES]
        return told.last_hidden_state, torch.stack(losses).mean()

    def _told(self, seeds: list[int]) -> tuple[Tensor, list[dict[str, str]]]:
        """Tokens [B,L] of captions, and the attributes that each names."""
        texts, named = [], []
        for seed in seeds:
            told = caption(random_scene(seed), self.rng)
            empty = self.rng.random() < EMPTY
            texts.append("" if empty else noisy(told.text, self.rng))
            named.append({} if empty else told.named)
        return tokenized(self.tokenizer, texts), named


def random_times(count: int, first_power: float, share: float) -> Tensor:
    """[count] times in 0…999 when this share of the budget is spent: from `first_power` on towards `EDGES`.

    One in each of `count` equally likely spans: less variance than independent times.
    """
    spread = (torch.arange(count) + torch.rand(count)) / count
    return (1000 * spread ** (first_power + share * (EDGES - first_power))).long().clamp(max=999)


def weight(signal: Tensor) -> Tensor:
    """min(1, 6 / (snr + 1)) of the share of signal: v-prediction with min-SNR 6, arXiv 2303.09556."""
    snr = signal / (1 - signal).clamp(min=1e-8)
    return (6 / (snr + 1)).clamp(max=1)
