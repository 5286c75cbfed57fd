"""The pointer-generator head (Gu et al., 2016; See et al., 2017): say a word of the vocabulary, or one that stands in the source.

p(w) = g softmax(W h)_w + (1 - g) * sum of a_s over the positions s that hold w, over the vocabulary and, from its size
on, the words of this source that it lacks. a is an attention of the head's own, a softmax over s of (Q h) . (K m_s) / sqrt(D);
g is a sigmoid of h and of what a finds. Deviations from See et al.: the pointer is not the attention that the decoder reads
by (so that it is the same for every decoder), and the last word has no say in g beyond what h tells of it. A source
without a word to copy has g = 1. With coverage (covered.py) the pointer knows what it has pointed at before.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.codec.types import PAD
from core.nn.attention import NEVER
from core.nn.copying_loss import copying_cross_entropy
from core.nn.covered import coverage_key, covering, covering_step, looked_again
from core.nn.embedding import Borrowed
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.loss import FIRST
from core.nn.output import Head, Remembered, spoken
from core.nn.pointed import gates, masses, stands_first, word_places

# B batch, T target (or hypotheses), S source, D width, V vocabulary, X words of the source beyond it

IMPOSSIBLE = -torch.inf


class CopyingHead(Head):
    """What it needs of the memory is worked out once a source: keys, worths, ids, and where each word stands first."""

    def __init__(self, table: nn.Embedding | Borrowed, *, own_ids: bool, coverage: bool = False) -> None:
        """`own_ids`: source and target have one vocabulary, so a source without a copy map can be copied as it is."""
        super().__init__(table)
        width = self.weight.shape[1]
        self.own_ids = own_ids
        self.query, self.key = matrix(width, width, bias=True), matrix(width, width)
        self.gate = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))
        self.worth = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))
        self.gate_bias = nn.Parameter(torch.zeros(1))
        self.seen = coverage_key(width) if coverage else None

    @property
    def remembers(self) -> bool:
        return self.seen is not None

    def cache(
        self, memory_BSD: Tensor, layout: Layout, source: Tensor, extended_BS: Tensor | None
    ) -> dict[str, Tensor]:
        if extended_BS is None:
            if not self.own_ids:
                raise ValueError("a model that copies from one vocabulary to another needs a copy map in every batch")
            extended_BS = source
        extended_BS = extended_BS.masked_fill(~layout.mask_BS | (extended_BS < FIRST), PAD)
        return {
            "copy.key": self.key(memory_BSD),
            "copy.worth": memory_BSD @ self.worth.to(memory_BSD.dtype),
            "copy.extended": extended_BS,
            "copy.first": word_places(extended_BS),
        }

    def start(self, memory: Remembered, beams: int) -> dict[str, Tensor]:
        """With coverage, what has been pointed at: nothing."""
        if self.seen is None:
            return {}
        extended_BS = memory.cache["copy.extended"]
        return {"seen": self.gate.new_zeros(extended_BS.shape[0], beams, extended_BS.shape[1])}

    def step(
        self, hidden_BKD: Tensor, memory: Remembered, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        score_BKS, slope_BK = self._compared(hidden_BKD, memory)
        if slope_BK is not None:
            score_BKS, seen_BKS = covering_step(score_BKS, slope_BK, state["seen"])
            state = {"seen": seen_BKS}
        return self._mixed(hidden_BKD, self._gate(hidden_BKD, score_BKS, memory), score_BKS, memory), state

    def logp(self, hidden: Tensor, memory: Remembered) -> Tensor:
        """Log-probabilities [B, T, V + X], in float32 at least."""
        return self._mixed(hidden, *self.look(hidden, memory), memory)

    def looked_again(self, hidden_BTD: Tensor, wanted_BT: Tensor, memory: Remembered) -> Tensor:
        """The coverage loss, of the pointer under teacher forcing."""
        look_BTS = self.look(hidden_BTD, memory)[1].softmax(-1)
        some_B11 = (memory.cache["copy.extended"] >= FIRST).any(-1)[:, None, None]  # else it points nowhere
        return looked_again(look_BTS * some_B11.to(look_BTS.dtype), wanted_BT != PAD)

    def _mixed(self, hidden: Tensor, gate_BT: Tensor, score_BTS: Tensor, memory: Remembered) -> Tensor:
        said_BTV = spoken(hidden, self.weight, self.bias)
        extended_BS, first_BS = memory.cache["copy.extended"], memory.cache["copy.first"]
        copyable_BS = extended_BS >= FIRST
        say_BT1, point_BT1 = gates(gate_BT[..., None], copyable_BS.any(-1)[:, None, None])
        mass_BTS = point_BT1 + masses(score_BTS.log_softmax(-1), first_BS[:, None].expand_as(score_BTS))
        said_BTW = F.pad(said_BTV + say_BT1, (0, memory.extra), value=IMPOSSIBLE)
        # Each word's mass is added once, where it stands first; the other places all write the same on PAD.
        once_B1S = (copyable_BS & stands_first(first_BS))[:, None]
        place_BTS = extended_BS[:, None].masked_fill(~once_B1S, PAD).expand_as(mass_BTS)
        said_BTS = said_BTW.gather(-1, place_BTS).masked_fill(~once_B1S, 0)
        both_BTS = torch.logaddexp(said_BTS, mass_BTS.masked_fill(~once_B1S, 0)).masked_fill(~once_B1S, IMPOSSIBLE)
        return said_BTW.scatter(-1, place_BTS, both_BTS)

    def loss(
        self,
        hidden: Tensor,
        wanted: Tensor,
        memory: Remembered,
        *,
        smoothing: float = 0.0,
        legal: Tensor | None = None,
    ) -> Tensor:
        """Summed over the positions of `wanted` that are no pads; over `legal` words only, where given.

        Ids beyond the last dimension of `legal` are not judged.
        """
        gate_BT, score_BTS = self.look(hidden, memory)
        row_N = torch.arange(wanted.shape[0], device=wanted.device)[:, None].expand_as(wanted).flatten()
        flat = (hidden.flatten(0, 1), gate_BT.flatten(), score_BTS.flatten(0, 1), row_N, wanted.flatten())
        legal_NV = None if legal is None else legal.flatten(0, 1)
        if wanted.device.type == "cpu":  # elsewhere, choosing rows would wait for the device: pads are weighed by 0
            real_n = (wanted.flatten() != PAD).nonzero()[:, 0]
            hidden_ND, gate_N, score_NS, row_N, wanted_N = (x[real_n] for x in flat)
            legal_NV = None if legal_NV is None else legal_NV[real_n]
        else:
            hidden_ND, gate_N, score_NS, row_N, wanted_N = flat
        return copying_cross_entropy(
            hidden_ND,
            self.weight,
            self.bias,
            gate_N,
            score_NS,
            wanted_N,
            row_N,
            memory.cache["copy.extended"],
            memory.cache["copy.first"],
            smoothing=smoothing,
            legal_NV=legal_NV,
        )

    def look(self, hidden_BTD: Tensor, memory: Remembered) -> tuple[Tensor, Tensor]:
        """(the gate before its sigmoid [B, T], scores of the pointer [B, T, S]), in float32 at least, T being steps in a row."""
        score_BTS, slope_BT = self._compared(hidden_BTD, memory)
        score_BTS = score_BTS if slope_BT is None else covering(score_BTS, slope_BT)
        return self._gate(hidden_BTD, score_BTS, memory), score_BTS

    def _compared(self, hidden_BTD: Tensor, memory: Remembered) -> tuple[Tensor, Tensor | None]:
        """(scores of the pointer [B, T, S], with coverage what it moves them by [B, T])."""
        high = torch.promote_types(self.weight.dtype, torch.float32)
        query_BTD = self.query(hidden_BTD) * hidden_BTD.shape[-1] ** -0.5
        score_BTS = torch.bmm(query_BTD, memory.cache["copy.key"].to(query_BTD.dtype).mT).to(high)
        score_BTS = score_BTS.masked_fill((memory.cache["copy.extended"] < FIRST)[:, None], NEVER)
        return score_BTS, None if self.seen is None else (query_BTD @ self.seen.to(query_BTD.dtype)).to(high)

    def _gate(self, hidden_BTD: Tensor, score_BTS: Tensor, memory: Remembered) -> Tensor:
        high = score_BTS.dtype
        found_BT = (score_BTS.softmax(-1) * memory.cache["copy.worth"][:, None].to(high)).sum(-1)
        said_BT = (hidden_BTD @ self.gate.to(hidden_BTD.dtype)).to(high)
        return said_BT + found_BT + self.gate_bias.to(high)
