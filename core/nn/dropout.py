"""Dropout (Srivastava et al., 2014) from cheap random bytes: a symbol survives where a byte is at least 256 p.

The rate is therefore a multiple of 1/256; the scale is of the rate in force, so expectations are exact. On a CPU this takes a
fraction of the time of Bernoulli draws. Bytes come from torch's global generator: one seed, one mask.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Active in training only."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        threshold = min(max(round(256 * self.rate), 1), 255)
        if x.device.type != "cpu":
            return F.dropout(x, self.rate)
        words = torch.randint(-(2**63), 2**63 - 1, ((x.numel() + 7) // 8,), dtype=torch.int64)
        kept = (words.view(torch.uint8)[: x.numel()] >= threshold).view(x.shape)
        return x * kept.to(x.dtype).mul_(256 / (256 - threshold))
