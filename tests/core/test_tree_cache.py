"""The decoder's tree of keys and values against one that is copied for every hypothesis at every step, token for token."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.data.batch import Batch
from core.decode.config import SearchConfig
from core.decode.search import search
from core.model.build import build
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory, State
from core.testing.tiny import batch_of, small, stir, tiny_codecs, tiny_pairs

# B batch, K hypotheses, V vocabulary

CODECS = tiny_codecs()
KINDS: dict[str, ModelConfig] = {
    "rotary": TransformerConfig(),
    "relative": TransformerConfig(positions="relative", norm_place="post", kv_heads=1),
    "alibi": TransformerConfig(positions="alibi"),
    "rnn": RNNConfig(cell="lstm", feeding="output"),
    "conv": ConvConfig(),
}


class Copied:
    """Every hypothesis is a source of its own with a whole state, which is copied from its parent's."""

    def __init__(self, model: Seq2Seq) -> None:
        self.model = model

    def encode(self, batch: Batch) -> Memory:
        return self.model.encode(batch)

    def start(self, memory: Memory, beams: int) -> State:
        return self.model.start(memory.rows(self.each(len(memory.source), beams)), 1)

    def step(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        B, K = token_BK.shape
        logp, state = self.model.step(token_BK.reshape(B * K, 1), memory.rows(self.each(B, K)), state)
        return logp.view(B, K, -1), state

    def select(self, state: State, parent_BK: Tensor) -> State:
        B, K = parent_BK.shape
        rows = (torch.arange(B)[:, None] * K + parent_BK).flatten()
        return {name: x[rows].clone() for name, x in state.items()}

    def keep(self, memory: Memory, state: State, rows_B: Tensor) -> tuple[Memory, State]:
        K = len(next(iter(state.values()))) // len(memory.source)
        rows = (rows_B[:, None] * K + torch.arange(K)).flatten()
        return memory.rows(rows_B), {name: x[rows] for name, x in state.items()}

    @staticmethod
    def each(B: int, K: int) -> Tensor:
        return torch.arange(B).repeat_interleave(K)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_it_says_the_same(kind: str, dtype: torch.dtype) -> None:
    model = build(replace(small(KINDS[kind]), dropout=0.0), CODECS, seed=1).to(dtype).eval()
    stir(model, 0.4)
    batch = batch_of(tiny_pairs(CODECS, 5))
    for cfg in (
        SearchConfig(beams=4, n_best=4, length_ratio=2.0, length_extra=12),
        SearchConfig(strategy="sample", beams=3, n_best=3, length_ratio=1.0, length_extra=4),
    ):
        tree, copied = (search(one, batch, cfg, seed=2) for one in (model, Copied(model)))
        for own, other in zip(tree, copied, strict=True):
            assert [(one.tokens, one.finish) for one in own] == [(one.tokens, one.finish) for one in other]
            assert [one.score for one in own] == pytest.approx([one.score for one in other], rel=1e-5)
