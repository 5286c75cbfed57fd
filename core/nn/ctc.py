"""Connectionist temporal classification (Graves et al., 2006): the target read off the encoder's frames, in order."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.codec.types import BOS, EOS, PAD
from core.nn.layout import Layout
from core.nn.linear import matrix

# B batch, S frames, T target, D width, V vocabulary

BLANK = PAD
"""No token here: the pad's place, which no target needs."""
NEVER = -1e4
"""The logit of a probability of exactly zero whose gradient is a number."""


class CtcHead(nn.Module):
    """A linear layer and a softmax over the target's vocabulary and the blank, frame by frame."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.project = matrix(width, vocabulary, bias=True)

    def logp(self, hidden_BSD: Tensor, *, never: float = -torch.inf) -> Tensor:
        """Log-probabilities [B, S, V] in float32 at least; BOS and EOS have `never`."""
        logits_BSV = self.project(hidden_BSD)
        logits_BSV = logits_BSV.to(torch.promote_types(logits_BSV.dtype, torch.float32))
        logits_BSV[..., [BOS, EOS]] = never
        return logits_BSV.log_softmax(-1)

    def loss(self, hidden_BSD: Tensor, layout: Layout, wanted_BT: Tensor) -> Tensor:
        """-log p(target | source), summed over sources. One with too few frames for its target counts nothing."""
        label_BT = wanted_BT.masked_fill(wanted_BT == EOS, PAD)
        length_B = (label_BT != PAD).sum(1)
        logp_SBV = self.logp(hidden_BSD, never=NEVER).transpose(0, 1)
        return F.ctc_loss(
            logp_SBV, label_BT, layout.lengths, length_B, blank=BLANK, reduction="sum", zero_infinity=True
        )
