"""What the head reads: the decoder's hidden states, and what prefix features say past it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.nn.linear import matrix

# D width, F features


class Said(nn.Module):
    """share * hidden + W features; at first all of the decoder's, and nothing past it."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.past = matrix(features, width)
        nn.init.zeros_(self.past.weight)
        self.share_D = nn.Parameter(torch.ones(width))

    def forward(self, hidden: Tensor, feature: Tensor) -> Tensor:
        return hidden * self.share_D + self.past(feature)
