"""Recurrent decoder (Bahdanau et al., 2015; Luong et al., 2015): the cells read the last word and what was found last.

The query is the state that has just read the word (as in Luong et al.), not the one before it: a step then needs one pass,
and the context that is looked up is the one that the output layer reads. Without attention the context is one summary of the
source, the same at every step (Cho et al., 2014), or, where cells are fed nothing, there is none (Sutskever et al., 2014;
of an LSTM the bridge makes the hidden state alone, its cell begins at zero).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.model.config import RNNConfig
from core.model.state import Memory, State, select_rows
from core.nn.dropout import Dropout
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.lookup import Window, make_lookup
from core.nn.recurrent import KEEPS, Cells, Kept, gates

# B batch, S source, T target, K hypotheses, D width, G width of all gates, L layers, N hypotheses of all sources, H heads


class RecurrentDecoder(nn.Module):
    """State: `hidden` [B, K, L, D] (and `cell`); `context` [B, K, D], what the cells are fed; `place` [B, K], where a window is;
    `seen` [B, K, S], with coverage the sum of what was looked at, heads taken together."""

    def __init__(self, cfg: RNNConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.layers, self.names = cfg.decoder_layers, KEEPS[cfg.cell]
        self.told = cfg.attention != "none" or cfg.feeding != "none"
        self.window = Window(cfg.attention_window) if cfg.attention_window else None
        self.word = gates(cfg.cell, cfg.width, cfg.width)
        self.context = None if cfg.feeding == "none" else gates(cfg.cell, cfg.width, cfg.width, bias=False)
        self.stack = Cells(cfg.cell, cfg.width, cfg.decoder_layers, cfg.dropout)
        self.attention_layer = None
        if cfg.attention != "none":
            self.attention_layer = make_lookup(cfg.attention, cfg.width, cfg.attention_heads, coverage=cfg.coverage)
        first = None
        if cfg.bridge != "zero":
            first = matrix(cfg.width, cfg.width * cfg.decoder_layers, parts=cfg.decoder_layers, bias=True)
        self.bridge = first
        self.output = matrix((3 if self.told else 2) * cfg.width, cfg.width, bias=True)
        self.dropout = Dropout(cfg.dropout)

    def cache(self, memory_BSD: Tensor, layout: Layout) -> dict[str, Tensor]:
        """The memory as attention compares it, or the summary that stands for it."""
        if self.attention_layer is not None:
            return self.attention_layer.cache(memory_BSD)
        return {"summary": self._summary(memory_BSD, layout)} if self.told else {}

    def forward(
        self, x_BTD: Tensor, memory: Memory, *, back: list[Tensor] | None = None, across: list[Tensor] | None = None
    ) -> Tensor:
        """All positions under teacher forcing."""
        x_BTD = self.dropout(x_BTD)
        kept, state = self._first(memory, 1)
        out: list[Tensor] = []
        contexts: list[Tensor] = []
        looks: list[Tensor] = []
        by_output = self.cfg.feeding == "output"
        for n, word_B1G in enumerate(self.word(x_BTD).split(1, dim=1)):  # the words' part of all steps in one product
            hidden_B1D, context_B1D, look_BH1S, kept = self._advance(word_B1G, kept, state, memory)
            if by_output:
                hidden_B1D = state["context"] = self._said(x_BTD[:, n : n + 1], hidden_B1D, context_B1D)
            out.append(hidden_B1D)
            if context_B1D is not None:
                contexts.append(context_B1D)
            if look_BH1S is not None:
                looks.append(look_BH1S)
        if across is not None and looks:
            across.append(torch.cat(looks, dim=2))
        hidden_BTD = torch.cat(out, dim=1)
        return (
            hidden_BTD if by_output else self._said(x_BTD, hidden_BTD, torch.cat(contexts, dim=1) if contexts else None)
        )

    def start(self, memory: Memory, beams: int) -> State:
        """Before BOS."""
        kept, state = self._first(memory, beams)
        return {**self._packed(kept, beams), **state}

    def step(
        self, x_BKD: Tensor, memory: Memory, state: State, *, across: list[Tensor] | None = None
    ) -> tuple[Tensor, State]:
        """One more word of each hypothesis."""
        x_BKD = self.dropout(x_BKD)
        rows = [state[name].flatten(0, 1).unbind(1) for name in self.names]
        kept = list(zip(*rows, strict=True))
        grown = {name: x for name, x in state.items() if name not in self.names}
        hidden_BKD, context_BKD, look_BHKS, kept = self._advance(self.word(x_BKD), kept, grown, memory)
        if across is not None and look_BHKS is not None:
            across.append(look_BHKS)
        said_BKD = self._said(x_BKD, hidden_BKD, context_BKD)
        if self.cfg.feeding == "output":
            grown["context"] = said_BKD
        return said_BKD, {**self._packed(kept, x_BKD.shape[1]), **grown}

    def select(self, state: State, parent_BK: Tensor) -> State:
        """One gather for all."""
        return select_rows(state, parent_BK)

    def _first(self, memory: Memory, beams: int) -> tuple[list[Kept], State]:
        """What the layers keep, from a summary of the memory through a bridge; and the rest of a state, nothing found yet."""
        hidden_BSD = memory.hidden_BSD
        B, _, D = hidden_BSD.shape
        if self.bridge is None:
            first_ND = hidden_BSD.new_zeros(B * beams, D * self.layers)
        else:
            summary_BD = self._summary(hidden_BSD, memory.layout)
            first_ND = self.bridge(summary_BD).tanh().to(summary_BD.dtype).repeat_interleave(beams, dim=0)
        kept = [
            tuple(hidden if name == "hidden" else torch.zeros_like(hidden) for name in self.names)
            for hidden in first_ND.chunk(self.layers, dim=-1)
        ]
        state: State = {}
        if self.context is not None:
            state["context"] = hidden_BSD.new_zeros(B, beams, D)
        if self.attention_layer is None and self.cfg.feeding == "context":
            state["context"] = memory.cache["summary"][:, None].expand(B, beams, D)  # of every step
        if self.window is not None:
            state["place"] = hidden_BSD.new_zeros(B, beams)
        if self.cfg.coverage:
            state["seen"] = hidden_BSD.new_zeros(B, beams, hidden_BSD.shape[1])
        return kept, state

    def _summary(self, hidden_BSD: Tensor, layout: Layout) -> Tensor:
        """The mean of the memory, or the state of each direction that has read all, [B, D]."""
        if self.cfg.bridge != "last":
            return hidden_BSD.sum(1) / layout.lengths.clamp(min=1)[:, None]  # the encoder's pads are zero
        last_B = (layout.lengths - 1).clamp(min=0)
        end_BD = hidden_BSD[torch.arange(len(last_B), device=last_B.device), last_B]
        if self.cfg.reverse_source:
            return hidden_BSD[:, 0]
        if not self.cfg.bidirectional:
            return end_BD
        half = hidden_BSD.shape[-1] // 2
        return torch.cat([end_BD[:, :half], hidden_BSD[:, 0, half:]], dim=-1)

    def _advance(
        self, word_BKG: Tensor, kept: list[Kept], state: State, memory: Memory
    ) -> tuple[Tensor, Tensor | None, Tensor | None, list[Kept]]:
        """The top hidden state, what it finds, where, and what the layers keep; `state` moves on."""
        B, K, _ = word_BKG.shape
        gates_BKG = word_BKG if self.context is None else word_BKG + self.context(state["context"])
        hidden_ND, kept = self.stack(gates_BKG.flatten(0, 1), kept)
        hidden_BKD = hidden_ND.view(B, K, -1)
        if self.attention_layer is None:
            context = memory.cache["summary"][:, None].expand(B, K, -1) if self.told else None
            return hidden_BKD, context, None, kept
        visible = memory.layout.mask_BS[:, None]
        if self.window is not None:
            visible = self.window.around(state["place"], memory.layout.mask_BS)
        context_BKD, look_BHKS = self.attention_layer(
            hidden_BKD, memory.hidden_BSD, memory.cache, visible, state.get("seen")
        )
        if "seen" in state:
            state["seen"] = state["seen"] + look_BHKS.mean(1)
        if self.window is not None:
            state["place"] = self.window.moved(state["place"], look_BHKS)
        if self.cfg.feeding == "context":
            state["context"] = context_BKD
        return hidden_BKD, context_BKD, look_BHKS, kept

    def _said(self, x: Tensor, hidden: Tensor, context: Tensor | None) -> Tensor:
        """What the output layer reads: the word, the state and the context."""
        read = [x, hidden] if context is None else [x, hidden, context.to(x.dtype)]
        return self.dropout(self.output(torch.cat(read, dim=-1)).tanh())

    def _packed(self, kept: list[Kept], beams: int) -> State:
        stacked = (torch.stack(layers, dim=1) for layers in zip(*kept, strict=True))
        return {name: x.unflatten(0, (-1, beams)) for name, x in zip(self.names, stacked, strict=True)}
