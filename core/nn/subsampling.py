"""Fewer frames for the encoder: strided convolutions over time, pads never read."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.nn.layout import Layout
from core.nn.linear import matrix

# B batch, S frames, F features, D width

REACH = 3
"""Frames that a convolution sees."""


class Subsampling(nn.Module):
    """x'(t) = relu(sum over k of W_k x(2 t + k - 1)), once for each halving, then a linear layer.

    After the two convolutions of Dong et al. (2018), here over time alone with all features as channels: on a processor
    that is several times quicker than two-dimensional ones over as many maps. Being so few frames wide they are a product
    with three frames side by side, which has no shapes to get used to.
    """

    def __init__(self, features: int, width: int, factor: int) -> None:
        super().__init__()
        sizes = [features, *[width] * (factor.bit_length() - 1)]
        self.halve = nn.ModuleList(matrix(REACH * before, after, bias=True) for before, after in pairwise(sizes))
        self.project = matrix(width, width, bias=True)

    def forward(self, x_BSD: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
        """Frame t of the result stands for those from 2^n t on; a sequence of S frames has ceil(S / 2^n)."""
        mask_BS = layout.mask_BS
        for halving in self.halve:
            x_BSD = F.pad(x_BSD.masked_fill(~mask_BS[..., None], 0), (0, 0, 1, 1))
            mask_BS = mask_BS[:, ::2]
            last = 2 * mask_BS.shape[1] - 1
            x_BSD = F.relu(halving(torch.cat([x_BSD[:, k : k + last : 2] for k in range(REACH)], -1)))
        return self.project(x_BSD), replace(layout, mask_BS=mask_BS, position_BS=None, segment_BS=None)


def subsampled(frames: int, factor: int) -> int:
    """How many frames are left of so many."""
    return -(-frames // factor)
