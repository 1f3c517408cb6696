"""Stage 5: the text encoder learns to say in any wording what it says in the plainest one.

The trained UNet does not move; it is the measure. What it makes of a caption, told by the encoder that learns, should
be what it makes of the plain sentence with the same attributes, told by the encoder as it was. That target has no noise
in it: minutes teach what hours of taking noise off do not.
"""

import random
from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from .captions import caption, noisy, plain
from .export import new_scheduler, new_unet
from .latents import Latents, squares
from .loop import RANK, Loop, Place
from .spec import Scene, random_scene
from .text import tokenized

RATE = 3e-4
SEVERAL_MORE = 4.0  # than others: which object is where, and which has which colour, hangs on the wording
TIME_POWER = 0.4  # of an even spread: what the text decides, it decides early


def learn_wordings(
    place: Place, data: list[Latents], tokenizer: CLIPTokenizer, encoder: CLIPTextModel, budget_seconds: float,
    batch: int = 40,
) -> CLIPTextModel:  # fmt: skip
    """On square scenes, with the averaged weights of the stage "unet"; returns the encoder that has learnt."""
    unet, before = new_unet(), encoder.train(False)
    Loop("unet", place, {"unet_kept": unet, "encoder_kept": before}, budget_seconds)
    learner = CLIPTextModel(before.config)
    learner.load_state_dict(before.state_dict())
    loop = Loop("wordings", place, {"encoder_kept": learner}, budget_seconds)
    for part in (unet, before, learner):
        part.to(place.device)
    for part in (unet, before):
        part.requires_grad_(False)
    if place.device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())
    unet.to(memory_format=torch.channels_last)
    pairs = _Pairs(place, squares(data), tokenizer, unet, random.Random(f"wordings {loop.step} {RANK}"))
    optimizer = torch.optim.AdamW(learner.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.0)
    loop.run([optimizer], lambda: pairs.loss(before, learner, batch))
    return learner.eval()


class _Pairs:
    """Scenes, each told twice: in any wording, now and then with a typing mistake, and plainly."""

    def __init__(
        self, place: Place, scenes: Latents, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel, rng: random.Random
    ) -> None:
        self.place, self.scenes, self.tokenizer, self.unet, self.rng = place, scenes, tokenizer, unet, rng
        self.signal = new_scheduler().alphas_cumprod.to(place.device)
        self.weights = [SEVERAL_MORE if len(random_scene(seed).objects) > 1 else 1.0 for seed in scenes.seeds]

    def loss(self, before: CLIPTextModel, learner: CLIPTextModel, batch: int) -> Tensor:
        chosen = self.rng.choices(range(len(self.weights)), self.weights, k=batch)
        told, plainly = zip(*(self._told(random_scene(self.scenes.seeds[i])) for i in chosen), strict=True)
        clean = self.scenes.values[chosen].float().to(self.place.device, memory_format=torch.channels_last)
        times = (1000 * torch.rand(batch) ** TIME_POWER).long().clamp(max=999).to(self.place.device)
        signal = self.signal[times].view(-1, 1, 1, 1)
        latents = signal.sqrt() * clean + (1 - signal).sqrt() * torch.randn_like(clean)
        with self.place.autocast:
            with torch.no_grad():
                wanted = self.unet(latents, times, before(self._tokens(plainly)).last_hidden_state).sample
            guess = self.unet(latents, times, learner(self._tokens(told)).last_hidden_state).sample
        matters = self.scenes.emphasis[chosen].float().to(self.place.device)
        error = ((guess.float() - wanted.float()).square().mean(1) * matters).sum((1, 2)) / matters.sum((1, 2))
        return error.mean()

    def _told(self, scene: Scene) -> tuple[str, str]:
        told = caption(scene, self.rng)
        return noisy(told.text, self.rng), plain(scene, told.named)

    def _tokens(self, texts: Sequence[str]) -> Tensor:
        return tokenized(self.tokenizer, texts).to(self.place.device)
