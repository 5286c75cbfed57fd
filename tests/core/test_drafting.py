"""Drafts copied from the source: greedy search's answers, token for token, in fewer steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.codec.types import UNK, Codecs
from core.decode.config import SearchConfig
from core.decode.drafting import Reader, drafted, guess, material
from core.decode.phrases import Phrases
from core.decode.search import search
from core.errors import ConfigError
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.testing.markov import Brackets
from core.testing.tiny import (
    NextSourceFeatures,
    Pair,
    batch_of,
    close,
    forced_logp,
    small,
    stir,
    tiny_codecs,
    tiny_pairs,
)

# T tokens

SHARED = tiny_codecs(shared=True)
GREEDY = SearchConfig(strategy="greedy", length_ratio=1.0, length_extra=6)
DRAFT = replace(GREEDY, draft=4)
KINDS = {
    "rotary": TransformerConfig(),
    "sinusoidal": TransformerConfig(positions="sinusoidal", norm_place="post"),
    "relative": TransformerConfig(positions="relative", kv_heads=1),
    "alibi": TransformerConfig(positions="alibi"),
    "told": TransformerConfig(norm="rms"),
    "learned-copying": TransformerConfig(positions="learned", learned_positions=4, copy=True),
}


def made(cfg: ModelConfig, codecs: Codecs = SHARED, *, told: bool = False) -> Seq2Seq:
    features = NextSourceFeatures() if told else None
    model = build(replace(small(cfg), dropout=0.0), codecs, features=features, seed=1).double().eval()
    stir(model, 0.4)
    return model


def sources_of(pairs: list[Pair]) -> list[list[int]]:
    return [(source.values if source.extended is None else source.extended).tolist() for source, _ in pairs]


@pytest.mark.parametrize("kind", KINDS)
def test_the_answers_are_those_of_greedy_search(kind: str) -> None:
    cfg = KINDS[kind]
    pairs = tiny_pairs(SHARED, 5, copy=cfg.copy)
    model, batch, V = made(cfg, told=kind == "told"), batch_of(pairs), SHARED.target.size
    prefix = [ids[: n % 3] if UNK not in ids[:2] else [] for n, (_, ids) in enumerate(pairs)]
    phrases = Phrases([[[5, 6]] if n % 2 else [] for n in range(5)], [[[7]]] * 5, V)
    for changes, rule, begin, said in (
        ({}, None, None, None),
        ({"no_repeat": 2}, None, prefix, None),
        ({"shortest_extra": 5}, Brackets(V), None, None),
        ({"length_extra": 1, "length_ratio": 0.0}, None, prefix, phrases),
    ):
        one, other = replace(GREEDY, **changes), replace(DRAFT, **changes)  # pyright: ignore[reportArgumentType]
        found = drafted(model, batch, other, sources_of(pairs), rule=rule, prefix=begin, phrases=said)
        expected = search(model, batch, one, rule=rule, prefix=begin, phrases=said)
        for (mine,), (greedy,) in zip(found, expected, strict=True):
            assert (mine.tokens, mine.finish) == (greedy.tokens, greedy.finish)
            assert mine.logp == pytest.approx(greedy.logp, abs=1e-9)
            assert mine.score == pytest.approx(greedy.score, abs=1e-9)


def test_a_chain_read_at_once_is_stepping_and_what_is_taken_back_is_gone() -> None:
    pairs = tiny_pairs(SHARED, 1, longest=8)
    model = made(TransformerConfig())
    batch = batch_of([(pairs[0][0], [5, 6, 7, 8, 5, 4])])
    expected_TV = forced_logp(model, batch)[0]
    reader = Reader(model, model.decoder, model.encode(batch))  # pyright: ignore[reportArgumentType]
    tokens = batch.given_BT[0].tolist()
    with torch.no_grad():
        close(reader.read(tokens[:3])[0], expected_TV[:3], "the first three")
        reader.read([4, 4, 4])
        reader.keep(3)
        close(reader.read(tokens[3:])[0], expected_TV[3:], "the rest, after a wrong guess")


def test_drafts_save_passes_where_outputs_repeat_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    passes, right = [0], Reader.read

    def counted(self: Reader, tokens: list[int]) -> torch.Tensor:
        passes[0] += 1
        return right(self, tokens)

    monkeypatch.setattr(Reader, "read", counted)
    pairs = tiny_pairs(SHARED, 6)
    model, batch = made(TransformerConfig()), batch_of(pairs)
    answers = [list(some[0].tokens) for some in search(model, batch, GREEDY)]
    counts: list[int] = []
    for sources in ([[]] * 6, answers):  # nothing to copy; all of it
        passes[0] = 0
        drafted(model, batch, DRAFT, sources)
        counts.append(passes[0])
    assert counts[0] >= sum(map(len, answers))
    assert counts[1] < 0.5 * counts[0]


def test_guesses_follow_the_longest_end_that_the_source_has() -> None:
    source = [10, 11, 12, 10, 11, 13, 14, UNK, 15]
    assert guess([], source, 3) == [10, 11, 12]
    assert guess([9, 10, 11], source, 2) == [12, 10]
    assert guess([12, 10, 11], source, 2) == [13, 14]
    assert guess([13], source, 5) == [14]
    assert guess([99], source, 5) == []
    assert guess([15], source, 5) == []
    assert guess([], source, 0) == []


def test_a_source_in_another_vocabulary_is_translated() -> None:
    codecs = tiny_codecs()
    ids = material("abc", codecs)
    assert codecs.target.decode(ids) == "abc"
    assert material(3.5, codecs) == []


def test_what_cannot_read_drafts_is_refused() -> None:
    pairs = tiny_pairs(SHARED, 2)
    with pytest.raises(ConfigError, match=r"search\.draft: only a Transformer"):
        drafted(made(RNNConfig()), batch_of(pairs), DRAFT, [[4], [5]])
    with pytest.raises(ValueError, match='drafts are for strategy = "greedy"'):
        SearchConfig(draft=3)
