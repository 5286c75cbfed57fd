"""Gated convolution (Dauphin et al., 2017): glu(W [x_t-k+1 ... x_t]), the window of k vectors mapped by one product.

Unfolded rather than a convolution kernel, so that a step of a decoder is the same product as a whole sequence, and so that an
optimizer sees the matrix that it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.nn.linear import matrix

# B batch, K hypotheses, T positions, D width, k places that a window has


class GatedConvolution(nn.Module):
    """Of an encoder it sees both sides of a place, of a decoder the place and what came before it."""

    def __init__(self, width: int, kernel: int, *, causal: bool) -> None:
        super().__init__()
        self.kernel = kernel
        self.sides = (kernel - 1, 0) if causal else (kernel // 2, kernel // 2)
        self.gated = matrix(kernel * width, 2 * width, parts=2, bias=True)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """What is beyond the ends, as pads must be, is zero."""
        return self.window(F.pad(x_BTD, (0, 0, *self.sides)).unfold(1, self.kernel, 1).mT)

    def step(self, x_BKD: Tensor, past_BKkD: Tensor) -> tuple[Tensor, Tensor]:
        """One more vector of each hypothesis, beside the k - 1 before it; and what the next one will need."""
        seen_BKkD = torch.cat([past_BKkD, x_BKD[:, :, None]], dim=2)
        return self.window(seen_BKkD), seen_BKkD[:, :, 1:]

    def window(self, seen: Tensor) -> Tensor:
        """[..., k, D] -> [..., D]"""
        return F.glu(self.gated(seen.flatten(-2)), dim=-1)
