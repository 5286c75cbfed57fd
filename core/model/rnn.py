"""Recurrent decoder with additive attention (Bahdanau et al., 2015): the cells read the last word and the last context.

The query is the state that has just read the word (as in Luong et al., 2015, with input feeding), not the one before
it: a step then needs one pass, and the context that is looked up is the one that the output layer reads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.model.config import RNNConfig
from core.model.state import Memory, State, select_rows
from core.nn.attention import AdditiveAttention
from core.nn.dropout import Dropout
from core.nn.linear import matrix
from core.nn.recurrent import KEEPS, Cells, Kept, gates

# B batch, S source, T target, K hypotheses, D width, G width of all gates, L layers


class RecurrentDecoder(nn.Module):
    """State: `hidden` [B, K, L, D] (and `cell`), and `context` [B, K, D], what attention found last."""

    def __init__(self, cfg: RNNConfig) -> None:
        super().__init__()
        self.layers, self.names = cfg.decoder_layers, KEEPS[cfg.cell]
        self.word = gates(cfg.cell, cfg.width, cfg.width)
        self.context = gates(cfg.cell, cfg.width, cfg.width, bias=False)
        self.stack = Cells(cfg.cell, cfg.width, cfg.decoder_layers, cfg.dropout)
        self.attention_layer = AdditiveAttention(cfg.width)
        self.bridge = matrix(cfg.width, cfg.width * cfg.decoder_layers, parts=cfg.decoder_layers, bias=True)
        self.output = matrix(3 * cfg.width, cfg.width, bias=True)
        self.dropout = Dropout(cfg.dropout)

    def cache(self, memory_BSD: Tensor) -> dict[str, Tensor]:
        """The memory as attention compares it."""
        return {"key": self.attention_layer.key(memory_BSD)}

    def forward(
        self, x_BTD: Tensor, memory: Memory, *, back: list[Tensor] | None = None, across: list[Tensor] | None = None
    ) -> Tensor:
        """All positions under teacher forcing."""
        x_BTD = self.dropout(x_BTD)
        kept, context_B1D = self._first(memory, 1)
        out: list[Tensor] = []
        contexts: list[Tensor] = []
        looks: list[Tensor] = []
        for word_B1G in self.word(x_BTD).split(1, dim=1):  # the words' part of all steps in one product
            hidden_B1D, context_B1D, look_B1S, kept = self._advance(word_B1G, context_B1D, kept, memory)
            out.append(hidden_B1D)
            contexts.append(context_B1D)
            looks.append(look_B1S)
        if across is not None:
            across.append(torch.cat(looks, dim=1)[:, None])
        return self._said(x_BTD, torch.cat(out, dim=1), torch.cat(contexts, dim=1))

    def start(self, memory: Memory, beams: int) -> State:
        """Before BOS."""
        kept, context_BKD = self._first(memory, beams)
        return {**self._packed(kept, beams), "context": context_BKD}

    def step(self, x_BKD: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """One more word of each hypothesis."""
        x_BKD = self.dropout(x_BKD)
        rows = [state[name].flatten(0, 1).unbind(1) for name in self.names]
        kept = list(zip(*rows, strict=True))
        hidden_BKD, context_BKD, _, kept = self._advance(self.word(x_BKD), state["context"], kept, memory)
        state = {**self._packed(kept, x_BKD.shape[1]), "context": context_BKD}
        return self._said(x_BKD, hidden_BKD, context_BKD), state

    def select(self, state: State, parent_BK: Tensor) -> State:
        """One gather for all."""
        return select_rows(state, parent_BK)

    def _first(self, memory: Memory, beams: int) -> tuple[list[Kept], Tensor]:
        """The mean of the memory through a bridge; no context yet."""
        hidden_BSD, layout = memory.hidden_BSD, memory.layout
        mean_BD = hidden_BSD.sum(1) / layout.lengths.clamp(min=1)[:, None]  # the encoder's pads are zero
        first_BD = self.bridge(mean_BD).tanh().to(mean_BD.dtype).repeat_interleave(beams, dim=0)
        kept = [
            tuple(hidden if name == "hidden" else torch.zeros_like(hidden) for name in self.names)
            for hidden in first_BD.chunk(self.layers, dim=-1)
        ]
        return kept, mean_BD.new_zeros(mean_BD.shape[0], beams, mean_BD.shape[1])

    def _advance(
        self, word_BKG: Tensor, context_BKD: Tensor, kept: list[Kept], memory: Memory
    ) -> tuple[Tensor, Tensor, Tensor, list[Kept]]:
        """The top hidden state, what it finds, where, and what the layers keep."""
        gates_BKG = word_BKG + self.context(context_BKD)
        hidden_ND, kept = self.stack(gates_BKG.flatten(0, 1), kept)
        hidden_BKD = hidden_ND.view_as(context_BKD)
        look_BKS = self.attention_layer(hidden_BKD, memory.cache["key"], memory.layout)
        return hidden_BKD, torch.bmm(look_BKS.to(memory.hidden_BSD.dtype), memory.hidden_BSD), look_BKS, kept

    def _said(self, x: Tensor, hidden: Tensor, context: Tensor) -> Tensor:
        """What the output layer reads: the word, the state and the context."""
        return self.dropout(self.output(torch.cat([x, hidden, context.to(x.dtype)], dim=-1)).tanh())

    def _packed(self, kept: list[Kept], beams: int) -> State:
        stacked = (torch.stack(layers, dim=1) for layers in zip(*kept, strict=True))
        return {name: x.unflatten(0, (-1, beams)) for name, x in zip(self.names, stacked, strict=True)}
