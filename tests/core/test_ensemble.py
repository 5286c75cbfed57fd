"""Runs that decide together: the mean of their probabilities, under every law of the search."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.codec.types import EOS, Codecs
from core.decode.answers import answers
from core.decode.config import SearchConfig
from core.decode.ensemble import Ensemble
from core.errors import ConfigError
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.testing.tiny import (
    TinyFrames,
    batch_of,
    close,
    forced_logp,
    frame_models,
    small,
    stir,
    tiny_codecs,
    tiny_pairs,
    widened,
)

CODECS = tiny_codecs()
BEAM = SearchConfig(beams=4, n_best=4, length_ratio=1.0, length_extra=4)


def made(cfg: ModelConfig, seed: int) -> Seq2Seq:
    model = build(replace(small(cfg), dropout=0.0), CODECS, seed=seed).double().eval()
    stir(model)
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return model


THREE = [made(TransformerConfig(), 1), made(RNNConfig(), 2), made(TransformerConfig(norm="rms"), 3)]
BATCH = batch_of(tiny_pairs(CODECS))


def test_the_mean_of_probabilities_is_what_is_reported() -> None:
    found, _ = answers(THREE[0], BATCH, BEAM, others=THREE[1:])
    for row, some in enumerate(found):
        source, _ = tiny_pairs(CODECS)[row]
        for one in some:
            alone = batch_of([(source, list(one.tokens))])
            p_TV = torch.stack([forced_logp(model, alone)[0].exp() for model in THREE]).mean(0)
            wanted = [p_TV[t, token].log().item() for t, token in enumerate([*one.tokens, EOS][: len(one.logp)])]
            assert list(one.logp) == pytest.approx(wanted, abs=1e-9)


def test_one_model_twice_is_that_model() -> None:
    alone, twice = (answers(THREE[0], BATCH, BEAM, others=others)[0] for others in ((), THREE[:1]))
    for some, same in zip(alone, twice, strict=True):
        assert [one.tokens for one in some] == [one.tokens for one in same]
        assert [one.score for one in some] == pytest.approx([one.score for one in same], abs=1e-9)


@pytest.mark.parametrize("strategy", ["beam", "greedy", "sample"])
def test_company_changes_nothing(strategy: str) -> None:
    cfg = replace(BEAM, strategy=strategy, n_best=1 if strategy == "greedy" else 4)
    together, _ = answers(THREE[0], BATCH, cfg, others=THREE[1:])
    for row, pair in enumerate(tiny_pairs(CODECS)):
        ((alone,), _) = answers(THREE[0], batch_of([pair], [row]), cfg, others=THREE[1:])
        assert [one.tokens for one in alone] == [one.tokens for one in together[row]]


def test_a_word_that_only_one_can_copy_has_half_its_probability() -> None:
    copying, plain = made(TransformerConfig(copy=True), 4), made(RNNConfig(), 5)
    batch = batch_of(tiny_pairs(CODECS, copy=True))
    both = Ensemble([copying, plain])
    memory = both.encode(batch)
    token_BK = torch.full((batch.size, 1), 1)
    logp_BKV, _ = both.step(token_BK, memory, both.start(memory, 1))
    first, second = (forced_logp(model, batch)[:, :1] for model in (copying, plain))
    wanted = (first.exp() + widened(second, first.shape[-1]).exp()) / 2
    close(logp_BKV.exp(), wanted, "the mean of both")
    assert (logp_BKV[..., second.shape[-1] :] > -torch.inf).any()


def test_with_a_ctc_head_the_first_run_hears() -> None:

    codecs = Codecs(source=TinyFrames(3), target=CODECS.target)
    cfg = frame_models()["transformer-ctc"]
    one, other = (build(replace(cfg, dropout=0.0), codecs, seed=seed).double().eval() for seed in (1, 2))
    batch = batch_of(tiny_pairs(codecs))
    found, _ = answers(one, batch, BEAM, others=[other])
    assert all(found)
    with pytest.raises(ConfigError, match="asks no decoder"):
        answers(one, batch, replace(BEAM, strategy="ctc"), others=[other])
