"""Muon for networks with convolutions: https://kellerjordan.github.io/posts/muon/."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


class ConvMuon(torch.optim.Muon):
    """torch.optim.Muon takes matrices alone: a convolution [O,I,h,w] is given to it as a view [O,h·w·I] of its memory.

    Its steps are as large as AdamW's at the same rate. The convolutions must be channels-last.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self._views = [(whole, nn.Parameter(_matrix(whole.data))) for whole in parameters]
        if any(whole.data_ptr() != view.data_ptr() for whole, view in self._views):
            raise ValueError("a convolution is not channels-last")
        views = [view for _, view in self._views]
        super().__init__(views, lr=lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for whole, view in self._views:
            view.grad = None if whole.grad is None else _matrix(whole.grad)
        loss: float | None = super().step(closure)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        for whole, view in self._views:
            whole.grad = view.grad = None


def optimizers_of(net: nn.Module, outermost: tuple[str, ...]) -> list[torch.optim.Optimizer]:
    """For a small network that reads: Muon inside, AdamW for vectors and the layers that are named so."""
    inner = {name: p for name, p in net.named_parameters() if p.ndim > 1 and not name.startswith(outermost)}
    outer = [p for name, p in net.named_parameters() if name not in inner]
    return [ConvMuon(inner.values(), 3e-3), torch.optim.AdamW(outer, lr=2e-3, weight_decay=0.01, fused=True)]


def _matrix(t: Tensor) -> Tensor:
    return t.permute(0, 2, 3, 1).reshape(t.shape[0], -1) if t.ndim == 4 else t
