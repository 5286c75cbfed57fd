"""Drawing outputs at random: a source draws the same in any company, and more samples begin with the same ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.decode.candidates import NEVER, Choice, best_tokens

# B batch, K samples, V vocabulary, M tokens that may be drawn

BLOCK = 64
"""Steps whose random numbers are drawn at a time."""


def uniforms(seed: int, index: Sequence[int], samples: int, block: int) -> np.ndarray:
    """[B, K, BLOCK] in [0, 1), each a function of (seed, record, sample, step) alone: Philox, Salmon et al. 2011."""
    word = (1 << 64) - 1
    return np.array(
        [
            [
                np.random.Generator(
                    np.random.Philox(
                        key=np.array([seed & word, record & word], np.uint64), counter=[0, block, sample, 0]
                    )
                ).random(BLOCK)
                for sample in range(samples)
            ]
            for record in index
        ]
    )


@dataclass(frozen=True, slots=True)
class Among:
    """What may be drawn: see the [search] table."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0

    @property
    def all(self) -> bool:
        """No filter needs the tokens in order of their probability."""
        return self.top_k == 0 and self.top_p == 1


def draw(logp_BKV: Tensor, uniform_BK: Tensor, among: Among) -> Tensor:
    """One token a hypothesis, drawn from p ** (1 / temperature) over what the filters leave.

    `min_p` and `typical_p` judge the model's own probabilities, `top_p` those that the temperature has made.
    """
    V = logp_BKV.shape[-1]
    if among.min_p > 0 or among.typical_p < 1:
        logp_BKV = typical(likely(logp_BKV, among.min_p), among.typical_p)
    if among.all:
        value_BKM, token_BKM, top_BK1 = logp_BKV, None, logp_BKV.amax(-1, keepdim=True)
    else:
        value_BKM, token_BKM = best_tokens(logp_BKV, min(among.top_k or V, V))
        top_BK1 = value_BKM[..., :1]
    # Bounds on both numbers keep -inf / inf and -inf - -inf, which are no numbers, away.
    top_BK1 = top_BK1.clamp(min=torch.finfo(top_BK1.dtype).min)
    weight_BKM = ((value_BKM - top_BK1) / min(max(among.temperature, 1e-30), 1e30)).exp()
    below_BKM = weight_BKM.cumsum(-1, dtype=uniform_BK.dtype)
    mass_BK1 = below_BKM[..., -1:]
    if among.top_p < 1:
        last_BK1 = (below_BKM[..., :-1] < among.top_p * mass_BK1).sum(-1, keepdim=True)
        mass_BK1 = below_BKM.gather(-1, last_BK1)
    # A product rounded up to the whole mass would point past the last token.
    point_BK1 = torch.minimum(uniform_BK[..., None] * mass_BK1, torch.nextafter(mass_BK1, torch.zeros_like(mass_BK1)))
    drawn_BK1 = torch.searchsorted(below_BKM, point_BK1, right=True).clamp(max=value_BKM.shape[-1] - 1)
    return (drawn_BK1 if token_BKM is None else token_BKM.gather(-1, drawn_BK1))[..., 0]


def filtered(logp_BKV: Tensor, among: Among) -> Tensor:
    """What may be drawn, by the same choices as `draw` makes: log p / temperature, not put to one in sum; -inf elsewhere."""
    if among.min_p > 0 or among.typical_p < 1:
        logp_BKV = typical(likely(logp_BKV, among.min_p), among.typical_p)
    if among.all:
        return logp_BKV.double() / min(max(among.temperature, 1e-30), 1e30)
    V = logp_BKV.shape[-1]
    value_BKM, token_BKM = best_tokens(logp_BKV, min(among.top_k or V, V))
    own_BKM = value_BKM.double() / min(max(among.temperature, 1e-30), 1e30)
    if among.top_p < 1:
        p_BKM = (own_BKM - own_BKM[..., :1].clamp(min=torch.finfo(own_BKM.dtype).min)).exp()
        below_BKM = p_BKM.cumsum(-1)
        beyond_BKM = below_BKM - p_BKM >= among.top_p * below_BKM[..., -1:]
        beyond_BKM[..., 0] = False
        own_BKM = own_BKM.masked_fill(beyond_BKM, NEVER)
    return torch.full_like(logp_BKV, NEVER, dtype=own_BKM.dtype).scatter(-1, token_BKM, own_BKM)


def likely(logp_BKV: Tensor, share: float) -> Tensor:
    """Only tokens at least `share` times as probable as the likeliest (min-p: Nguyen et al., 2024)."""
    if share <= 0:
        return logp_BKV
    return logp_BKV.masked_fill(logp_BKV < logp_BKV.amax(-1, keepdim=True) + math.log(share), NEVER)


def typical(logp_BKV: Tensor, mass: float) -> Tensor:
    """Only the fewest tokens of this probability in all whose surprise is nearest to the expected (Meister et al., 2023).

    Probabilities are put to one in sum first, since rules and bans leave less.
    """
    if mass >= 1:
        return logp_BKV
    own_BKV = logp_BKV.log_softmax(-1)
    p_BKV = own_BKV.exp()
    surprise_BKV = -own_BKV.masked_fill(p_BKV == 0, 0)
    odd_BKV = (surprise_BKV - (p_BKV * surprise_BKV).sum(-1, keepdim=True)).abs().masked_fill(p_BKV == 0, math.inf)
    order_BKV = odd_BKV.sort(dim=-1, stable=True).indices
    mass_BKV = p_BKV.gather(-1, order_BKV).cumsum(-1)
    beyond_BKV = mass_BKV - p_BKV.gather(-1, order_BKV) >= mass  # the one that reaches the mass is still in
    beyond_BKV[..., 0] = False
    return logp_BKV.masked_fill(torch.zeros_like(beyond_BKV).scatter(-1, order_BKV, beyond_BKV), NEVER)


def drawn_candidates(logp_BKV: Tensor, sum_BK: Tensor, token_BK: Tensor) -> Choice:
    """Every sample goes on with the token it drew; what counts is the model's probability, not the tempered one."""
    parent_BK = torch.arange(sum_BK.shape[1], device=sum_BK.device).expand_as(sum_BK)
    logp_BK = logp_BKV.gather(-1, token_BK[..., None])[..., 0].to(sum_BK.dtype).clamp(max=0)
    return Choice(sum_BK + logp_BK, parent_BK, token_BK, logp_BK, (sum_BK > NEVER) & (logp_BK == NEVER))
