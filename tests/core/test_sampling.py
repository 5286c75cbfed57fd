"""Laws of drawing at random: keyed, in any company, and with the right probabilities."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from core.codec.types import BOS, EOS, PAD
from core.decode.sampling import BLOCK, likely, typical, uniforms
from core.decode.search import search
from core.testing.markov import Markov, all_outputs, batch_of, short, sources

# B batch, K hypotheses, S source, T target, V vocabulary


def test_samples_are_keyed_by_seed_and_record() -> None:
    model, row = Markov(0, 9, end=-2.0), [5, 6]
    cfg = short(8, strategy="sample", beams=4, n_best=4)
    batch = batch_of([row] * 3, [10, 11, 10])
    first, other, again = search(model, batch, cfg, seed=1)
    assert first == again
    assert first != other
    assert search(model, batch, cfg, seed=1) == [first, other, first]
    assert search(model, batch, cfg, seed=2)[0] != first


def test_more_samples_begin_with_the_same_ones() -> None:
    model, batch = Markov(0, 9, end=-2.0), batch_of(sources(8))
    few = search(model, batch, short(8, strategy="sample", beams=3, n_best=3), seed=4)
    many = search(model, batch, short(8, strategy="sample", beams=9, n_best=9), seed=4)
    for a, b in zip(few, many, strict=True):
        assert Counter(a) <= Counter(b)


def test_random_numbers_are_one_stream_for_each_step() -> None:
    u = uniforms(3, [0, 1, 2], 4, 0)
    assert u.shape == (3, 4, BLOCK)
    assert (
        len(np.unique(np.concatenate([u, uniforms(3, [0, 1, 2], 4, 1), uniforms(4, [0, 1, 2], 4, 0)]))) == 9 * 4 * BLOCK
    )
    assert np.array_equal(u[1:, :2], uniforms(3, [1, 2], 2, 0))


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (0.5, 0, 1.0), (1.7, 3, 1.0), (1.0, 0, 0.7), (1.0, 4, 0.8)]
)
def test_samples_have_the_right_distribution(temperature: float, top_k: int, top_p: float) -> None:
    model, batch = Markov(6, 9), batch_of([[7]])
    cfg = short(1, strategy="sample", beams=6000, n_best=6000, temperature=temperature, top_k=top_k, top_p=top_p)
    (row,) = search(model, batch, cfg, seed=3)
    p = (model.logp[7, PAD, BOS] / temperature).softmax(-1)
    order = p.argsort(descending=True)
    kept = order[: top_k or None]
    share = (p[kept] / p[kept].sum()).cumsum(0)
    kept = kept[: int((share < top_p - 1e-12).sum()) + 1].tolist()
    expected = {int(n): 6000 * (p[n] / p[kept].sum()).item() for n in kept if p[n] > 0}
    drawn = Counter(EOS if one.finish == "end" else one.tokens[0] for one in row)
    assert set(drawn) <= set(expected)
    chi = sum((drawn[n] - e) ** 2 / e for n, e in expected.items())
    assert chi < 30  # 0.999 quantile at six degrees of freedom is 22.5; the seed is fixed


def test_min_p_and_typical_are_their_papers() -> None:
    p_V = [0.5, 0.2, 0.15, 0.1, 0.05]
    logp_V = torch.tensor(p_V).log()
    assert likely(logp_V, 0.3).exp().tolist() == pytest.approx([0.5, 0.2, 0.15, 0, 0])
    assert torch.equal(likely(logp_V, 0.0), logp_V)
    surprise = [-math.log(p) for p in p_V]
    expected = sum(p * s for p, s in zip(p_V, surprise, strict=True))
    order = sorted(range(5), key=lambda n: abs(surprise[n] - expected))
    assert order[0] != 0  # the likeliest one is not the most typical
    for mass in (0.05, 0.3, 0.34, 0.36, 0.8, 0.999):
        kept, sum_ = set[int](), 0.0
        for n in order:
            kept.add(n)
            sum_ += p_V[n]
            if sum_ >= mass:
                break
        found = typical(logp_V, mass)
        assert {n for n in range(5) if found[n] > -math.inf} == kept
        assert torch.equal(found[sorted(kept)], logp_V[sorted(kept)])
        assert torch.allclose(typical(logp_V - 3, mass) + 3, found)  # what a rule took away does not count
    nothing = torch.full((2, 3), -math.inf)
    assert torch.equal(typical(likely(nothing, 0.5), 0.5), nothing)


@pytest.mark.parametrize("filters", [{"min_p": 0.2}, {"typical_p": 0.6}, {"min_p": 0.1, "typical_p": 0.8, "top_k": 3}])
def test_only_what_the_filters_leave_is_drawn(filters: dict[str, Any]) -> None:
    model, batch = Markov(6, 9), batch_of([[7]])
    cfg = short(1, strategy="sample", beams=2000, n_best=2000, **filters)
    (row,) = search(model, batch, cfg, seed=3)
    logp = model.logp[7, PAD, BOS]
    left = typical(likely(logp, cfg.min_p), cfg.typical_p)
    kept = left.argsort(descending=True)[: cfg.top_k or None]
    kept = [n for n in kept.tolist() if left[n] > -math.inf]
    drawn = Counter(EOS if one.finish == "end" else one.tokens[0] for one in row)
    assert set(drawn) <= set(kept)
    mass = left[kept].exp().sum().item()
    chi = sum((drawn[n] - 2000 * (e := logp[n].exp().item() / mass)) ** 2 / (2000 * e) for n in kept)
    assert chi < 30


def test_whole_samples_have_the_right_distribution() -> None:
    model, batch = Markov(2, 7), batch_of([[9]])
    (row,) = search(model, batch, short(3, strategy="sample", beams=8000, n_best=8000), seed=5)
    drawn = Counter(one.tokens for one in row if one.finish == "end")
    for _, tokens in all_outputs(model, 9, 3, 1.0):
        p = math.exp(sum(model.of(9, [*tokens, EOS])))
        assert abs(drawn[tokens] - 8000 * p) < 5 * math.sqrt(8000 * p) + 5
