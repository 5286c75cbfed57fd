"""Labels read off the encoder: so many of them a source, then the end, which is certain there and impossible before.

p(label | place) is a softmax over the target's vocabulary but the specials; a sequence of labels has the product of them, so
that search, loss, scores and files need not know that nothing depends on what was said before.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.codec.types import BOS, EOS, PAD
from core.nn.embedding import Borrowed
from core.nn.layout import Layout
from core.nn.loss import linear_cross_entropy
from core.nn.output import Head, Remembered

# B batch, T target, K hypotheses, S source, D width, V vocabulary


class LabelHead(Head):
    """One label, or one for each symbol of the source."""

    def __init__(self, table: nn.Embedding | Borrowed, *, each: bool) -> None:
        """`each`: as many labels as the source has symbols."""
        super().__init__(table)
        self.each = each

    @property
    def remembers(self) -> bool:
        return True

    def cache(
        self, memory_BSD: Tensor, layout: Layout, source: Tensor, extended_BS: Tensor | None
    ) -> dict[str, Tensor]:
        lengths_B = layout.lengths
        return {"label.count": lengths_B if self.each else torch.ones_like(lengths_B)}

    def start(self, memory: Remembered, beams: int) -> dict[str, Tensor]:
        """Labels said so far."""
        return {"said": memory.cache["label.count"].new_zeros(len(memory.cache["label.count"]), beams)}

    def step(
        self, hidden_BKD: Tensor, memory: Remembered, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        over_BK = state["said"] >= memory.cache["label.count"][:, None]
        return self._spoken(hidden_BKD, over_BK), {"said": state["said"] + 1}

    def logp(self, hidden: Tensor, memory: Remembered) -> Tensor:
        """Log-probabilities [B, T, V], in float32 at least, T being places in a row."""
        place_T = torch.arange(hidden.shape[1], device=hidden.device)
        return self._spoken(hidden, place_T >= memory.cache["label.count"][:, None])

    def loss(
        self,
        hidden: Tensor,
        wanted: Tensor,
        memory: Remembered,
        *,
        smoothing: float = 0.0,
        legal: Tensor | None = None,
    ) -> Tensor:
        """Of the labels; the end, being certain, costs nothing. A target of another number of labels is impossible."""
        over_BT = torch.arange(wanted.shape[1], device=wanted.device) >= memory.cache["label.count"][:, None]
        label_N = wanted.masked_fill(wanted == EOS, PAD).flatten()
        can_V = torch.arange(self.weight.shape[0], device=wanted.device) != EOS
        can_NV = can_V.expand(len(label_N), -1)
        if legal is not None:
            V = can_NV.shape[1]
            wide = F.pad(legal, (0, max(V - legal.shape[-1], 0)), value=True)[..., :V]
            can_NV = can_NV & (wide.flatten(0, -2) | (label_N == PAD)[:, None])
        told = linear_cross_entropy(
            hidden.flatten(0, -2), self.weight, self.bias, label_N, smoothing=smoothing, legal_NV=can_NV
        )
        wrong_BT = (wanted != PAD) & ((wanted == EOS) != over_BT)
        return told + torch.zeros_like(told).masked_fill(wrong_BT.any(), torch.inf)

    def _spoken(self, hidden: Tensor, over: Tensor) -> Tensor:
        logits = F.linear(hidden, self.weight, self.bias)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        logits[..., [PAD, BOS, EOS]] = -torch.inf
        end_V = logits.new_full(logits.shape[-1:], -torch.inf)
        end_V[EOS] = 0
        return torch.where(over[..., None], end_V, logits.log_softmax(-1))
