"""Stochastic beam search: K outputs drawn without replacement, each as likely as drawing them one by one (Kool et al., 2019).

Every output has its log-probability and a Gumbel number on top; the K largest sums are such a draw. A prefix carries the largest
of all its outputs', so a beam that keeps the best prefixes finds them, and neither ends nor early stops can lose one.

The noise of a token after a prefix is a function of the seed, the record, the prefix and the token alone, hashed (the finaliser of
SplitMix64, Steele et al., 2014): company changes nothing, and wider beams draw what narrower ones drew, and more. Deviation: the root's
number is 0, not a Gumbel draw, which moves all numbers alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.decode.candidates import NEVER, Choice
from core.decode.sampling import Among, filtered

# B batch, K hypotheses, V vocabulary, C candidates

WORD = 1 << 64
MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
GOLDEN = 0x9E3779B97F4A7C15


class Perturbed:
    """Of each live hypothesis: `phi`, its log-probability under what may be drawn; its key; a hash of its tokens."""

    def __init__(self, seed: int, index: Sequence[int], beams: int, among: Among, like_BK: Tensor) -> None:
        self.among = among
        start = mixed(torch.tensor([signed(seed)], device=like_BK.device))
        self.node_BK = mixed(start + mixed(torch.tensor([*index], device=like_BK.device)))[:, None].repeat(1, beams)
        self.phi_BK = torch.zeros_like(like_BK)
        self.phi_BKV = self.node_BKV = torch.empty(0)

    def candidates(self, logp_BKV: Tensor, sum_BK: Tensor, key_BK: Tensor) -> Choice:
        """The 2K largest keys, at most K of which can end."""
        K, V = logp_BKV.shape[1:]
        own_BKV = filtered(logp_BKV, self.among).to(sum_BK.dtype)
        own_BKV = own_BKV - own_BKV.logsumexp(-1, keepdim=True).clamp(min=torch.finfo(sum_BK.dtype).min)
        self.phi_BKV = self.phi_BK[..., None] + own_BKV
        self.node_BKV = mixed(self.node_BK[..., None] + signed(GOLDEN) * (1 + torch.arange(V, device=own_BKV.device)))
        key_BKV = bounded(self.phi_BKV + gumbel(self.node_BKV, sum_BK.dtype), key_BK)
        key_BC, flat_BC = key_BKV.flatten(1).topk(min(2 * K, K * V))
        parent_BC, token_BC = flat_BC // V, flat_BC % V
        logp_BC = logp_BKV.flatten(1).gather(1, flat_BC).to(sum_BK.dtype).clamp(max=0)
        total_BC = (sum_BK.gather(1, parent_BC) + logp_BC).masked_fill(key_BC == NEVER, NEVER)
        stuck_BK = (key_BK > NEVER) & (own_BKV.amax(-1) == NEVER)
        return Choice(total_BC, parent_BC, token_BC, logp_BC, stuck_BK, key_BC)

    def follow(self, parent_BK: Tensor, token_BK: Tensor) -> None:
        """These hypotheses go on, with these tokens."""
        flat_BK = parent_BK * self.phi_BKV.shape[-1] + token_BK
        self.phi_BK, self.node_BK = (x.flatten(1).gather(1, flat_BK) for x in (self.phi_BKV, self.node_BKV))

    def keep(self, rows_B: Tensor) -> None:
        """Only these sources go on."""
        self.phi_BK, self.node_BK = self.phi_BK[rows_B], self.node_BK[rows_B]


def bounded(key_BKV: Tensor, most_BK: Tensor) -> Tensor:
    """Gumbel numbers as they are when the largest of each row is known to be `most`: appendix B.3 of the paper."""
    live_BK1 = (most_BK > NEVER)[..., None] & (key_BKV.amax(-1, keepdim=True) > NEVER)
    most_BK1 = most_BK[..., None].masked_fill(~live_BK1, 0.0)
    top_BK1 = key_BKV.amax(-1, keepdim=True).masked_fill(~live_BK1, 0.0)
    fall_BKV = most_BK1 - key_BKV + torch.log1p(-(key_BKV - top_BK1).clamp(max=0).exp())
    moved_BKV = most_BK1 - fall_BKV.clamp(min=0) - torch.log1p((-fall_BKV.abs()).exp())
    moved_BKV = torch.where(key_BKV >= top_BK1, most_BK1, moved_BKV)
    return moved_BKV.masked_fill(~live_BK1 | (key_BKV == NEVER), NEVER)


def gumbel(hash_: Tensor, dtype: torch.dtype) -> Tensor:
    """-log(-log u), u in (0, 1) being the upper bits of a hash."""
    bits = 53 if dtype == torch.float64 else 24
    u = (shifted(hash_, 64 - bits).to(dtype) + 0.5) * 2.0**-bits
    return -(-u.log()).log()


def mixed(x: Tensor) -> Tensor:
    """Every bit of an int64 depends on every other one."""
    x = (x ^ shifted(x, 30)) * signed(MULTIPLIERS[0])
    x = (x ^ shifted(x, 27)) * signed(MULTIPLIERS[1])
    return x ^ shifted(x, 31)


def shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, as unsigned numbers are."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def signed(word: int) -> int:
    """The int64 of these 64 bits."""
    word %= WORD
    return word - WORD if word >= WORD // 2 else word
