"""The sequence-to-sequence model: source front, encoder, decoder and head, under the decode-state law (see state.py)."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from core.data.batch import Batch
from core.model.features import PrefixFeatures
from core.model.state import Memory, State, keep_rows, select_rows
from core.nn.layout import Layout
from core.nn.output import Head

# B batch, S source, T target, K hypotheses, D width, V vocabulary, F features

OWN = "decoder."
TOLD = "features."


class Encoder(Protocol):
    """Embedded source -> memory."""

    def __call__(self, x_BSD: Tensor, layout: Layout) -> Tensor: ...


class Decoder(Protocol):
    """What every family of decoders offers."""

    def cache(self, memory_BSD: Tensor) -> dict[str, Tensor]: ...
    def __call__(self, x_BTD: Tensor, memory: Memory) -> Tensor: ...
    def trace(self, x_BTD: Tensor, memory: Memory, *, weights: bool = False) -> tuple[Tensor, list[Tensor]]: ...
    def start(self, memory: Memory, beams: int) -> State: ...
    def step(self, x_BKD: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]: ...
    def select(self, state: State, parent_BK: Tensor) -> State: ...


class SymbolFront(nn.Module):
    """Ids -> vectors, with the part of the source that they belong to where there are several."""

    SEGMENTS = 8

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.segment = nn.Parameter(torch.zeros(self.SEGMENTS, embedding.embedding_dim))

    def forward(self, source: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
        x_BSD = self.embedding(source) * math.sqrt(self.embedding.embedding_dim)
        if layout.segment_BS is not None:
            x_BSD = x_BSD + self.segment[layout.segment_BS.clamp(max=self.SEGMENTS - 1)]
        return x_BSD, layout


class FrameFront(nn.Module):
    """Frames -> vectors. It may return fewer frames than it was given, and their layout."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, width)

    def forward(self, source: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
        return self.project(source), layout


class Seq2Seq(nn.Module):
    """Sequences in, sequences out."""

    def __init__(
        self,
        front: SymbolFront | FrameFront,
        encoder: nn.Module,
        embedding: nn.Embedding,
        decoder: nn.Module,
        head: Head,
        features: PrefixFeatures | None,
    ) -> None:
        super().__init__()
        self.front, self.encoder, self.embedding, self.decoder, self.head = front, encoder, embedding, decoder, head
        self.features = features
        width = embedding.embedding_dim
        self.told = nn.Linear(features.width(width), width) if features is not None else None

    def forward(self, batch: Batch) -> Tensor:
        """Decoder hidden states [B, T, D] under teacher forcing."""
        memory = self.encode(batch)
        return self.decoder(self._embedded(batch.given_BT, memory), memory)

    def loss(self, batch: Batch, *, smoothing: float = 0.0, legal_BTV: Tensor | None = None) -> Tensor:
        """Summed over the target tokens that count."""
        return self.head.loss(self(batch), batch.wanted_BT, smoothing=smoothing, legal=legal_BTV)

    def attention(self, batch: Batch) -> list[Tensor]:
        """Where each layer of the decoder looks under teacher forcing, each [B, H, T, S]."""
        memory = self.encode(batch)
        return self.decoder.trace(self._embedded(batch.given_BT, memory), memory, weights=True)[1]

    def encode(self, batch: Batch) -> Memory:
        """Read the sources, once."""
        x_BSD, layout = self.front(batch.source, batch.layout)
        hidden_BSD = self.encoder(x_BSD, layout)
        return Memory(hidden_BSD, layout, batch.source, self.decoder.cache(hidden_BSD))

    def start(self, memory: Memory, beams: int) -> State:
        """Before BOS."""
        state = {OWN + name: x for name, x in self.decoder.start(memory, beams).items()}
        if self.features is not None:
            state |= {TOLD + name: x for name, x in self.features.start(memory, beams).items()}
        return state

    def advance(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Read one token of each hypothesis; hidden states [B, K, D]."""
        x_BKD = self._symbols(token_BK)
        told: State = {}
        if self.features is not None and self.told is not None:
            told, feature_BKF = self.features.step(_part(state, TOLD), token_BK, memory)
            x_BKD = x_BKD + self.told(feature_BKF)
        hidden_BKD, own = self.decoder.step(x_BKD, memory, _part(state, OWN))
        return hidden_BKD, {OWN + name: x for name, x in own.items()} | {TOLD + name: x for name, x in told.items()}

    def step(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Read one token (BOS first); log-probabilities [B, K, V] of the next."""
        hidden_BKD, state = self.advance(token_BK, memory, state)
        return self.head.logp(hidden_BKD), state

    def select(self, state: State, parent_BK: Tensor) -> State:
        """New hypothesis k of each source continues old hypothesis `parent_BK[:, k]`."""
        own = self.decoder.select(_part(state, OWN), parent_BK)
        told = select_rows(_part(state, TOLD), parent_BK)
        return {OWN + name: x for name, x in own.items()} | {TOLD + name: x for name, x in told.items()}

    def keep(self, memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        """Only these sources go on."""
        return memory.rows(rows_B), keep_rows(state, rows_B)

    def _symbols(self, token: Tensor) -> Tensor:
        unknown = token.new_tensor(3)
        known = torch.where(token < self.embedding.num_embeddings, token, unknown)  # copied words are read as unknown
        return self.embedding(known) * math.sqrt(self.embedding.embedding_dim)

    def _embedded(self, given_BT: Tensor, memory: Memory) -> Tensor:
        x_BTD = self._symbols(given_BT)
        if self.features is not None and self.told is not None:
            x_BTD = x_BTD + self.told(self.features.teacher_forced(given_BT, memory))
        return x_BTD


def _part(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
