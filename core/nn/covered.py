"""Coverage (See et al., 2017): attention that knows how much it has looked at each place so far.

With c_t = the sum of a_t' over t' < t, the key of place s becomes k_s + w c_t[s], w learned: in additive attention this is
their v . tanh(W q + U m_s + w c_t[s]), in any other the same idea, (q . k_s) + (q . w) c_t[s]. Their loss for looking at a
place again is the sum over t and s of min(a_t[s], c_t[s]).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# B batch, T target, K hypotheses, S source, D width


def coverage_key(width: int) -> nn.Parameter:
    """w; zero at first, so that coverage has to be found useful."""
    return nn.Parameter(torch.zeros(width))


def covering(score_BTS: Tensor, slope_BT: Tensor) -> Tensor:
    """Scores of every step under teacher forcing, [B, T, S]: each moved by what the steps before it have looked at."""
    seen_BS = torch.zeros_like(score_BTS[:, 0])
    steps: list[Tensor] = []
    for score_BS, slope_B in zip(score_BTS.unbind(1), slope_BT.unbind(1), strict=True):
        steps.append(score_BS + slope_B[:, None] * seen_BS)
        seen_BS = seen_BS + steps[-1].softmax(-1)
    return torch.stack(steps, dim=1)


def covering_step(score_BKS: Tensor, slope_BK: Tensor, seen_BKS: Tensor) -> tuple[Tensor, Tensor]:
    """The same of one step of K hypotheses; and what has been looked at after it."""
    score_BKS = score_BKS + slope_BK[..., None] * seen_BKS
    return score_BKS, seen_BKS + score_BKS.softmax(-1)


def looked_again(look_BTS: Tensor, said_BT: Tensor) -> Tensor:
    """The loss, summed over the steps that count."""
    before_BTS = look_BTS.cumsum(1) - look_BTS
    return (torch.minimum(look_BTS, before_BTS).sum(-1) * said_BT.to(look_BTS.dtype)).sum()
