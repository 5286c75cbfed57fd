"""The pointer network's output (Vinyals et al., 2015): a softmax over the places of the source, and the end.

With the decoder's state h and memory m, p(s) ~ exp((Q h) . (K m_s) / sqrt(D)), and p(end) ~ exp((Q h) . e / sqrt(D)), e learned. The
ids are those of an extended vocabulary in which each place is a word of its own: place s is V + s (data/copying.py), so search,
scores and files need not know. Deviations: the product in place of v . tanh(...), as everywhere here; and the decoder reads, of
the place that it pointed at, the encoder's state (through a map) and not the input that stood there, so that it can
tell apart equal symbols.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.codec.types import EOS, PAD
from core.nn.attention import NEVER
from core.nn.covered import coverage_key, covering, covering_step, looked_again
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.loss import FIRST
from core.nn.output import Head, Remembered

# B batch, T target (or hypotheses), S source, D width, V vocabulary, X places of the longest source, W = V + X


class PointerHead(Head):
    """It has no matrix of words."""

    def __init__(self, width: int, vocabulary: int, *, coverage: bool = False) -> None:
        nn.Module.__init__(self)
        self.vocabulary, self.borrowed = vocabulary, None
        self.query, self.key = matrix(width, width, bias=True), matrix(width, width)
        self.end = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))
        self.reading = matrix(width, width)
        self.seen = coverage_key(width) if coverage else None

    @property
    def remembers(self) -> bool:
        return True

    def cache(
        self, memory_BSD: Tensor, layout: Layout, source: Tensor, extended_BS: Tensor | None
    ) -> dict[str, Tensor]:
        if extended_BS is None:
            raise ValueError("a model that points needs the places of each source in every batch")
        return {
            "point.key": self.key(memory_BSD),
            "point.read": self.reading(memory_BSD),
            "point.real": layout.mask_BS & (extended_BS >= FIRST),
        }

    def read(self, token_BT: Tensor, memory: Remembered) -> Tensor:
        """Of each place that was pointed at, its state [B, T, D]; zeros for what is no place of the source."""
        real_BS = memory.cache["point.real"]
        place_BT = token_BT - self.vocabulary
        inside_BT = (place_BT >= 0) & (place_BT < real_BS.shape[1])
        place_BT = place_BT.masked_fill(~inside_BT, 0)
        there_BT1 = (inside_BT & real_BS.gather(1, place_BT))[..., None]
        read_BSD = memory.cache["point.read"]
        read_BTD = read_BSD.gather(1, place_BT[..., None].expand(-1, -1, read_BSD.shape[-1]))
        return read_BTD * there_BT1.to(read_BTD.dtype)

    def start(self, memory: Remembered, beams: int) -> dict[str, Tensor]:
        """With coverage, what has been looked at: nothing."""
        if self.seen is None:
            return {}
        real_BS = memory.cache["point.real"]
        return {"seen": self.end.new_zeros(real_BS.shape[0], beams, real_BS.shape[1] + 1)}

    def step(
        self, hidden_BKD: Tensor, memory: Remembered, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        score_BKs, slope_BK = self._compared(hidden_BKD, memory)
        if self.seen is not None:
            score_BKs, seen_BKs = covering_step(score_BKs, slope_BK, state["seen"])
            state = {"seen": seen_BKs}
        return self._spread(score_BKs, memory), state

    def logp(self, hidden: Tensor, memory: Remembered) -> Tensor:
        """Log-probabilities [B, T, W], in float32 at least, T being steps in a row."""
        return self._spread(self.scores(hidden, memory), memory)

    def scores(self, hidden_BTD: Tensor, memory: Remembered) -> Tensor:
        """Of all places, and the end last, [B, T, S + 1]."""
        score_BTs, slope_BT = self._compared(hidden_BTD, memory)
        return score_BTs if self.seen is None else covering(score_BTs, slope_BT)

    def looks(self, hidden_BTD: Tensor, memory: Remembered) -> Tensor:
        """Attention [B, T, S] under teacher forcing."""
        return self.scores(hidden_BTD, memory).softmax(-1)[..., :-1]

    def loss(
        self,
        hidden: Tensor,
        wanted: Tensor,
        memory: Remembered,
        *,
        smoothing: float = 0.0,
        legal: Tensor | None = None,
    ) -> Tensor:
        """As of words: over the places of each source, and the end. So few need no chunks."""
        logp_BTW, said_BT = self.logp(hidden, memory), wanted != PAD
        can_BTW = self._sayable(memory)[:, None].expand_as(logp_BTW)
        if legal is not None:
            wide = nn.functional.pad(legal, (0, max(logp_BTW.shape[-1] - legal.shape[-1], 0)), value=True)
            can_BTW = can_BTW & (wide[..., : logp_BTW.shape[-1]] | ~said_BT[..., None])
            logp_BTW = logp_BTW.masked_fill(~can_BTW, -torch.inf).log_softmax(-1)
        loss_BT = logp_BTW.gather(-1, wanted[..., None])[..., 0] * (smoothing - 1)
        if smoothing:
            loss_BT = loss_BT - smoothing * logp_BTW.masked_fill(~can_BTW, 0).sum(-1) / can_BTW.sum(-1).clamp(min=1)
        return loss_BT.masked_fill(~said_BT, 0).sum()

    def _compared(self, hidden_BTD: Tensor, memory: Remembered) -> tuple[Tensor, Tensor]:
        """(scores of all places and the end [B, T, S + 1], what coverage moves them by [B, T])."""
        high = torch.promote_types(self.end.dtype, torch.float32)
        query_BTD = self.query(hidden_BTD) * hidden_BTD.shape[-1] ** -0.5
        score_BTS = torch.bmm(query_BTD, memory.cache["point.key"].to(query_BTD.dtype).mT).to(high)
        score_BTS = score_BTS.masked_fill(~memory.cache["point.real"][:, None], NEVER)
        end_BT = (query_BTD @ self.end.to(query_BTD.dtype)).to(high)
        slope_BT = end_BT if self.seen is None else (query_BTD @ self.seen.to(query_BTD.dtype)).to(high)
        return torch.cat([score_BTS, end_BT[..., None]], dim=-1), slope_BT

    def _spread(self, score_BTs: Tensor, memory: Remembered) -> Tensor:
        """Over the ids of the extended vocabulary."""
        logp_BTs = score_BTs.log_softmax(-1)
        words_BTV = logp_BTs.new_full((*logp_BTs.shape[:-1], self.vocabulary), -torch.inf)
        words_BTV[..., EOS] = logp_BTs[..., -1]
        places_BTX = logp_BTs[..., :-1].masked_fill(~memory.cache["point.real"][:, None], -torch.inf)
        return torch.cat([words_BTV, places_BTX[..., : memory.extra]], dim=-1)

    def _sayable(self, memory: Remembered) -> Tensor:
        """[B, W]: the end, and the places of each source."""
        real_BX = memory.cache["point.real"][:, : memory.extra]
        words_BV = real_BX.new_zeros(real_BX.shape[0], self.vocabulary)
        words_BV[:, EOS] = True
        return torch.cat([words_BV, real_BX], dim=-1)

    def looked_again(self, hidden_BTD: Tensor, wanted_BT: Tensor, memory: Remembered) -> Tensor:
        """The coverage loss."""
        return looked_again(self.looks(hidden_BTD, memory), wanted_BT != PAD)
