"""The training loop of every stage: a budget in seconds, small checkpoints, progress in words."""

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn

WARM_UP_STEPS = 60
RANK = int(os.environ.get("RANK", "0"))  # of the processes that train together; the first one speaks and saves
SAVE_EVERY_SECONDS = 90.0
LONGEST_STEP_SECONDS = 10.0  # what takes longer was a process that stood still, and is not counted


@dataclass(frozen=True)
class Place:
    """Where and how a stage runs."""

    work: Path
    device: torch.device
    workers: int

    @property
    def autocast(self) -> torch.autocast:
        half = self.device.type == "cuda" or cpu_has_bf16()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)


def cpu_has_bf16() -> bool:
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capability.get("avx512_bf16") or capability.get("amx_bf16"))


@torch.no_grad()
def average(kept: nn.Module, live: nn.Module, decay: float) -> None:
    """kept ← decay · kept + (1 − decay) · live."""
    torch._foreach_lerp_(list(kept.parameters()), [p.detach() for p in live.parameters()], 1 - decay)


class Loop:
    """Runs one stage until its budget is spent; a killed run goes on where it was.

    `modules` are saved as fp16 under `work/name`; the optimiser is rebuilt, with a warm-up, on resume.
    """

    def __init__(self, name: str, place: Place, modules: Mapping[str, nn.Module], budget_seconds: float) -> None:
        self.name, self.folder, self.modules, self.budget = name, place.work / name, modules, budget_seconds
        self.spent = 0.0
        self.step = self.steps_here = 0
        self.figures: dict[str, float] = {}  # what the stage reached, for the model card
        self._load()

    @property
    def share(self) -> float:
        return min(1.0, self.spent / self.budget)

    @property
    def pace(self) -> float:
        """Factor of the learning rate: warm-up after every start, cosine to zero at the budget's end."""
        return min(1.0, (self.steps_here + 1) / WARM_UP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * self.share))

    def run(
        self,
        optimizers: Sequence[torch.optim.Optimizer],
        step: Callable[[], Tensor],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """`step` returns the loss to minimise; `after` runs when the weights have moved."""
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        rates = [group["lr"] for group in groups]
        losses: list[float] = []
        self._begin_alike()
        last = saved = said = time.monotonic()
        while self.spent < self.budget:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate * self.pace
            loss = step()
            loss.backward()
            now = time.monotonic()
            self.spent, last = self.spent + min(now - last, LONGEST_STEP_SECONDS), now
            self._share()
            nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            after()
            losses.append(loss.item())
            self.step, self.steps_here = self.step + 1, self.steps_here + 1
            if now - said > 15:
                self._say(losses)
                losses, said = [], now
            if now - saved > SAVE_EVERY_SECONDS:
                self.save()
                saved = now
        self._say(losses)
        self.save()

    @torch.no_grad()
    def _begin_alike(self) -> None:
        """What chance has made different in several processes, all take from the first."""
        if distributed.is_initialized():
            for each in (t for part in self.modules.values() for t in part.state_dict().values()):
                of_first = each.contiguous()
                distributed.broadcast(of_first, 0)
                each.copy_(of_first)

    def _share(self) -> None:
        """Of several processes, each with batches of its own, all take the same step at the same time of the budget."""
        if not distributed.is_initialized():
            return
        gradients = [p.grad for part in self.modules.values() for p in part.parameters() if p.grad is not None]
        mean = torch.cat([torch.tensor([self.spent]), *(g.flatten() for g in gradients)])
        distributed.all_reduce(mean)
        mean /= distributed.get_world_size()
        self.spent = float(mean[0])
        parts = mean[1:].split([g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def measured(self, **figures: float) -> None:
        """Keep what a stage reached on scenes that it was not trained on."""
        self.figures |= {name: round(value, 3) for name, value in figures.items()}
        self.save()

    def save(self) -> None:
        if RANK:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, module in self.modules.items():
            tensors = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
            half = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
            save_file(half, self.folder / f"{name}.tmp")
            (self.folder / f"{name}.tmp").replace(self.folder / f"{name}.safetensors")
        state = {"step": self.step, "seconds": round(self.spent, 1), "budget_seconds": self.budget} | self.figures
        (self.folder / "state.json").write_text(json.dumps(state))

    def _load(self) -> None:
        if not (self.folder / "state.json").exists():
            return
        state = json.loads((self.folder / "state.json").read_text())
        self.step, self.spent, _ = (state.pop(name) for name in ("step", "seconds", "budget_seconds"))
        self.figures = state
        for name, module in self.modules.items():
            module.load_state_dict(load_file(self.folder / f"{name}.safetensors"))

    def _say(self, losses: list[float]) -> None:
        if losses and not RANK:
            mean = sum(losses) / len(losses)
            self.figures["loss"] = round(mean, 4)
            print(
                f"{self.name}: {self.spent:.0f} of {self.budget:.0f} s, step {self.step}, loss {mean:.4f}", flush=True
            )
