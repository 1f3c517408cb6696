"""Stages 6 and 7: what the UNet draws is read, and what was asked for and is not there is loss.

As ReFL (arXiv 2304.05977) and DRaFT (arXiv 2309.17400) do, but a step at a time: pictures are drawn while the UNet
learns, and each of their steps is learnt from. Noise on a render shows the network the beginnings of pictures that are
right; only its own show it what it gets wrong, at the guidance that it is used with. A critic, as in adversarial
distillation (arXiv 2311.17042), keeps them looking like renders.
"""

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from .latents import Latents, squares
from .loop import RANK, Loop, Place, average
from .muon import optimizers_of
from .spec import VALUES, random_scene
from .text import POSITIONS, AttributeHeads, labels, random_caption, tokenized

# Of the losses. The gradient of what is not read is thirty times as long as that of the noise; so they are about equal.
NOT_READ, NOT_PASSING = 0.025, 0.03
STEPS, GUIDANCE = (8, 20), (2.0, 7.0)  # of a picture; half of the guidances are below 3.8
OBJECTS = (0, 0, 0, 0, 0, 2, 3)  # a prompt is of at least so many, equally often: three are the hardest
SMALL = {"hair": 3.0, "who": 2.0, "pose": 2.0}  # how much more it counts where these are not read
CRITIC_BELOW = 500  # times: what is guessed from more noise is soft, and should be
CRITIC_WARM_UP = 300  # steps
SHAKE, SMOOTH = 0.05, 20.0  # the critic's scores may not change much where latents hardly do: R1 and R2, approximated
HELD_OUT = 512  # scenes
ASPECTS = {1.0: 0.6, 2 / 3: 0.1, 3 / 2: 0.1, 1 / 2: 0.1, 2.0: 0.1}  # width ÷ height → its share of the steps
Predict = Callable[[Tensor, Tensor, Tensor], Tensor]  # latents, times, text → v


class Reader(nn.Module):
    """Latents [B,12,h,w] → for every attribute its scores. It has nothing to do with the evaluation's classifier."""

    def __init__(self, channels: int = 12, width: int = 96) -> None:
        super().__init__()
        self.body = nn.Sequential(*_conv(channels, width), *_conv(width, width), *_conv(width, width))
        self.far = nn.Sequential(*_conv(width, width, 2), *_conv(width, width))
        self.mix = nn.Sequential(nn.Linear(width * (4 + 16), 160), nn.SiLU(), nn.Dropout(0.1))
        self.heads = AttributeHeads(160)

    def forward(self, latents: Tensor) -> dict[str, Tensor]:
        near = self.body(latents)
        far = self.far(near)
        seen = [functional.adaptive_max_pool2d(near, (2, 1)), functional.adaptive_avg_pool2d(far, 4)]
        seen.append(functional.adaptive_max_pool2d(far, (2, 1)))
        scores: dict[str, Tensor] = self.heads(self.mix(torch.cat([each.flatten(1) for each in seen], 1)))
        return scores


def _conv(a: int, b: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, padding=1, stride=stride), nn.GroupNorm(8, b), nn.SiLU()]


def train_reader(place: Place, data: list[Latents], budget_seconds: float, batch: int = 128) -> Reader:
    """On training latents; the last 512 squares, or an eighth of a few, are held out."""
    net, kept = Reader(), Reader()
    loop = Loop("reader", place, {"live": net, "kept": kept}, budget_seconds)
    kept.load_state_dict(net.state_dict() if loop.step == 0 else kept.state_dict())
    for part in (net, kept):
        part.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not declare it
    if loop.share < 1:
        scenes = squares(data)
        held = min(HELD_OUT, len(scenes.seeds) // 8)
        buckets = [scenes, *(bucket for bucket in data if bucket is not scenes)]
        learnt = [len(bucket.seeds) for bucket in buckets]
        learnt[0] -= held
        true = [labels([random_scene(seed).attributes() for seed in each.seeds], place.device) for each in buckets]
        rng = random.Random(f"reader {loop.step} {RANK}")

        def step() -> Tensor:
            (i,) = rng.choices(range(len(buckets)), learnt)
            chosen = torch.tensor(rng.choices(range(learnt[i]), k=batch))
            with place.autocast:
                scores = net(_as_guessed(buckets[i].values[chosen].float().to(place.device)))
            losses = [functional.cross_entropy(scores[name].float(), true[i][name][chosen]) for name in VALUES]
            return torch.stack(losses).mean()

        loop.run(
            optimizers_of(net, ("body.0", "heads")), step, lambda: average(kept, net, 0.99 if loop.step > 100 else 0.9)
        )
        unseen = {name: indices[learnt[0] :] for name, indices in true[0].items()}
        loop.measured(share=_read(kept.eval(), scenes.values[learnt[0] :].float().to(place.device), unseen))
    return kept.eval().requires_grad_(False)


@torch.no_grad()
def _read(reader: Reader, latents: Tensor, true: dict[str, Tensor]) -> float:
    """The share of the attributes which these show that are read."""
    scores = reader(latents)
    shown = {name: true[name] < len(values) for name, values in VALUES.items()}
    right = sum(int((scores[name].argmax(1) == true[name])[shown[name]].sum()) for name in VALUES)
    return right / sum(int(each.sum()) for each in shown.values())


def _as_guessed(latents: Tensor) -> Tensor:
    """As they are guessed from noise: smoother in any degree, and not clean."""
    factor = random.choice((1, 2, 2, 4))
    smooth = functional.interpolate(functional.avg_pool2d(latents, factor), latents.shape[-2:], mode="bilinear")
    share, noise = torch.rand(2, len(latents), 1, 1, 1, device=latents.device)
    return torch.lerp(latents, smooth, share) + 0.4 * noise * torch.randn_like(latents)


class Critic(nn.Module):
    """Latents [B,12,h,w] → [B,N], a score of every place: higher where it looks like that of a render."""

    def __init__(self, channels: int = 12, width: int = 64) -> None:
        super().__init__()
        self.near = nn.Sequential(*_leaky(channels, width), *_leaky(width, width))
        self.far = nn.Sequential(*_leaky(width, 2 * width, 2), *_leaky(2 * width, 2 * width))
        self.near_score, self.far_score = nn.Conv2d(width, 1, 3, padding=1), nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        near = self.near(latents)
        return torch.cat([self.near_score(near).flatten(1), self.far_score(self.far(near)).flatten(1)], 1)


def _leaky(a: int, b: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, padding=1, stride=stride), nn.LeakyReLU(0.2)]


class Drawings:
    """`count` pictures on their way from noise, each with its own prompt, number of steps and guidance.

    `signal` [1000] is the share of signal at each time, `renders` [N,C,h,w] are latents to look like, of whose shape
    they are.
    Every process has a critic of its own; it is not kept, since it learns anew within minutes.
    """

    def __init__(
        self, place: Place, reader: Callable[[Tensor], dict[str, Tensor]], tokenizer: CLIPTokenizer,
        encoder: CLIPTextModel, signal: Tensor, renders: Tensor, count: int,
    ) -> None:  # fmt: skip
        self.place, self.reader, self.signal, self.renders = place, reader, signal, renders
        self.tokenizer, self.encoder = tokenizer, encoder
        self.critic = Critic(renders.shape[1]).to(place.device)
        self.optimizer = torch.optim.AdamW(self.critic.parameters(), lr=5e-4, betas=(0.0, 0.99))
        self.criticised = 0  # steps
        self.rng = random.Random(f"drawings {torch.initial_seed()} {RANK}")
        self.latents = torch.zeros(count, *renders.shape[1:], device=place.device)
        self.named: list[dict[str, str]] = [{}] * count
        self.times: list[list[int]] = [[]] * count  # to come
        self.guidance = torch.ones(count, 1, 1, 1, device=place.device)
        self.text = torch.zeros(count, POSITIONS, encoder.config.hidden_size, device=place.device)
        self.none = self._encode("").expand(count, -1, -1)
        for i in range(count):
            self._begin(i)

    def loss(self, predict: Predict) -> Tensor:
        """Takes every picture a step further, and says what is wrong with what it is going to show."""
        times = torch.tensor([left[0] for left in self.times], device=self.place.device)
        after = torch.tensor([left[1] if len(left) > 1 else -1 for left in self.times], device=self.place.device)
        now = self.signal[times].view(-1, 1, 1, 1)
        then = torch.where(after < 0, 1.0, self.signal[after]).view(-1, 1, 1, 1)
        with self.place.autocast:
            with torch.no_grad():
                free = predict(self.latents, times, self.none).float()
            led = predict(self.latents, times, self.text.clone()).float()
            guess = free + self.guidance.clone() * (led - free)  # clones, for what comes next is written over these
            clean = now.sqrt() * self.latents - (1 - now).sqrt() * guess
            scores = self.reader(clean)
        loss = NOT_READ * self._not_read(scores, times)
        if (fine := times < CRITIC_BELOW).any():
            loss = loss + NOT_PASSING * self._not_passing(clean[fine])
        self._move(clean.detach(), guess.detach(), now, then)
        return loss

    def _not_read(self, scores: dict[str, Tensor], times: Tensor) -> Tensor:
        """The mean cross-entropy of what each prompt names; what it leaves out may be anything, but one thing."""
        losses, free = torch.zeros(2, len(times), device=times.device)
        counted = torch.full_like(losses, 1e-8)  # a prompt may name nothing
        for name, true in labels(self.named, times.device).items():
            matters, named = SMALL.get(name, 1.0), true < len(VALUES[name])
            wanted = true.where(named, scores[name].argmax(1))
            entropy = functional.cross_entropy(scores[name].float(), wanted, reduction="none")
            losses, counted = losses + matters * named * entropy, counted + matters * named
            free = free + ~named * entropy / len(VALUES)
        tells = 1 - (times / 1000) ** 4  # what is guessed from nothing but noise is a mean of many pictures
        return ((losses / counted + free) * tells).sum() / tells.sum()

    def _not_passing(self, clean: Tensor) -> Tensor:
        """The critic learns to tell these from renders; then how far they are from passing for some."""
        chosen = torch.randint(len(self.renders), (len(clean),))
        both = torch.cat([self.renders[chosen].float().to(clean.device), clean.detach()])
        with self.place.autocast:
            scores, shaken = self.critic(torch.cat([both, both + SHAKE * torch.randn_like(both)])).float().chunk(2)
        true, false = scores.chunk(2)
        (functional.softplus(false - true).mean() + SMOOTH * (scores - shaken).square().mean()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.criticised += 1
        self.critic.requires_grad_(False)
        with self.place.autocast:
            passing = functional.softplus(true.detach() - self.critic(clean).float()).mean()
        self.critic.requires_grad_(True)
        return passing * min(1.0, self.criticised / CRITIC_WARM_UP)

    def _move(self, clean: Tensor, guess: Tensor, now: Tensor, then: Tensor) -> None:
        """As Euler ancestral does: to the next time, with fresh noise for a part of the old."""
        noise = (1 - now).sqrt() * self.latents + now.sqrt() * guess
        fresh = (1 - then) / (1 - now) * (1 - now / then)
        self.latents = then.sqrt() * clean + (1 - then - fresh).clamp(min=0).sqrt() * noise
        self.latents += fresh.clamp(min=0).sqrt() * torch.randn_like(noise)
        for i, times in enumerate(self.times):
            times.pop(0)
            if not times:
                self._begin(i)

    def _begin(self, i: int) -> None:
        told = random_caption(self.rng, self.rng.choice(OBJECTS))
        steps = self.rng.randint(*STEPS)
        self.times[i] = [round(1000 * (1 - k / steps)) - 1 for k in range(steps)]
        self.named[i] = told.named
        self.guidance[i] = GUIDANCE[0] * (GUIDANCE[1] / GUIDANCE[0]) ** self.rng.random()
        self.text[i] = self._encode(told.text)
        self.latents[i] = torch.randn_like(self.latents[i])

    @torch.no_grad()
    def _encode(self, text: str) -> Tensor:
        told: Tensor = self.encoder(tokenized(self.tokenizer, [text]).to(self.place.device)).last_hidden_state
        return told
