"""Attention as a recurrent decoder uses it: one query a hypothesis, weights over the source, and the context that they find.

With q the decoder's state and m_s the memory, scores are v . tanh(W q + U m_s) (additive; Bahdanau et al., 2015), q . m_s
(dot), q . W m_s (general; both Luong et al., 2015), q . m_s / sqrt(D) (scaled dot; Vaswani et al., 2017, without maps), and the
context is the weighted sum of m_s; or all this in several heads with maps of their own (multi-head; Vaswani et al., 2017).

A window (`Window`) lets a query see only places near where the last one looked: |s - p| <= w, with p the mean place under the
last weights, or the p before it where that is further on, so that it never goes back; at first p = 0. After the windows of
Chorowski et al. (2015), which follow the median of the last weights and are not monotonic.

With coverage (covered.py) the key of a place has w times what was looked at it so far added, in each head with a w of its own.
"""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import Tensor, nn

from core.nn.attention import NEVER
from core.nn.covered import coverage_key
from core.nn.linear import matrix

# B batch, K hypotheses, S source, D width, H heads, d width of a head

Kind = Literal["additive", "dot", "general", "scaled_dot", "multi_head"]


class Lookup(nn.Module):
    """One head; the memory itself is what is found."""

    def __init__(self, covered: int = 0) -> None:
        """`covered`: the width, where there is coverage."""
        super().__init__()
        self.seen = coverage_key(covered) if covered else None

    def cache(self, memory_BSD: Tensor) -> dict[str, Tensor]:
        """What every query needs of the memory, worked out once."""
        return {"key": self.keys(memory_BSD)}

    def forward(
        self,
        query_BKD: Tensor,
        memory_BSD: Tensor,
        cache: dict[str, Tensor],
        visible: Tensor,
        seen_BKS: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The context [B, K, D] and the weights [B, H, K, S]: zero where `visible` [B, 1 or K, S] is not, and all where nothing is.

        `seen_BKS` is the sum of earlier weights, with coverage.
        """
        look_BKS = masked_softmax(self.scores(query_BKD, cache["key"], seen_BKS), visible)
        return torch.bmm(look_BKS.to(memory_BSD.dtype), memory_BSD), look_BKS[:, None]

    def keys(self, memory_BSD: Tensor) -> Tensor:
        """The memory as it is compared."""
        return memory_BSD

    def scores(self, query_BKD: Tensor, key_BSD: Tensor, seen_BKS: Tensor | None = None) -> Tensor:
        """[B, K, S]"""
        score_BKS = torch.bmm(query_BKD, key_BSD.to(query_BKD.dtype).mT)
        if self.seen is None or seen_BKS is None:
            return score_BKS
        return score_BKS + (query_BKD @ self.seen.to(query_BKD.dtype))[..., None] * seen_BKS


class ScaledLookup(Lookup):
    """By the square root of the width, so that scores are of unit variance where states are."""

    def scores(self, query_BKD: Tensor, key_BSD: Tensor, seen_BKS: Tensor | None = None) -> Tensor:
        return super().scores(query_BKD * query_BKD.shape[-1] ** -0.5, key_BSD, seen_BKS)


class GeneralLookup(Lookup):
    """The memory is mapped once a source."""

    def __init__(self, width: int, covered: int = 0) -> None:
        super().__init__(covered)
        self.key = matrix(width, width)

    def keys(self, memory_BSD: Tensor) -> Tensor:
        return self.key(memory_BSD)


class AdditiveLookup(Lookup):
    """Keys are projected once a source; queries of any number share them."""

    def __init__(self, width: int, covered: int = 0) -> None:
        super().__init__(covered)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.score = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))

    def keys(self, memory_BSD: Tensor) -> Tensor:
        return self.key(memory_BSD)

    def scores(self, query_BKD: Tensor, key_BSD: Tensor, seen_BKS: Tensor | None = None) -> Tensor:
        energy_BKSD = self.query(query_BKD)[:, :, None] + key_BSD[:, None]
        if self.seen is not None and seen_BKS is not None:
            energy_BKSD = energy_BKSD + seen_BKS[..., None] * self.seen
        return energy_BKSD.tanh() @ self.score


class MultiHeadLookup(nn.Module):
    """Each head has its maps of query, key and value; a last one joins what they find."""

    def __init__(self, width: int, heads: int, covered: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.seen = coverage_key(covered) if covered else None
        self.query, self.output = matrix(width, width), matrix(width, width)
        self.memory = matrix(width, 2 * width, parts=2)

    def cache(self, memory_BSD: Tensor) -> dict[str, Tensor]:
        """Keys and values, [B, H, S, d]."""
        key, value = (self._split(x) for x in self.memory(memory_BSD).chunk(2, dim=-1))
        return {"key": key, "value": value}

    def forward(
        self,
        query_BKD: Tensor,
        memory_BSD: Tensor,
        cache: dict[str, Tensor],
        visible: Tensor,
        seen_BKS: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        query_BHKd = self._split(self.query(query_BKD))
        query_BHKd = query_BHKd * query_BHKd.shape[-1] ** -0.5
        score_BHKS = query_BHKd @ cache["key"].to(query_BHKd.dtype).mT
        if self.seen is not None and seen_BKS is not None:
            seen_Hd1 = self.seen.view(self.heads, -1, 1).to(query_BHKd.dtype)
            score_BHKS = score_BHKS + (query_BHKd @ seen_Hd1) * seen_BKS[:, None]
        look_BHKS = masked_softmax(score_BHKS, visible[:, None])
        found_BHKd = look_BHKS.to(cache["value"].dtype) @ cache["value"]
        return self.output(found_BHKd.transpose(1, 2).flatten(2)).to(memory_BSD.dtype), look_BHKS

    def _split(self, x_BSD: Tensor) -> Tensor:
        return x_BSD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Window:
    """Where queries may look, given where the last ones did."""

    def __init__(self, reach: int) -> None:
        self.reach = reach

    def around(self, place_BK: Tensor, mask_BS: Tensor) -> Tensor:
        """[B, K, S]: real, and no further than the reach."""
        place_S = torch.arange(mask_BS.shape[1], device=mask_BS.device)
        return mask_BS[:, None] & ((place_S - place_BK[..., None]).abs() <= self.reach)

    def moved(self, place_BK: Tensor, look_BHKS: Tensor) -> Tensor:
        """The mean place, over heads too; never back."""
        place_S = torch.arange(look_BHKS.shape[-1], device=look_BHKS.device, dtype=place_BK.dtype)
        return torch.maximum(place_BK, look_BHKS.detach().mean(1).to(place_BK.dtype) @ place_S)


def masked_softmax(score: Tensor, visible: Tensor) -> Tensor:
    """Exactly zero where nothing is visible."""
    return score.masked_fill(~visible, NEVER).softmax(-1) * visible.to(score.dtype)


def make_lookup(kind: Kind, width: int, heads: int, *, coverage: bool = False) -> Lookup | MultiHeadLookup:
    """`heads` are of multi-head attention only."""
    covered = width if coverage else 0
    match kind:
        case "additive":
            return AdditiveLookup(width, covered)
        case "dot":
            return Lookup(covered)
        case "general":
            return GeneralLookup(width, covered)
        case "scaled_dot":
            return ScaledLookup(covered)
        case "multi_head":
            return MultiHeadLookup(width, heads, covered)
        case _:
            assert_never(kind)
