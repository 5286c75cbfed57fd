"""What every model with a CTC head keeps: the fast ways are the definition, and deciding together is exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from core.codec.types import BOS, EOS
from core.decode.answers import answers, deciding
from core.decode.config import SearchConfig
from core.decode.search import search
from core.testing.ctc_reference import posteriors, spelled_logp
from core.testing.search_laws import near, same
from core.testing.tiny import ModelCase, batch_of, forced_logp, padded, random_tokens

# B batch, K hypotheses, T target, V vocabulary

LIMIT = SearchConfig(length_ratio=0.0, length_extra=6)
JOINT = replace(LIMIT, beams=3, n_best=3, length_penalty=0.7, ctc_weight=0.4)
ALONE = replace(LIMIT, strategy="ctc", beams=3, n_best=3)
BEST_PATH = replace(ALONE, beams=1, n_best=1)


@torch.no_grad()
def deciding_together_is_a_weighed_sum(case: ModelCase) -> None:
    """An answer's total is (1 - w) log p of the decoder + w log p of CTC, the sum over all paths; with CTC alone, the latter."""
    model, batch = case.make(), batch_of(case.pairs)
    logp = posteriors(model, batch)
    for cfg, weight in ((JOINT, JOINT.ctc_weight), (ALONE, 1.0), (BEST_PATH, 1.0)):
        found, _ = answers(model, batch, cfg, rule=case.rule)
        for row, some in enumerate(found):
            for one in (one for one in some if one.finish == "end"):
                forced_TV = forced_logp(model, batch_of([(case.pairs[row][0], list(one.tokens))]))[0]
                said = math.fsum(forced_TV[t, token].item() for t, token in enumerate((*one.tokens, EOS)))
                heard = spelled_logp(logp[row], one.tokens)
                total = heard if weight == 1 else (1 - weight) * said + weight * heard
                where = f"{cfg.strategy}, {cfg.beams} beams, source {row}, {one.tokens}"
                assert near(one.total, total), f"{where}: total {one.total}, by definition {total}"
                score = total / (len(one.tokens) + 1) ** cfg.penalty
                assert near(one.score, score), f"{where}: score {one.score}, by its formula {score}"


@torch.no_grad()
def what_ctc_expects_sums_to_one(case: ModelCase) -> None:
    """After every prefix that the frames can spell, over all tokens and the end."""
    model, batch = case.make(), batch_of(case.pairs)
    steps = deciding(model, ALONE)
    memory = steps.encode(batch)
    state, K = steps.start(memory, 2), 2
    token_BK = torch.full((batch.size, K), BOS)
    for step in range(5):
        logp_BKV, state = steps.step(token_BK, memory, state)
        alive_BK = logp_BKV.isfinite().any(-1)
        assert step or alive_BK.all(), "a source can spell nothing at all"
        total_N = logp_BKV.exp().sum(-1)[alive_BK]
        assert torch.allclose(total_N, torch.ones_like(total_N), atol=1e-9), f"sums after {step} tokens: {total_N}"
        token_BK = random_tokens(case.pairs, (batch.size, K), seed=step)


@torch.no_grad()
def deciding_together_is_the_same_in_company(case: ModelCase) -> None:
    """Whatever the other sources and the pads, and however early the search stops."""
    model, batch = case.make(), batch_of(case.pairs)
    for cfg in (JOINT, replace(JOINT, strategy="greedy", beams=1, n_best=1), ALONE, BEST_PATH):
        alone = [answers(model, batch_of([pair], [n]), cfg, rule=case.rule)[0][0] for n, pair in enumerate(case.pairs)]
        others = [
            answers(model, batch, cfg, rule=case.rule)[0],
            answers(model, padded(batch, source=5, target=0), cfg, rule=case.rule)[0],
        ]
        if cfg is not BEST_PATH:
            others.append(search(deciding(model, cfg), batch, cfg, rule=case.rule, early_stop=False))
        for found in others:
            for n, (some, own) in enumerate(zip(found, alone, strict=True)):
                where = f"{cfg.strategy}, {cfg.beams} beams, source {n}"
                tokens, expected = [one.tokens for one in some], [one.tokens for one in own]
                assert tokens == expected, f"{where}: {tokens} in company, {expected} alone"
                same(some, [one.score for one in own], where)


@torch.no_grad()
def without_a_weight_the_decoder_decides(case: ModelCase) -> None:
    """`ctc_weight = 0` is the search of the model itself, to the last bit."""
    model, batch = case.make(), batch_of(case.pairs)
    cfg = replace(JOINT, ctc_weight=0.0)
    plain, found = search(model, batch, cfg, rule=case.rule), answers(model, batch, cfg, rule=case.rule)[0]
    assert found == plain, f"with weight 0: {found}, the decoder alone: {plain}"


@torch.no_grad()
def tokens_are_heard_in_order(case: ModelCase) -> None:
    """Every token of an answer has frames of its own within the source, one after the other, alone as in company."""
    model, batch = case.make(), batch_of(case.pairs)
    cfg = replace(JOINT, align=True)
    found, heard = answers(model, batch, cfg, rule=case.rule)
    for row, (some, spans) in enumerate(zip(found, heard, strict=True)):
        alone = answers(model, batch_of([case.pairs[row]]), cfg, rule=case.rule)[1][0]
        assert alone == spans, f"source {row}: frames {spans} in company, {alone} alone"
        length = len(case.pairs[row][0].values)
        for one, frames in zip(some, spans, strict=True):
            assert len(frames) == len(one.tokens), f"source {row}: {len(frames)} spans for {len(one.tokens)} tokens"
            ends = [place for span in frames for place in span]
            assert ends == sorted(ends), f"source {row}: not in order: {frames}"
            assert all(0 <= begin < end <= length for begin, end in frames), f"source {row}: {frames} of {length}"


CTC_LAWS: tuple[Callable[[ModelCase], None], ...] = (
    deciding_together_is_a_weighed_sum,
    what_ctc_expects_sums_to_one,
    deciding_together_is_the_same_in_company,
    without_a_weight_the_decoder_decides,
    tokens_are_heard_in_order,
)
"""For models that have such a head."""
