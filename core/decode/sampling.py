"""Drawing outputs at random: a source draws the same in any company, and more samples begin with the same ones."""

from __future__ import annotations

from collections.abc import Sequence

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


def draw(logp_BKV: Tensor, uniform_BK: Tensor, *, temperature: float, top_k: int, top_p: float) -> Tensor:
    """One token a hypothesis, drawn from p ** (1 / temperature) over what the filters leave."""
    V = logp_BKV.shape[-1]
    if top_k == 0 and top_p == 1:
        value_BKM, token_BKM, top_BK1 = logp_BKV, None, logp_BKV.amax(-1, keepdim=True)
    else:
        value_BKM, token_BKM = best_tokens(logp_BKV, min(top_k or V, V))
        top_BK1 = value_BKM[..., :1]
    # Bounds on both numbers keep -inf / inf and -inf - -inf, which are no numbers, away.
    top_BK1 = top_BK1.clamp(min=torch.finfo(top_BK1.dtype).min)
    weight_BKM = ((value_BKM - top_BK1) / min(max(temperature, 1e-30), 1e30)).exp()
    below_BKM = weight_BKM.cumsum(-1, dtype=uniform_BK.dtype)
    mass_BK1 = below_BKM[..., -1:]
    if top_p < 1:
        last_BK1 = (below_BKM[..., :-1] < top_p * mass_BK1).sum(-1, keepdim=True)
        mass_BK1 = below_BKM.gather(-1, last_BK1)
    # A product rounded up to the whole mass would point past the last token.
    point_BK1 = torch.minimum(uniform_BK[..., None] * mass_BK1, torch.nextafter(mass_BK1, torch.zeros_like(mass_BK1)))
    drawn_BK1 = torch.searchsorted(below_BKM, point_BK1, right=True).clamp(max=value_BKM.shape[-1] - 1)
    return (drawn_BK1 if token_BKM is None else token_BKM.gather(-1, drawn_BK1))[..., 0]


def drawn_candidates(logp_BKV: Tensor, sum_BK: Tensor, token_BK: Tensor) -> Choice:
    """Every sample goes on with the token it drew; what counts is the model's probability, not the tempered one."""
    parent_BK = torch.arange(sum_BK.shape[1], device=sum_BK.device).expand_as(sum_BK)
    logp_BK = logp_BKV.gather(-1, token_BK[..., None])[..., 0].to(sum_BK.dtype).clamp(max=0)
    return Choice(sum_BK + logp_BK, parent_BK, token_BK, logp_BK, (sum_BK > NEVER) & (logp_BK == NEVER))
