"""Dropout (Srivastava et al., 2014). On a CPU, Bernoulli draws would cost more than the layers that they thin out.

There, 16 random bits decide each value, four values to a draw of torch's global generator: one seed, one mask. The
rate is thus a multiple of 1/65536, and the scale is of the rate in force, so that expectations are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 2**16


class Dropout(nn.Module):
    """Active in training only."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        return x * scaled_mask(x, self.rate) if x.device.type == "cpu" else F.dropout(x, self.rate)


def left_out(rate: float, *, training: bool) -> bool:
    """Whether a whole layer is; drawn from torch's global generator of the CPU, so that no device is waited for."""
    return training and rate > 0 and torch.rand((), device="cpu").item() < rate


def scaled_mask(x: Tensor, rate: float) -> Tensor:
    """Of the shape of x: 0 where a value is dropped, 1 / (1 - rate) where it stays."""
    dropped = min(max(round(LEVELS * rate), 1), LEVELS - 1)
    draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    words = draws.view(torch.int16)[: x.numel()].view(x.shape)  # -32768 ... 32767, each equally likely
    kept = words.to(torch.float32).ge_(dropped - LEVELS // 2)  # comparing floats is several times faster than integers
    return kept.mul_(LEVELS / (LEVELS - dropped)).to(x.dtype)
