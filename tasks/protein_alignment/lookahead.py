"""How good the best ways ahead are from every cell of a pair's matrix: the soft form of Needleman and Wunsch (1970).

With similarities s and gap costs o (open) and e (extend), the log-sum over all ways to finish, L being the last move:
    ahead_L(i, j) = logsumexp(s_ij + ahead_M(i+1, j+1),  -c_L(i) + ahead_D(i+1, j),  -c_L(j) + ahead_I(i, j+1))
where c is e for the move that goes on and o else, a sum over the residue that the gap leaves alone and the place where it
stands in the other sequence (as costs by position in a profile), and D may not follow I (the canonical order of gaps). It
is the backward recursion of a pair model (Durbin et al., 1998, chapter 4; as a layer of a network: Morton et al., 2020), one
anti-diagonal at a time; its exact gradient goes the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# B pairs, N residues of the first and one more, M of the second and one more, G diagonals (N + M - 1)

NEVER = -1e4
"""What an impossible move scores: finite, so that differences are numbers."""


def skewed(x_BNM: Tensor) -> Tensor:
    """[G, B, N]: element (g, b, i) is x[b, i, g - i], or zero outside."""
    B, N, M = x_BNM.shape
    wide = F.pad(x_BNM, (0, N)).reshape(B, N * (M + N))[:, : N * (M + N - 1)]
    return wide.view(B, N, M + N - 1).permute(2, 0, 1).contiguous()


def ahead(
    pair_GBN: Tensor, first_BN4: Tensor, second_BM4: Tensor, ends: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor, Tensor]:
    """For the last moves M, D and I, each [G, B, N], from skewed similarities.

    The others are costs (opened, gone on with) of leaving a residue of either sequence alone, and of a gap that stands
    before it; `ends` are the lengths of both. Pairs of what is no residue score NEVER, and leaving it costs -NEVER.
    """
    alone_BNM2 = first_BN4[:, :, None, :2] + second_BM4[:, None, :, 2:]
    too_BNM2 = first_BN4[:, :, None, 2:] + second_BM4[:, None, :, :2]
    costs = (skewed(both_BNM2[..., more]) for both_BNM2 in (alone_BNM2, too_BNM2) for more in (0, 1))
    return Ahead.apply(pair_GBN, *costs, tuple(ends))


class Ahead(torch.autograd.Function):
    """From the last diagonal to the first; its gradient from the first to the last."""

    @staticmethod
    def forward(
        ctx: Any,
        pair: Tensor,
        d_open: Tensor,
        d_more: Tensor,
        i_open: Tensor,
        i_more: Tensor,
        ends: tuple[tuple[int, int], ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        G, B, N = pair.shape
        after_m, after_d, after_i = (pair.new_full((G + 2, B, N + 1), NEVER) for _ in range(3))
        finish = finishing(ends)
        for g in range(G - 1, -1, -1):
            m = pair[g] + after_m[g + 2, :, 1:]
            d, i = after_d[g + 1, :, 1:], after_i[g + 1, :, :N]
            without_d = torch.logaddexp(m, i - i_open[g])
            torch.logaddexp(without_d, d - d_open[g], out=after_m[g, :, :N])
            torch.logaddexp(without_d, d - d_more[g], out=after_d[g, :, :N])
            torch.logaddexp(m, i - i_more[g], out=after_i[g, :, :N])
            for row, place in finish.get(g, ()):
                after_m[g, row, place] = after_d[g, row, place] = after_i[g, row, place] = 0
        ctx.save_for_backward(pair, d_open, d_more, i_open, i_more, after_m, after_d, after_i)
        ctx.finish = finish
        return after_m[:G, :, :N], after_d[:G, :, :N], after_i[:G, :, :N]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        pair, d_open, d_more, i_open, i_more, after_m, after_d, after_i = ctx.saved_tensors
        G, B, N = pair.shape
        flow_m, flow_d, flow_i = (F.pad(one, (0, 1, 0, 0, 0, 2)).contiguous() for one in upstream)
        grad_pair, spent = torch.empty_like(pair), pair.new_empty((4, G, B, N))
        share = pair.new_empty((8, B, N))
        for g in range(G):
            own_m, own_d, own_i = after_m[g, :, :N], after_d[g, :, :N], after_i[g, :, :N]
            now_m, now_d, now_i = flow_m[g, :, :N], flow_d[g, :, :N], flow_i[g, :, :N]
            for row, place in ctx.finish.get(g, ()):
                now_m[row, place] = now_d[row, place] = now_i[row, place] = 0
            m = pair[g] + after_m[g + 2, :, 1:]
            d, i = after_d[g + 1, :, 1:], after_i[g + 1, :, :N]
            new_i = i - i_open[g]
            torch.sub(m, own_m, out=share[0])
            torch.sub(d - d_open[g], own_m, out=share[1])
            torch.sub(new_i, own_m, out=share[2])
            torch.sub(m, own_d, out=share[3])
            torch.sub(d - d_more[g], own_d, out=share[4])
            torch.sub(new_i, own_d, out=share[5])
            torch.sub(m, own_i, out=share[6])
            torch.sub(i - i_more[g], own_i, out=share[7])
            share.exp_()
            share[0:3] *= now_m
            share[3:6] *= now_d
            share[6:8] *= now_i
            torch.add(share[0] + share[3], share[6], out=grad_pair[g])
            torch.add(share[2], share[5], out=spent[2, g])
            spent[0, g], spent[1, g], spent[3, g] = share[1], share[4], share[7]
            flow_m[g + 2, :, 1:] += grad_pair[g]
            flow_d[g + 1, :, 1:] += share[1] + share[4]
            flow_i[g + 1, :, :N] += spent[2, g] + share[7]
        return grad_pair, *spent.neg_(), None


def finishing(ends: Sequence[tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
    """Diagonal -> the rows that end there, and the place on it."""
    found: dict[int, list[tuple[int, int]]] = {}
    for row, (first, second) in enumerate(ends):
        found.setdefault(first + second, []).append((row, first))
    return found
