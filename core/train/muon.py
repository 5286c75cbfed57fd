"""Muon (Jordan et al., 2024): momentum, made orthogonal by Newton-Schulz iterations, for matrices.

Deviations: matrices that are several maps side by side (a fused query-key-value) are made orthogonal part by part; equal
shapes are done in one batched product; updates are scaled to the root mean square of AdamW's (Liu et al., 2025), so that
one learning rate serves both. On a CPU the iterations run in float32: torch.optim.Muon's always run in bf16, which many a
CPU emulates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from core.train.ranks import like, own_part, whole

STEPS = ((3.4445, -4.7750, 2.0315),) * 5
"""Coefficients of the odd polynomial that pushes singular values towards 1."""


class Muon(torch.optim.Optimizer):
    """For two-dimensional parameters only; the rest wants AdamW."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        wrong = [tuple(one.shape) for group in self.param_groups for one in group["params"] if one.ndim != 2]
        if wrong:
            raise ValueError(f"Muon is for matrices, not for a parameter of shape {wrong[0]}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state: dict[str, Any] = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = whole(parameter.grad.lerp(state["momentum"], group["momentum"]))  # Nesterov
                shape = part_shape(parameter)
                alike.setdefault(shape, []).append((parameter, update.view(-1, *shape)))
            for shape, pairs in alike.items():
                made = orthogonal(torch.cat([update for _, update in pairs])) * (0.2 * max(shape) ** 0.5)
                for (parameter, _), part in zip(pairs, made.split([len(one) for _, one in pairs]), strict=True):
                    part = own_part(like(part.reshape(parameter.shape).to(parameter.dtype), parameter))
                    own_part(parameter).mul_(1 - group["lr"] * group["weight_decay"]).add_(part, alpha=-group["lr"])


def part_shape(parameter: nn.Parameter) -> tuple[int, int]:
    """The shape of one map where `parameter.parts` says that several lie side by side."""
    rows, columns = parameter.shape
    return rows // getattr(parameter, "parts", 1), columns


def orthogonal(x_NRC: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrix, roughly: singular values end between about 0.7 and 1.2."""
    tall = x_NRC.shape[1] > x_NRC.shape[2]
    x = x_NRC.mT if tall else x_NRC
    if x.device.type != "cpu":
        x = x.bfloat16()
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for a, b, c in STEPS:
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
