"""Decoders that read no words: all hidden states are worked out with the memory, and a step only takes the next of them.

* `SummaryDecoder`: one state for the whole source, W sum of a_s m_s with a a softmax over s of v . tanh(U m_s) (Lin et al., 2017, one
  head), for classes.
* `PlaceDecoder`: the encoder's own states, one for each symbol, for tags.
* `ParallelDecoder`: a learned query for each place of the target, through blocks that look at each other and at the memory
  (after Gu et al., 2018, and Carion et al., 2020): the words of an answer know of each other only by way of the
  queries. Where an answer ends is said place by place like any word, so there is no length to predict. Sinusoids of their places
  are added to queries and memory, for an encoder may know of places by their distances alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from core.model.config import TransformerConfig
from core.model.state import Memory, State, select_rows
from core.model.transformer import final_norm
from core.nn.attention import NEVER
from core.nn.dropout import Dropout
from core.nn.embedding import embed, embedding
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.places import Where
from core.nn.positions import sinusoids
from core.nn.transformer import DecoderBlock, Looks, Pair

# B batch, S source, T target, K hypotheses, P places that there are states for, D width, H heads


class AtOnce(nn.Module, ABC):
    """Place t of the target is state t; further places take the last state."""

    @abstractmethod
    def states(self, memory_BSD: Tensor, layout: Layout, back: Looks | None, across: Looks | None) -> Tensor:
        """[B, P, D]; weights of attention [B, H, P, P] to `back` and [B, H, P, S] to `across`, where given."""

    def cache(self, memory_BSD: Tensor, layout: Layout) -> dict[str, Tensor]:
        """All that there is to say."""
        return {"states": self.states(memory_BSD, layout, None, None)}

    def forward(
        self, x_BTD: Tensor, memory: Memory, *, back: Looks | None = None, across: Looks | None = None
    ) -> Tensor:
        """The first T states."""
        T = x_BTD.shape[1]
        if back is not None or across is not None:
            self._look(memory, T, back, across)
        states_BPD = memory.cache["states"]
        return states_BPD[:, _first(T, states_BPD.shape[1], x_BTD.device)]

    def start(self, memory: Memory, beams: int) -> State:
        """At the first place."""
        states_BPD = memory.cache["states"]
        return {"place": torch.zeros((len(states_BPD), beams), dtype=torch.int64, device=states_BPD.device)}

    def step(self, x_BKD: Tensor, memory: Memory, state: State, *, across: Looks | None = None) -> tuple[Tensor, State]:
        """The next state of each hypothesis, whatever it has said; `across` gets nothing."""
        states_BPD, place_BK = memory.cache["states"], state["place"]
        index_BK = place_BK.clamp(max=states_BPD.shape[1] - 1)
        index_BKD = index_BK[..., None].expand(-1, -1, states_BPD.shape[-1])
        return states_BPD.gather(1, index_BKD), {"place": place_BK + 1}

    def select(self, state: State, parent_BK: Tensor) -> State:
        """All are at one place."""
        return select_rows(state, parent_BK)

    def _look(self, memory: Memory, T: int, back: Looks | None, across: Looks | None) -> None:
        among: Looks = []
        into: Looks = []
        self.states(memory.hidden_BSD, memory.layout, among, into)
        if across is not None:
            across.extend(x[:, :, _first(T, x.shape[2], x.device)] for x in into)
        if back is not None:
            first = [_first(T, x.shape[2], x.device) for x in among]
            back.extend(x[:, :, own][..., own] for x, own in zip(among, first, strict=True))


class SummaryDecoder(AtOnce):
    """One state."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.compare, self.output = matrix(width, width, bias=True), matrix(width, width, bias=True)
        self.score = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))
        self.dropout = Dropout(dropout)

    def states(self, memory_BSD: Tensor, layout: Layout, back: Looks | None, across: Looks | None) -> Tensor:
        score_BS = self.compare(memory_BSD).tanh() @ self.score.to(memory_BSD.dtype)
        look_BS = score_BS.masked_fill(~layout.mask_BS, NEVER).softmax(-1) * layout.mask_BS.to(score_BS.dtype)
        if across is not None:
            across.append(look_BS[:, None, None])
        found_B1D = torch.bmm(look_BS[:, None].to(memory_BSD.dtype), memory_BSD)
        return self.dropout(self.output(found_B1D).tanh())


class PlaceDecoder(AtOnce):
    """As many states as the source has symbols."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)

    def states(self, memory_BSD: Tensor, layout: Layout, back: Looks | None, across: Looks | None) -> Tensor:
        return self.dropout(memory_BSD)


class ParallelBlock(DecoderBlock):
    """All places of the target see each other."""

    def all_at_once(
        self, x_BPD: Tensor, memory: Pair, layout: Layout, back: Looks | None, across: Looks | None
    ) -> Tensor:
        """One layer."""
        seen_BPD = self.attention(self.before(self.attention_norm, x_BPD), Where(), looks=back)
        return self._rest(self.after(self.attention_norm, x_BPD, seen_BPD), memory, layout, across)


class ParallelDecoder(AtOnce):
    """As many states as there are queries."""

    def __init__(self, cfg: TransformerConfig) -> None:
        """`cfg` gives the sizes of the blocks, `decoder_layers` of them, and the `queries`."""
        super().__init__()
        self.query = embedding(cfg.queries, cfg.width)
        self.query.weight.parts = 0  # pyright: ignore[reportAttributeAccessIssue]  # a table, see places.py
        self.blocks = nn.ModuleList(ParallelBlock(cfg) for _ in range(cfg.decoder_layers))
        self.norm, self.dropout = final_norm(cfg), Dropout(cfg.dropout)

    def states(self, memory_BSD: Tensor, layout: Layout, back: Looks | None, across: Looks | None) -> Tensor:
        B, S, D = memory_BSD.shape
        place_1P = torch.arange(self.query.num_embeddings, device=memory_BSD.device)[None]
        x_1PD = embed(place_1P, self.query) + sinusoids(place_1P, D, memory_BSD.dtype)
        x_BPD = self.dropout(x_1PD.expand(B, -1, -1))
        place_1S = torch.arange(S, device=memory_BSD.device)[None]
        memory_BSD = memory_BSD + sinusoids(place_1S, D, memory_BSD.dtype)
        for block in cast(Iterable[ParallelBlock], self.blocks):
            x_BPD = block.all_at_once(x_BPD, block.cross.project(memory_BSD), layout, back, across)
        return self.norm(x_BPD)


def _first(T: int, P: int, device: torch.device) -> Tensor:
    return torch.arange(T, device=device).clamp(max=P - 1)
