"""The sequence-to-sequence model: front, encoder, decoder and head, under the decode-state law (see state.py)."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from core.codec.types import PAD, UNK
from core.data.batch import Batch
from core.data.copying import Copying
from core.model.at_once import AtOnce
from core.model.features import TOLD, FeaturesOfSources, PrefixFeatures
from core.model.front import FrameFront, SymbolFront
from core.model.said import Said
from core.model.state import Memory, State, keep_rows, select_rows
from core.nn.copying import CopyingHead
from core.nn.covered import looked_again
from core.nn.ctc import CtcHead
from core.nn.embedding import embed
from core.nn.layout import Layout
from core.nn.output import Head
from core.nn.pointing import PointerHead

# B batch, S source, T target, K hypotheses, D width, V vocabulary (and copied words), F features, L layers, H heads

OWN, HEAD = "decoder.", "head."


class Encoder(Protocol):
    """Embedded source -> memory."""

    def __call__(self, x_BSD: Tensor, layout: Layout, looks: list[Tensor] | None = None) -> Tensor:
        """Weights of attention are appended to `looks`, where one is given, [B, H, S, S] a layer."""
        ...


class Decoder(Protocol):
    """What every family of decoders offers; `x` are embedded words."""

    def cache(self, memory_BSD: Tensor, layout: Layout) -> dict[str, Tensor]:
        """What every step needs of the memory, every tensor [B, ...]."""
        ...

    def __call__(
        self, x_BTD: Tensor, memory: Memory, *, back: list[Tensor] | None = None, across: list[Tensor] | None = None
    ) -> Tensor:
        """Hidden states under teacher forcing.

        Weights of attention are appended where asked for: into the prefix [B, H, T, T] to `back`, into the memory
        [B, H, T, S] to `across`, a layer each.
        """
        ...

    def start(self, memory: Memory, beams: int) -> State:
        """Before BOS; batch first."""
        ...

    def step(
        self, x_BKD: Tensor, memory: Memory, state: State, *, across: list[Tensor] | None = None
    ) -> tuple[Tensor, State]:
        """One more word of each hypothesis; where they look in the memory goes to `across`, a layer each."""
        ...

    def select(self, state: State, parent_BK: Tensor) -> State:
        """New hypothesis k continues old hypothesis `parent_BK[:, k]`."""
        ...


class Seq2Seq(nn.Module):
    """Sequences in, sequences out."""

    encoder: Encoder
    decoder: Decoder
    head: Head

    def __init__(
        self,
        front: SymbolFront | FrameFront,
        encoder: Encoder,
        embedding: nn.Embedding,
        decoder: Decoder,
        head: Head,
        features: PrefixFeatures | None = None,
        told: nn.Linear | None = None,
        said: Said | None = None,
        *,
        ctc: CtcHead | None = None,
        ctc_weight: float = 0.0,
    ) -> None:
        """What `features` say is added to what the decoder reads by `told`, and to what it says by `said`."""
        super().__init__()
        self.front, self.encoder, self.embedding, self.decoder, self.head = front, encoder, embedding, decoder, head
        self.features, self.told, self.said = features, told, said
        self.ctc, self.ctc_weight = ctc, ctc_weight

    @property
    def copies(self) -> Copying:
        """Whether batches need a copy map, of words or of places."""
        return "places" if isinstance(self.head, PointerHead) else isinstance(self.head, CopyingHead)

    @property
    def reads_words(self) -> bool:
        """Whether what is said next depends on what was said before."""
        return not isinstance(self.decoder, AtOnce)

    def forward(
        self,
        batch: Batch,
        memory: Memory | None = None,
        given_BT: Tensor | None = None,
        across: list[Tensor] | None = None,
    ) -> Tensor:
        """Decoder hidden states [B, T, D] under teacher forcing; `memory` where the sources have been read.

        `given_BT` is read in place of the batch's own words, where training asks for others. Weights of attention into the
        memory are appended to `across`, where one is given.
        """
        memory = self.encode(batch) if memory is None else memory
        x_BTD, feature_BTF = self._given(batch.given_BT if given_BT is None else given_BT, memory)
        hidden_BTD = self.decoder(x_BTD, memory) if across is None else self.decoder(x_BTD, memory, across=across)
        return self._said(hidden_BTD, feature_BTF)

    def loss(self, batch: Batch, *, smoothing: float = 0.0, legal_BTV: Tensor | None = None) -> Tensor:
        """Summed over the target tokens that count."""
        memory = self.encode(batch)
        if self.ctc is not None and self.ctc_weight == 1.0:
            return self.ctc.loss(memory.hidden_BSD, memory.layout, batch.wanted_BT)
        return self.loss_of(self(batch, memory), memory, batch.wanted_BT, smoothing=smoothing, legal_BTV=legal_BTV)

    def loss_of(
        self,
        hidden_BTD: Tensor,
        memory: Memory,
        wanted_BT: Tensor,
        *,
        smoothing: float = 0.0,
        legal_BTV: Tensor | None = None,
    ) -> Tensor:
        """The same, of hidden states that are there already; a CTC head has its say."""
        heard = 0.0
        if self.ctc is not None:
            heard = self.ctc_weight * self.ctc.loss(memory.hidden_BSD, memory.layout, wanted_BT)
        said = self.head.loss(hidden_BTD, wanted_BT, memory, smoothing=smoothing, legal=legal_BTV)
        return (1.0 - self.ctc_weight) * said + heard

    def attention(self, batch: Batch, of: Literal["cross", "encoder", "decoder"] = "cross") -> Tensor:
        """Where the decoder looks in the source under teacher forcing, [L, B, H, T, S]; L = H = 1 for most recurrent ones.

        `encoder` [L, B, H, S, S] and `decoder` [L, B, H, T, T]: where each side looks in itself. L = 0 where there is no such
        attention.
        """
        looks: list[Tensor] = []
        memory = self.encode(batch, looks if of == "encoder" else None)
        if of != "encoder":
            x_BTD = self._given(batch.given_BT, memory)[0]
            back, across = (looks, None) if of == "decoder" else (None, looks)
            self.decoder(x_BTD, memory, back=back, across=across)
        if looks:
            return torch.stack(looks)
        (B, T), S = batch.given_BT.shape, memory.hidden_BSD.shape[1]
        return memory.hidden_BSD.new_zeros(0, B, 0, S if of == "encoder" else T, T if of == "decoder" else S)

    def looked_again(self, hidden_BTD: Tensor, looks: list[Tensor], wanted_BT: Tensor, memory: Memory) -> Tensor:
        """The coverage loss (See et al., 2017) under teacher forcing, of copying or pointing, else of the decoder's `looks`."""
        if isinstance(self.head, (CopyingHead, PointerHead)):
            return self.head.looked_again(hidden_BTD, wanted_BT, memory)
        return looked_again(looks[0].mean(1), wanted_BT != PAD)

    def encode(self, batch: Batch, looks: list[Tensor] | None = None) -> Memory:
        """Read the sources, once; where the encoder looks is appended to `looks`, where one is given."""
        x_BSD, layout = self.front(batch.source, batch.layout)
        hidden_BSD = self.encoder(x_BSD, layout) if looks is None else self.encoder(x_BSD, layout, looks)
        words = batch.copy.extended_BS if batch.copy is not None else None
        cache = self.decoder.cache(hidden_BSD, layout) | self.head.cache(hidden_BSD, layout, batch.source, words)
        if isinstance(self.features, FeaturesOfSources):
            found = self.features.cache(hidden_BSD, layout, batch.source)
            cache |= {TOLD + name: x for name, x in found.items()}
        extra = batch.copy.extra if self.copies and batch.copy is not None else 0
        return Memory(hidden_BSD, layout, batch.source, cache, extra)

    def start(self, memory: Memory, beams: int) -> State:
        """Before BOS."""
        told = {} if self.features is None else self.features.start(memory, beams)
        return _joined(self.decoder.start(memory, beams), told, self.head.start(memory, beams))

    def advance(
        self, token_BK: Tensor, memory: Memory, state: State, *, across: list[Tensor] | None = None
    ) -> tuple[Tensor, State]:
        """Read one token of each hypothesis; hidden states [B, K, D]. What comes next, `say` tells."""
        x_BKD, told = self._words(token_BK, memory), _part(state, TOLD)
        feature_BKF = None
        if self.features is not None and self.told is not None:
            told, feature_BKF = self.features.step(told, token_BK, memory)
            x_BKD = x_BKD + self.told(feature_BKF)
        own = _part(state, OWN)
        step = self.decoder.step
        hidden_BKD, own = step(x_BKD, memory, own) if across is None else step(x_BKD, memory, own, across=across)
        return self._said(hidden_BKD, feature_BKF), _joined(own, told, _part(state, HEAD))

    def say(self, hidden_BKD: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Log-probabilities [B, K, V] of what comes next, and the state after them."""
        logp_BKV, said = self.head.step(hidden_BKD, memory, _part(state, HEAD))
        return logp_BKV, state | {HEAD + name: x for name, x in said.items()}

    def step(
        self, token_BK: Tensor, memory: Memory, state: State, *, across: list[Tensor] | None = None
    ) -> tuple[Tensor, State]:
        """Read one token (BOS first); log-probabilities [B, K, V] of the next."""
        hidden_BKD, state = self.advance(token_BK, memory, state, across=across)
        return self.say(hidden_BKD, memory, state)

    def select(self, state: State, parent_BK: Tensor) -> State:
        """New hypothesis k of each source continues old hypothesis `parent_BK[:, k]`."""
        told, said = (select_rows(_part(state, prefix), parent_BK) for prefix in (TOLD, HEAD))
        return _joined(self.decoder.select(_part(state, OWN), parent_BK), told, said)

    def keep(self, memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        """Only these sources go on."""
        return memory.rows(rows_B), keep_rows(state, rows_B)

    def _words(self, token_BT: Tensor, memory: Memory) -> Tensor:
        copied_BT = token_BT >= self.embedding.num_embeddings
        known_BT = token_BT.masked_fill(copied_BT, UNK)
        x_BTD = embed(known_BT, self.embedding)
        return x_BTD + self.head.read(token_BT, memory) if isinstance(self.head, PointerHead) else x_BTD

    def _given(self, given_BT: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        x_BTD = self._words(given_BT, memory)
        if self.features is None or self.told is None:
            return x_BTD, None
        feature_BTF = self.features.teacher_forced(given_BT, memory)
        return x_BTD + self.told(feature_BTF), feature_BTF

    def _said(self, hidden: Tensor, feature: Tensor | None) -> Tensor:
        return hidden if feature is None or self.said is None else self.said(hidden, feature)


def _joined(own: State, told: State, said: State) -> State:
    parts = ((OWN, own), (TOLD, told), (HEAD, said))
    return {prefix + name: x for prefix, part in parts for name, x in part.items()}


def _part(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
