"""The likeliest continuations, in an order that is defined to the last tie."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from core.codec.types import EOS

# B batch, K hypotheses, V vocabulary, M tokens a hypothesis, C candidates of a source

NEVER = float("-inf")
BLOCK = 64
"""Words of which one maximum is taken: a pass over all of them and a short search, where a search over all is several times as slow."""


class Choice(NamedTuple):
    """What a step offers each source: C continuations, best first (or one a hypothesis, in place)."""

    total_BC: Tensor
    """Summed log-probabilities; -inf where there is no such candidate."""
    parent_BC: Tensor
    token_BC: Tensor
    logp_BC: Tensor
    """Of the token alone, as the model has it."""
    stuck_BK: Tensor
    """Live hypotheses that no token can continue."""
    key_BC: Tensor | None = None
    """What decides who goes on and what is kept, where that is not the score."""


@runtime_checkable
class Choosing(Protocol):
    """A model that finds the best continuations itself; its log-probabilities may be written to, and are all numbers or -inf."""

    def choose(self, logp_BKV: Tensor, sum_BK: Tensor, /) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """As `best_candidates`: what a Choice begins with."""
        ...


def best_tokens(logp_BKV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` likeliest tokens of each hypothesis, likeliest first; of equal ones at the edge, the lower ids."""
    V = logp_BKV.shape[-1]
    if count == 1:
        return logp_BKV.max(-1, keepdim=True)  # documented to point at the first of equal ones
    if count < V:
        value_BKM, token_BKM = likeliest(logp_BKV, count + 1)
        cut_BK = (value_BKM[..., -1] == value_BKM[..., -2]) & (value_BKM[..., -1] > NEVER)
        # Which of equal ones topk takes is arbitrary on a CPU. CUDA's scans upwards, and asking would wait for it.
        if logp_BKV.device.type != "cpu" or not bool(cut_BK.any()):
            return value_BKM[..., :count], token_BKM[..., :count]
    value_BKV, token_BKV = logp_BKV.sort(dim=-1, descending=True, stable=True)
    return value_BKV[..., :count], token_BKV[..., :count]


def likeliest(logp_BKV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`topk`; over many words, only of the blocks of words that have the greatest maxima, for only they can hold any of the `count`.

    Which of equal ones it takes is arbitrary, as with topk.
    """
    V = logp_BKV.shape[-1]
    N = V // BLOCK
    if 4 * count > N or logp_BKV.device.type != "cpu":
        return logp_BKV.topk(count)
    logp_BKNn = logp_BKV[..., : N * BLOCK].unflatten(-1, (N, BLOCK))
    block_BKM = logp_BKNn.amax(-1).topk(count).indices
    value_BKMn = logp_BKNn.gather(-2, block_BKM[..., None].expand(*block_BKM.shape, BLOCK))
    value_BKX = torch.cat([value_BKMn.flatten(-2), logp_BKV[..., N * BLOCK :]], -1)  # and what is left of a last block
    value_BKM, index_BKM = value_BKX.topk(count)
    inside_BKM = index_BKM < count * BLOCK
    first_BKM = block_BKM.gather(-1, (index_BKM // BLOCK).clamp(max=count - 1)) * BLOCK
    token_BKM = torch.where(inside_BKM, first_BKM + index_BKM % BLOCK, index_BKM + N * BLOCK - count * BLOCK)
    return value_BKM, token_BKM


def best_candidates(logp_BKV: Tensor, sum_BK: Tensor) -> Choice:
    """The 2K best continuations of each source by sum, then lower parent, then lower token (one beam is greedy: one).

    At most K of 2K can end here, so K are left to go on.
    """
    K, V = logp_BKV.shape[1:]
    M = min(2 * K, V) if K > 1 else 1
    value_BKM, token_BKM = best_tokens(logp_BKV, M)
    # Rounding may put a probability above one, and the bound of the early stop rests on sums that never rise.
    value_BKM = value_BKM.to(sum_BK.dtype).clamp(max=0)
    stuck_BK = (sum_BK > NEVER) & (value_BKM[..., 0] == NEVER)
    if K == 1:
        return Choice(
            sum_BK + value_BKM[:, 0], torch.zeros_like(token_BKM[:, 0]), token_BKM[:, 0], value_BKM[:, 0], stuck_BK
        )
    token_BKM, order_BKM = token_BKM.sort(-1)
    value_BN = value_BKM.gather(-1, order_BKM).flatten(1)
    total_BN = (sum_BK[..., None] + value_BN.view_as(token_BKM)).flatten(1)
    total_BN, order_BN = total_BN.sort(dim=-1, descending=True, stable=True)
    order_BC = order_BN[:, : 2 * K]
    token_BC, logp_BC = token_BKM.flatten(1).gather(1, order_BC), value_BN.gather(1, order_BC)
    return Choice(total_BN[:, : 2 * K], order_BC // M, token_BC, logp_BC, stuck_BK)


def grouped_candidates(logp_BKV: Tensor, sum_BK: Tensor, groups: int, penalty: float) -> Choice:
    """Of each group of hypotheses in turn; a token costs `penalty` for each hypothesis of earlier groups that goes on with it.

    The penalty decides who goes on and nothing else: sums stay the model's (Vijayakumar et al., 2018, with the Hamming
    distance at each step).
    """
    K = sum_BK.shape[1] // groups
    used_BV = torch.zeros_like(logp_BKV[:, 0])
    choices: list[Choice] = []
    for begin in range(0, groups * K, K):
        own_BkV, own_Bk = logp_BKV[:, begin : begin + K], sum_BK[:, begin : begin + K]
        found = best_candidates(own_BkV - penalty * used_BV[:, None], own_Bk)
        flat_BC = found.parent_BC * own_BkV.shape[-1] + found.token_BC
        logp_BC = own_BkV.flatten(1).gather(1, flat_BC).to(sum_BK.dtype).clamp(max=0)
        total_BC = own_Bk.gather(1, found.parent_BC) + logp_BC
        going_Bk = (found.token_BC == EOS).to(torch.uint8).sort(stable=True).indices[:, :K]
        token_Bk = found.token_BC.gather(1, going_Bk)
        alive_Bk = (total_BC.gather(1, going_Bk) > NEVER) & (token_Bk != EOS)
        used_BV = used_BV.scatter_add(1, token_Bk, alive_Bk.to(used_BV.dtype))
        choices.append(Choice(total_BC, found.parent_BC + begin, found.token_BC, logp_BC, found.stuck_BK))
    total, parent, token, logp, stuck = (torch.cat([one[n] for one in choices], 1) for n in range(5))  # pyright: ignore
    return Choice(total, parent, token, logp, stuck)
