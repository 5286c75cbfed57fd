"""A model whose every probability can be looked up, with sources and a rule: what laws of the search are tried on."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from core.codec.types import BOS, EOS, PAD, UNK, Encoded
from core.data.batch import Batch, collate
from core.decode.config import SearchConfig
from core.model.state import Memory, State, keep_rows, select_rows

# B batch, K hypotheses, S source, T target, V vocabulary

OPEN, CLOSE = 4, 5
WAYS = 11
"""Sources fall into so many classes, each with probabilities of its own."""


class Markov:
    """A whole model: the next token depends on the source and on the last two tokens.

    `spread` makes it surer of itself, `end` gives longer (below 0) or shorter outputs.
    """

    def __init__(
        self,
        seed: int,
        vocabulary: int = 7,
        *,
        spread: float = 1.5,
        end: float = 0.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        shape = (WAYS, vocabulary, vocabulary, vocabulary)
        logit = torch.randn(shape, generator=generator, dtype=torch.float64) * spread
        logit[..., : UNK + 1] += torch.tensor([-math.inf, -math.inf, end, -math.inf])[:vocabulary]
        self.logp = logit.log_softmax(-1).nan_to_num(nan=-math.inf, neginf=-math.inf).to(dtype)

    def encode(self, batch: Batch) -> Memory:
        return Memory(way_of(batch)[:, None, None], batch.layout, batch.source)

    def start(self, memory: Memory, beams: int) -> State:
        return {"last": torch.full((memory.source.shape[0], beams), PAD)}

    def step(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        return self.logp[memory.hidden_BSD[:, 0], state["last"], token_BK], {"last": token_BK}

    def select(self, state: State, parent_BK: Tensor) -> State:
        return select_rows(state, parent_BK)

    def keep(self, memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        return memory.rows(rows_B), keep_rows(state, rows_B)

    def of(self, way: int, tokens: Sequence[int]) -> list[float]:
        """Log-probability of each of these tokens after those before it."""
        return [
            self.logp[way, a, b, c].item() for a, b, c in zip([PAD, BOS, *tokens], [BOS, *tokens], tokens, strict=False)
        ]


def way_of(batch: Batch) -> Tensor:
    """The class of each source, int64 [B]; pads do not count."""
    return batch.source.masked_fill(~batch.layout.mask_BS, 0).sum(1) % WAYS


def sources(n: int, seed: int = 0, longest: int = 7) -> list[list[int]]:
    """Random ids of 1 to `longest` symbols."""
    draw = random.Random(seed)
    return [[draw.randrange(4, 40) for _ in range(draw.randint(1, longest))] for _ in range(n)]


def batch_of(
    rows: Sequence[Sequence[int]], index: Sequence[int] | None = None, targets: Sequence[Sequence[int]] | None = None
) -> Batch:
    """These sources, numbered from 0 unless `index` says otherwise."""
    encoded = [Encoded(np.array(ids, dtype=np.int32)) for ids in rows]
    return collate(encoded, targets, range(len(rows)) if index is None else index)


def short(limit: int, **changes: object) -> SearchConfig:
    """Every output has at most `limit` tokens."""
    return replace(SearchConfig(length_ratio=0.0, length_extra=limit), **changes)  # pyright: ignore[reportArgumentType]


def all_outputs(model: Markov, way: int, limit: int, penalty: float) -> list[tuple[float, tuple[int, ...]]]:
    """Every output that ends within the limit, best first, with its score."""
    V = model.logp.shape[-1]
    scored = [
        (math.fsum(model.of(way, [*tokens, EOS])) / (length + 1) ** penalty, tokens)
        for length in range(limit)
        for tokens in itertools.product(range(UNK + 1, V), repeat=length)
    ]
    return sorted((one for one in scored if one[0] > -math.inf), key=lambda one: -one[0])


class Brackets:
    """Balanced brackets among other symbols; what is open is closed before the limit."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def start(self, batch: Batch, beams: int = 1) -> State:
        return {"depth": batch.source.new_zeros((batch.size, beams), dtype=torch.int64)}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        depth_BK = state["depth"] + (token_BK == OPEN).long() - (token_BK == CLOSE).long()
        spare_BK = remaining_BK - 1 - depth_BK
        legal_BKV = (spare_BK > 0)[..., None].repeat(1, 1, self.vocabulary)
        legal_BKV[..., EOS] = depth_BK == 0
        legal_BKV[..., CLOSE] = depth_BK > 0
        legal_BKV[..., OPEN] = spare_BK > 1
        return {"depth": depth_BK}, legal_BKV


def balanced(tokens: Sequence[int]) -> bool:
    """What `Brackets` promises."""
    depth = 0
    for token in tokens:
        depth += (token == OPEN) - (token == CLOSE)
        if depth < 0:
            return False
    return depth == 0
