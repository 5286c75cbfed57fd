"""How an attention stack knows where its symbols stand: added to them, turned into queries and keys, or a bias on the scores.

Learned (Gehring et al., 2017; Devlin et al., 2019): a vector a place, further places sharing the last. Relative bias (Raffel et
al., 2020): one number a head and bucket of distances; 32 buckets, half of them exact and half growing up to 128; where both
directions occur each has half of the buckets. As there, all layers of a stack share them; deviation: what is learned
is the bias / sqrt(width), since the steps of an adaptive optimizer are short for a bias that has to reach 5 or 10. ALiBi (Press
et al., 2022): score - slope_h * distance with slope_h = 2^(-8 h / H), h from 1 to H; deviations: the same rule where H is no
power of two, and an encoder, which the paper has none of, takes the distance in both directions, heads by turns at half the slope
ahead or behind: with equal slopes it could not tell a source from its reverse. Sinusoids and rotation: positions.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from core.nn.embedding import embed, embedding
from core.nn.near import Near
from core.nn.positions import Turn, rotation, sinusoids

# B batch, T query positions, S key positions, D width, H heads

Kind = Literal["sinusoidal", "learned", "rotary", "relative", "alibi"]
BUCKETS, FARTHEST = 32, 128


@dataclass(frozen=True, slots=True)
class Where:
    """What every layer of a stack is told about places; all layers the same."""

    turn: Turn | None = None
    """For queries and for keys of the same places."""
    bias: Tensor | None = None
    """On the scores, broadcasts to [B, H, T, S]."""
    near: Near | None = None
    """Who sees whom, where not all see all; it has biases of its own."""


class Places(nn.Module):
    """Of one stack."""

    def __init__(self, kind: Kind, width: int, heads: int, *, rows: int, both_ways: bool) -> None:
        """`rows`: places that are told apart where they are learned; `both_ways`: keys may come after their query."""
        super().__init__()
        self.kind: Kind = kind
        self.width, self.heads, self.both_ways = width, heads, both_ways
        if kind == "learned":
            self.learned = embedding(rows, width)
            table = self.learned.weight
        elif kind == "relative":
            self.bias_of_bucket = nn.Parameter(torch.zeros(BUCKETS, heads))
            table = self.bias_of_bucket
        else:
            return
        table.parts = 0  # pyright: ignore[reportAttributeAccessIssue]  # a table: no linear map for an optimizer of such

    def forward(self, x_BTD: Tensor, position_BT: Tensor) -> tuple[Tensor, Turn | None]:
        """Symbols with their places added, or the rotation that attention will apply; B of positions may be 1."""
        match self.kind:
            case "rotary":
                return x_BTD, rotation(position_BT, self.width // self.heads, x_BTD.dtype)
            case "sinusoidal":
                return x_BTD + sinusoids(position_BT, self.width, x_BTD.dtype), None
            case "learned":
                last = self.learned.num_embeddings - 1
                return x_BTD + embed(position_BT.clamp(max=last), self.learned), None
            case _:
                return x_BTD, None

    def bias(self, query_BT: Tensor, key_BS: Tensor) -> Tensor | None:
        """On the scores of queries at these places by keys at those, [..., H, T, S]; None where the kind has none."""
        if self.kind not in ("relative", "alibi"):
            return None
        ahead_BTS = key_BS[..., None, :] - query_BT[..., None]
        if self.kind == "relative":
            bias_BTSH = self.bias_of_bucket[buckets(ahead_BTS, both_ways=self.both_ways)] * self.width**0.5
            return bias_BTSH.movedim(-1, -3)
        slope_H11 = slopes(self.heads, ahead_BTS.device)[:, None, None]
        bias_BHTS = slope_H11 * -ahead_BTS.abs()[..., None, :, :]
        if not self.both_ways:
            return bias_BHTS
        odd_H11 = (torch.arange(self.heads, device=ahead_BTS.device) % 2 == 1)[:, None, None]
        return torch.where((ahead_BTS[..., None, :, :] > 0) == odd_H11, 0.5 * bias_BHTS, bias_BHTS)


def buckets(ahead: Tensor, *, both_ways: bool) -> Tensor:
    """By how many places a key stands after its query -> the bucket; without `both_ways` keys ahead have that of no distance."""
    n = BUCKETS // 2 if both_ways else BUCKETS
    distance = ahead.abs() if both_ways else (-ahead).clamp(min=0)
    exact = n // 2
    far = (distance.clamp(min=exact).float() / exact).log() / math.log(FARTHEST / exact)
    bucket = torch.where(distance < exact, distance, (exact + (far * (n - exact)).long()).clamp(max=n - 1))
    return bucket + n * (ahead > 0) if both_ways else bucket


def slopes(heads: int, device: torch.device) -> Tensor:
    """Of ALiBi, one a head."""
    return 2.0 ** (-8.0 * torch.arange(1, heads + 1, device=device) / heads)
