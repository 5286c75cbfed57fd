"""From hidden states to words: a linear layer and a softmax over what can be said (PAD and BOS cannot)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.codec.types import PAD
from core.nn.embedding import Borrowed
from core.nn.layout import Layout
from core.nn.loss import FIRST, linear_cross_entropy

# B batch, S source, D width, V vocabulary


class Remembered(Protocol):
    """What a head may look up of the sources."""

    @property
    def cache(self) -> dict[str, Tensor]:
        """What `Head.cache` found, every tensor [B, ...]."""
        ...

    @property
    def extra(self) -> int:
        """Words beyond the vocabulary, of the source that has most."""
        ...


class Head(nn.Module):
    """The matrix is the head's own, or that of an embedding (Press & Wolf, 2017)."""

    def __init__(self, table: nn.Embedding | Borrowed) -> None:
        super().__init__()
        self.borrowed = table if isinstance(table, Borrowed) else None
        if not isinstance(table, Borrowed):
            self.matrix = nn.Parameter(table.weight.detach())
        self.bias = nn.Parameter(torch.zeros(self.weight.shape[0]))

    @property
    def weight(self) -> Tensor:
        """Whoever owns it."""
        return self.matrix if self.borrowed is None else self.borrowed.embedding.weight

    @property
    def remembers(self) -> bool:
        """Whether a step of it, or what the decoder reads, depends on more than the tokens before."""
        return False

    def cache(
        self, memory_BSD: Tensor, layout: Layout, source: Tensor, extended_BS: Tensor | None
    ) -> dict[str, Tensor]:
        """What every step needs of the memory; `extended_BS` are the words of a copy map."""
        return {}

    def logp(self, hidden: Tensor, memory: Remembered) -> Tensor:
        """Log-probabilities [..., V], in float32 at least."""
        return spoken(hidden, self.weight, self.bias)

    def start(self, memory: Remembered, beams: int) -> dict[str, Tensor]:
        """What a step needs to know of those before it; every tensor [B, K, ...]."""
        return {}

    def step(
        self, hidden_BKD: Tensor, memory: Remembered, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Log-probabilities [B, K, V] of what K hypotheses say next, where `logp` is asked of steps in a row; and the state."""
        return self.logp(hidden_BKD, memory), state

    def loss(
        self,
        hidden: Tensor,
        wanted: Tensor,
        memory: Remembered,
        *,
        smoothing: float = 0.0,
        legal: Tensor | None = None,
    ) -> Tensor:
        """Summed over the positions of `wanted` that are no pads; over `legal` words [..., V] only, where given."""
        hidden_ND, wanted_N = hidden.flatten(0, -2), wanted.flatten()
        legal_NV = None if legal is None else legal.flatten(0, -2)
        if wanted_N.device.type == "cpu":  # elsewhere, choosing rows would wait for the device: pads are weighed by 0
            real_n = (wanted_N != PAD).nonzero()[:, 0]
            hidden_ND, wanted_N = hidden_ND[real_n], wanted_N[real_n]
            legal_NV = None if legal_NV is None else legal_NV[real_n]
        return linear_cross_entropy(hidden_ND, self.weight, self.bias, wanted_N, smoothing=smoothing, legal_NV=legal_NV)


def spoken(hidden: Tensor, weight_VD: Tensor, bias_V: Tensor) -> Tensor:
    """Log-probabilities [..., V] of what can be said, in float32 at least."""
    logits = F.linear(hidden, weight_VD, bias_V)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logits[..., :FIRST] = -torch.inf
    return logits.log_softmax(-1)
