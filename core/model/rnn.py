"""Recurrent encoder-decoder with attention (Bahdanau et al., 2015): the cells read the last word and the last context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.model.config import RNNConfig
from core.model.state import Memory, State, select_rows
from core.nn.dropout import Dropout
from core.nn.recurrent import AdditiveAttention, Cells

# B batch, S source, T target, K hypotheses, D width, L layers


class RecurrentDecoder(nn.Module):
    """State: `hidden` [B, K, L, D] (and `cell`), and `context` [B, K, D], what attention found last."""

    def __init__(self, cfg: RNNConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.cells = Cells(cfg, 2 * cfg.width)
        self.attention = AdditiveAttention(cfg.width)
        self.bridge = nn.Linear(cfg.width, cfg.width * cfg.decoder_layers)
        self.output = nn.Linear(3 * cfg.width, cfg.width)
        self.dropout = Dropout(cfg.dropout)

    def cache(self, memory_BSD: Tensor) -> dict[str, Tensor]:
        """The memory as attention compares it."""
        return {"key": self.attention.key(memory_BSD)}

    def start(self, memory: Memory, beams: int) -> State:
        """The mean of the memory through a bridge; no context yet."""
        real_BS1 = memory.layout.mask_BS[..., None].to(memory.hidden_BSD.dtype)
        mean_BD = (memory.hidden_BSD * real_BS1).sum(1) / real_BS1.sum(1).clamp(min=1)
        first = self.bridge(mean_BD).tanh().view(mean_BD.shape[0], 1, self.cfg.decoder_layers, -1)
        first = first.expand(-1, beams, -1, -1)
        state = {name: first if name == "hidden" else torch.zeros_like(first) for name in self.cells.names}
        return {**state, "context": mean_BD.new_zeros(mean_BD.shape[0], beams, mean_BD.shape[1])}

    def step(self, x_BKD: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """One more word of each hypothesis."""
        hidden, state, _ = self.look(x_BKD, memory, state)
        return self.said(x_BKD, *hidden), state

    def look(self, x_BKD: Tensor, memory: Memory, state: State) -> tuple[tuple[Tensor, Tensor], State, Tensor]:
        """(cell output, context), the new state, the attention weights."""
        out_BKD, cells = self.cells(torch.cat([x_BKD, state["context"]], dim=-1), state)
        weight_BKS = self.attention.weights(out_BKD, memory.cache["key"], memory.layout.mask_BS)
        context_BKD = weight_BKS @ memory.hidden_BSD
        return (out_BKD, context_BKD), {**cells, "context": context_BKD}, weight_BKS

    def said(self, x: Tensor, out: Tensor, context: Tensor) -> Tensor:
        """What the output layer reads: the word, the state and the context."""
        return self.dropout(self.output(torch.cat([x, out, context], dim=-1)).tanh())

    def forward(self, x_BTD: Tensor, memory: Memory) -> Tensor:
        """All positions under teacher forcing."""
        return self.trace(x_BTD, memory)[0]

    def trace(self, x_BTD: Tensor, memory: Memory, *, weights: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Hidden states, and on request where it looked, one [B, 1, T, S]."""
        x_BTD = self.dropout(x_BTD)
        state = self.start(memory, 1)
        outs: list[Tensor] = []
        contexts: list[Tensor] = []
        seen: list[Tensor] = []
        for x_B1D in x_BTD.split(1, dim=1):
            (out, context), state, weight = self.look(x_B1D, memory, state)
            outs.append(out)
            contexts.append(context)
            if weights:
                seen.append(weight)
        hidden = self.said(x_BTD, torch.cat(outs, dim=1), torch.cat(contexts, dim=1))
        return hidden, [torch.stack(seen, dim=2)] if weights else []

    def select(self, state: State, parent_BK: Tensor) -> State:
        """One gather for all."""
        return select_rows(state, parent_BK)
