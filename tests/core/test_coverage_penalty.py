"""The coverage penalty, by the attention of a reading of the whole output."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.codec.types import EOS
from core.decode.answers import answers, deciding
from core.decode.config import SearchConfig
from core.decode.coverage import penalty
from core.decode.search import search
from core.errors import ConfigError
from core.model.build import build
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.testing.tiny import batch_of, forced_logp, small, stir, tiny_codecs, tiny_pairs

CODECS = tiny_codecs()
PAIRS = tiny_pairs(CODECS, 6)
BEAM = SearchConfig(beams=4, n_best=4, length_ratio=1.0, length_extra=4, coverage=0.7)
KINDS: dict[str, ModelConfig] = {
    "transformer": TransformerConfig(),
    "rnn": RNNConfig(),
    "heads": RNNConfig(attention="multi_head", attention_heads=2, feeding="output"),
    "conv": ConvConfig(),
}


def made(cfg: ModelConfig) -> Seq2Seq:
    model = build(replace(small(cfg), dropout=0.0), CODECS, seed=1).double().eval()
    stir(model, 0.4)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_costs_what_was_left_unread(kind: str) -> None:
    model = made(KINDS[kind])
    found, _ = answers(model, batch_of(PAIRS), BEAM)
    ended = 0
    for (source, _), some in zip(PAIRS, found, strict=True):
        for one in some:
            batch = batch_of([(source, list(one.tokens))])
            said = [*one.tokens, EOS][: len(one.logp)]
            with torch.no_grad():
                logp_TV, look_TS = forced_logp(model, batch)[0], model.attention(batch)[-1, 0].mean(0)
            assert list(one.logp) == pytest.approx([logp_TV[t, token].item() for t, token in enumerate(said)], abs=1e-9)
            score = sum(one.logp) / len(said)
            if one.finish == "end":
                ended += 1
                score += penalty(look_TS, 0.7)
            assert one.score == pytest.approx(score, abs=1e-9)
    assert ended > 5


@pytest.mark.parametrize("strategy", ["beam", "greedy", "sample", "stochastic"])
def test_company_changes_nothing(strategy: str) -> None:
    model, cfg = made(TransformerConfig()), replace(BEAM, strategy=strategy, n_best=1 if strategy == "greedy" else 4)
    together, _ = answers(model, batch_of(PAIRS), cfg, seed=3)
    for n, pair in enumerate(PAIRS):
        ((alone,), _) = answers(model, batch_of([pair], [n]), cfg, seed=3)
        assert [one.tokens for one in alone] == [one.tokens for one in together[n]]


def test_more_of_the_source_is_read_and_stopping_early_changes_nothing() -> None:
    model, free = made(TransformerConfig()), replace(BEAM, coverage=0.0, beams=6)
    read: list[float] = []
    for weight in (0.0, 2.0):
        steps = deciding(model, replace(free, coverage=weight))
        found = search(steps, batch_of(PAIRS), free)
        assert found == search(steps, batch_of(PAIRS), free, early_stop=False)
        with torch.no_grad():
            looks = [
                model.attention(batch_of([(source, list(some[0].tokens))]))[-1, 0].mean(0)
                for (source, _), some in zip(PAIRS, found, strict=True)
            ]
        read.append(sum(penalty(look_TS, 1.0) for look_TS in looks))
    assert read[1] > read[0]


def test_without_attention_it_is_refused() -> None:
    for cfg in (RNNConfig(attention="none"),):
        with pytest.raises(ConfigError, match="no attention"):
            answers(made(cfg), batch_of(PAIRS), BEAM)
    with pytest.raises(ConfigError, match="one run's decoder"):
        answers(made(RNNConfig()), batch_of(PAIRS), BEAM, others=[made(RNNConfig())])
