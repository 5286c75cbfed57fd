"""Beam and greedy search against Hugging Face's `generate`, token by token, on shared weights in float32."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks.marian import SHAPE, as_marian, marian_shaped
from core.codec.regex import RegexTokenizer
from core.codec.types import EOS, PAD, UNK, Codecs
from core.decode.config import SearchConfig
from core.decode.search import search
from core.model.config import TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.testing.markov import batch_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of others' libraries
SENTENCES, TOGETHER, LIMIT = 200, 20, 24
TIE = 1e-5
CONFIG = replace(SHAPE, width=128, heads=8, inner=512, encoder_layers=3, decoder_layers=3)


@pytest.fixture(scope="module")
def models() -> tuple[Seq2Seq, Any]:
    """The same weights twice."""
    pytest.importorskip("transformers", reason="the package transformers is not installed (the `bench` extra)")
    codec = RegexTokenizer.fit([" ".join(f"w{n}" for n in range(500))] * 2, r"\w+|\s")
    cfg: TransformerConfig = CONFIG
    model = marian_shaped(cfg, Codecs(source=codec, target=codec), seed=1, end=1.4)
    return model, as_marian(model, cfg, longest=64)


def sentences() -> list[list[int]]:
    draw = random.Random(0)
    return [[draw.randrange(4, 500) for _ in range(draw.randint(2, 20))] + [EOS] for _ in range(SENTENCES)]


def generated(marian: Any, rows: list[list[int]], beams: int, penalty: float) -> list[tuple[tuple[int, ...], float]]:
    """Their tokens and scores."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[PAD] * (width - len(row))] for row in rows])
    options: dict[str, Any] = {"num_beams": beams, "length_penalty": penalty, "early_stopping": "never"}
    if beams == 1:
        options = {"num_beams": 1}
    found = marian.generate(
        input_ids=ids,
        attention_mask=(ids != PAD).long(),
        max_new_tokens=LIMIT,
        do_sample=False,
        suppress_tokens=[UNK],
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )
    scores = getattr(found, "sequences_scores", None)
    scores = [0.0] * len(rows) if scores is None else scores.tolist()
    # With a pad of 0 it fills up with end symbols.
    texts = (row[1 : row.index(EOS) + 1] if EOS in row else row[1:] for row in found.sequences.tolist())
    return [(tuple(text), score) for text, score in zip(texts, scores, strict=True)]


@pytest.mark.parametrize(("beams", "penalty"), [(1, 1.0), (2, 1.0), (5, 1.0), (5, 0.6), (4, 0.0)])
def test_it_says_what_generate_says(models: tuple[Seq2Seq, Any], beams: int, penalty: float) -> None:
    """HF's settings: early_stopping "never", no forced end; ours: `search.ended = "front"`. Differences must be ties."""
    model, marian = models
    cfg = SearchConfig(
        beams=beams, length_penalty=penalty, length_ratio=0.0, length_extra=LIMIT, ended="front" if beams > 1 else "any"
    )
    rows, same, texts, ended = sentences(), 0, set[tuple[int, ...]](), 0
    for begin in range(0, SENTENCES, TOGETHER):
        part = rows[begin : begin + TOGETHER]
        with torch.inference_mode():
            theirs = generated(marian, part, beams, penalty)
        for (text, score), (mine, *_) in zip(theirs, search(model, batch_of(part), cfg), strict=True):
            own = (*mine.tokens, EOS) if mine.finish == "end" else mine.tokens
            assert own == text or abs(mine.score - score) < TIE, f"{own} ({mine.score}), generate says {text} ({score})"
            same += own == text
            ended += mine.finish == "end"
            texts.add(own)
    print(f"{beams} beams, penalty {penalty}: {same} of {SENTENCES} alike, {len(texts)} different, {ended} ended")
    assert same >= 0.99 * SENTENCES
    assert len(texts) > SENTENCES / 5
    assert ended > SENTENCES / 10
