"""The second opinion on where an output comes from: what the log-probability of each token owes to each place of the source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.codec.types import Encoded
from core.data.batch import collate
from core.model.seq2seq import Seq2Seq
from core.nn.layout import Layout
from core.report.forced import distribution
from core.report.rollout import shares

# B batch (a row a step), T target (with its end), S source (as the encoder reads it), D width

TOGETHER = 16
"""Steps asked about at once: each needs a row of its own, so that gradients stay apart."""


def gradient_x_input(model: Seq2Seq, source: Encoded, tokens: Sequence[int]) -> np.ndarray:
    """[T, S], rows of sum 1: |x . d log p(token) / dx| of what the encoder reads at each place.

    Gradient x input (Shrikumar et al., 2016), as Ding et al. (2019) ask it of translations, but of the vectors that the
    front gives (words, or frames after subsampling), of the token that was said, and without noise or smoothing.
    """
    found: list[np.ndarray] = []
    device = next(model.parameters()).device
    steps = range(len(tokens) + 1)
    model.eval()
    for begin in range(0, len(steps), TOGETHER):
        asked = list(steps[begin : begin + TOGETHER])
        batch = collate([source] * len(asked), [list(tokens)] * len(asked), asked).to(device)
        read: list[Tensor] = []

        def hold(module: object, given: object, front: tuple[Tensor, Layout], read: list[Tensor] = read) -> object:
            read.append(front[0].detach().requires_grad_())
            return read[0], front[1]

        handle = model.front.register_forward_hook(hold)
        try:
            with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):  # its recurrent kernels want training
                said_BT = distribution(model, batch).gather(-1, batch.wanted_BT[..., None])[..., 0]
                (slope_BSD,) = torch.autograd.grad(said_BT[range(len(asked)), asked].sum(), read[0])
        finally:
            handle.remove()
        found.append((slope_BSD * read[0]).sum(-1).abs().detach().double().cpu().numpy())
    return shares(np.concatenate(found))


def ranked(values: np.ndarray) -> np.ndarray:
    """The rank of each value; equals share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return (ends - (count - 1) / 2)[place]


def agreement(one_TS: np.ndarray, other_TS: np.ndarray) -> tuple[float, float]:
    """Share of steps whose largest place is the same, and the mean correlation of the ranks (Spearman) over steps."""
    same = float((one_TS.argmax(-1) == other_TS.argmax(-1)).mean())
    found: list[float] = []
    for mine, theirs in zip(one_TS, other_TS, strict=True):
        a, b = ranked(mine), ranked(theirs)
        if a.std() > 0 and b.std() > 0:
            found.append(float(np.corrcoef(a, b)[0, 1]))
    return same, float(np.mean(found)) if found else 0.0
