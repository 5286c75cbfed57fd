"""Sparse self-attention of long sources (Longformer: Beltagy et al., 2020): near symbols and a few global ones; cost linear in length.

A symbol sees those at most `reach` places away and the first `first` symbols of its source; these see all, and all see them.
Deviations: global symbols have no projections of their own, and which symbols they are is where they stand: at the beginning.

Computed by blocks of `reach` symbols, each against itself, its two neighbours and the global symbols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from core.nn.attention import NEVER, attend
from core.nn.layout import Layout

# B batch, H heads, G heads of keys, S positions, C blocks, w reach and size of a block, g global symbols, N = 3 w + g keys of a block,
# d width of a head

Bias = Callable[[Tensor, Tensor], Tensor | None]
"""Places of queries and of keys, [..., T] and [..., S] -> what is added to scores, [..., H, T, S], or nothing."""


@dataclass(frozen=True, slots=True)
class Near:
    """Who may see whom in a batch; worked out once for all layers."""

    layout: Layout
    reach: int
    first: int
    visible_BCwN: Tensor
    bias: Tensor | None
    """Of the blocks, [B or 1, C, H, w, N]."""
    bias_of_first: Tensor | None
    """Of the global symbols, [B or 1, H, g, S]."""

    @classmethod
    def of(cls, layout: Layout, reach: int, first: int, bias: Bias) -> Near:
        """`first` is cut to the longest source."""
        S = layout.mask_BS.shape[1]
        first = min(first, S)
        place_S = torch.arange(S, device=layout.mask_BS.device)
        not_first_BS = layout.mask_BS & (place_S >= first)
        blocks = -(-S // reach)
        near_BCn = _neighbours(_blocks(not_first_BS[..., None], reach))[..., 0]
        row_w1 = torch.arange(reach, device=place_S.device)[:, None]
        column_n = torch.arange(3 * reach, device=place_S.device)
        band_wn = (row_w1 + reach - column_n).abs() <= reach
        first_BCwg = layout.mask_BS[:, None, None, :first].expand(-1, blocks, reach, -1)
        visible_BCwN = torch.cat([near_BCn[:, :, None] & band_wn, first_BCwg], -1)
        position_BS1 = layout.positions[..., None]
        query_BCw = _blocks(position_BS1, reach)
        key_BCn = _neighbours(query_BCw)[..., 0]
        begin_BCg = layout.positions[:, None, :first].expand(-1, blocks, -1)
        return cls(
            layout,
            reach,
            first,
            visible_BCwN,
            bias(query_BCw[..., 0], torch.cat([key_BCn, begin_BCg], -1)),
            bias(layout.positions[:, :first], layout.positions),
        )

    def attend(
        self, query_BHSd: Tensor, key_BGSd: Tensor, value_BGSd: Tensor, looks: list[Tensor] | None = None
    ) -> Tensor:
        """As `attention.attend`; the weights that `looks` gets are a full matrix, whose cost is not linear."""
        S = query_BHSd.shape[2]
        every = query_BHSd.shape[1] // key_BGSd.shape[1]
        keys, values = (self._of_blocks(x.repeat_interleave(every, 1)) for x in (key_BGSd, value_BGSd))
        query_BHCwd = _blocks(query_BHSd * query_BHSd.shape[-1] ** -0.5, self.reach)
        score_BHCwN = query_BHCwd @ keys.mT
        if self.bias is not None:
            score_BHCwN = score_BHCwN + self.bias.transpose(1, 2).to(score_BHCwN.dtype)
        seen_B1CwN = self.visible_BCwN[:, None]
        weight_BHCwN = score_BHCwN.masked_fill(~seen_B1CwN, NEVER).softmax(-1) * seen_B1CwN.to(score_BHCwN.dtype)
        seen_BHSd = (weight_BHCwN @ values).flatten(2, 3)[:, :, :S]
        of_first: list[Tensor] | None = None if looks is None else []
        if self.first:
            query, bias = query_BHSd[:, :, : self.first], self.bias_of_first
            begin = attend(query, key_BGSd, value_BGSd, layout=self.layout, bias=bias, looks=of_first)
            seen_BHSd = torch.cat([begin, seen_BHSd[:, :, self.first :]], 2)
        if looks is not None:
            looks.append(self._full(weight_BHCwN, S, of_first or []))
        return seen_BHSd

    def _of_blocks(self, x_BHSd: Tensor) -> Tensor:
        """What each block sees, [B, H, C, N, d]."""
        near = _neighbours(_blocks(x_BHSd, self.reach))
        begin = x_BHSd[:, :, None, : self.first].expand(-1, -1, near.shape[2], -1, -1)
        return torch.cat([near, begin], 3)

    def _full(self, weight_BHCwN: Tensor, S: int, of_first: list[Tensor]) -> Tensor:
        B, H, C, w, _ = weight_BHCwN.shape
        full = weight_BHCwN.new_zeros(B, H, C, w, (C + 2) * w)
        for block in range(C):
            full[:, :, block, :, block * w : (block + 3) * w] = weight_BHCwN[:, :, block, :, : 3 * w]
        full = full[..., w : w + S]
        full[..., : self.first] += weight_BHCwN[..., 3 * w :]
        return torch.cat([*of_first, full.flatten(2, 3)[:, :, self.first : S]], 2)


def _blocks(x: Tensor, reach: int) -> Tensor:
    """[..., S, d] -> [..., C, w, d], the last block filled up with zeros."""
    return F.pad(x, (0, 0, 0, -x.shape[-2] % reach)).unflatten(-2, (-1, reach))


def _neighbours(x: Tensor) -> Tensor:
    """[..., C, w, d] -> [..., C, 3 w, d]: each block between the one before it and the one after it."""
    x = F.pad(x, (0, 0, 0, 0, 1, 1))
    return torch.cat([x[..., :-2, :, :], x[..., 1:-1, :, :], x[..., 2:, :, :]], -2)
