"""In float32 too company changes nothing that is not a tie: 2,000 sources of each family, alone and in batches."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from core.decode.config import SearchConfig
from core.decode.search import Found, search
from core.model.build import build
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.testing.markov import batch_of
from core.testing.tiny import small, stir, tiny_codecs

SOURCES, TIE = 2000, 1e-5
CFG = SearchConfig(beams=3, n_best=3, length_ratio=1.0, length_extra=2)
KINDS: dict[str, ModelConfig] = {"transformer": TransformerConfig(), "rnn": RNNConfig(), "conv": ConvConfig()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_company_changes_is_a_tie(kind: str) -> None:
    codecs, draw = tiny_codecs(), random.Random(0)
    model = build(replace(small(KINDS[kind]), dropout=0.0, tie="none"), codecs, seed=1).eval()
    stir(model, 0.4)
    assert next(model.parameters()).dtype == torch.float32
    rows = [[draw.randrange(4, codecs.source.size) for _ in range(draw.randint(1, 12))] for _ in range(SOURCES)]  # pyright: ignore
    alone = [search(model, batch_of([row]), CFG)[0] for row in rows]
    order, same = draw.sample(range(SOURCES), SOURCES), 0
    for begin in range(0, SOURCES, 64):
        part = order[begin : begin + 64]
        found: list[list[Found]] = search(model, batch_of([rows[n] for n in part], part), CFG)
        for n, some in zip(part, found, strict=True):
            for one, other in zip(some, alone[n], strict=True):
                tie = abs(one.score - other.score) < TIE
                assert tie, f"source {n}: {one.tokens} ({one.score}) in company, {other.tokens} ({other.score}) alone"
            same += [one.tokens for one in some] == [one.tokens for one in alone[n]]
    print(f"{kind}: {same} of {SOURCES} alike")
    assert same >= 0.999 * SOURCES
    assert len({one.tokens for some in alone for one in some}) > 3
