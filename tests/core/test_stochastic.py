"""Drawing without replacement, against the probabilities of all outputs written out."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch

from core.decode.sampling import Among, draw, filtered
from core.decode.search import search
from core.decode.stochastic import gumbel, mixed
from core.testing.markov import Brackets, Markov, all_outputs, balanced, batch_of, short, sources

CFG = short(4, strategy="stochastic", beams=4, n_best=4)


def test_nothing_is_drawn_twice_and_more_draws_begin_with_the_same() -> None:
    rows = sources(30, seed=1)
    model = Markov(0, 8, end=-1.0)
    few = search(model, batch_of(rows), CFG, seed=3)
    many = search(model, batch_of(rows), replace(CFG, beams=9, n_best=9), seed=3)
    for some, more in zip(few, many, strict=True):
        assert len({(one.tokens, one.finish) for one in some}) == len(some) == 4
        assert set(some) <= set(more)
        assert [one.score for one in some if one.finish == "end"] == sorted(
            (one.score for one in some if one.finish == "end"), reverse=True
        )


def test_pairs_are_drawn_as_one_after_the_other() -> None:
    """P({a, b}) = p_a p_b / (1 - p_a) + p_b p_a / (1 - p_b), over all outputs of at most two tokens, cut ones too."""
    model, draws = Markov(6, 7, spread=1.0), 4000
    cfg = short(2, strategy="stochastic", beams=2, n_best=2)
    p = {(tokens, "end"): math.exp(total) for total, tokens in all_outputs(model, 7, 2, 0.0)}
    for pair in itertools.product(range(4, 7), repeat=2):
        p[(pair, "length")] = math.exp(sum(model.of(7, list(pair))))
    assert sum(p.values()) == pytest.approx(1)
    found = search(model, batch_of([[7]] * draws, range(draws)), cfg, seed=11)
    drawn = Counter(frozenset((one.tokens, one.finish) for one in some) for some in found)
    chi = 0.0
    for a, b in itertools.combinations(p, 2):
        expected = draws * p[a] * p[b] * (1 / (1 - p[a]) + 1 / (1 - p[b]))
        if expected > 5:
            chi += (drawn[frozenset((a, b))] - expected) ** 2 / expected
    assert chi < 110  # at most 77 pairs: the 0.99 quantile; the seed is fixed


@pytest.mark.parametrize("changes", [{}, {"top_k": 3}, {"temperature": 2.0, "top_p": 0.7}, {"no_repeat": 1}])
def test_company_and_stopping_early_change_nothing(changes: dict[str, float]) -> None:
    rows = sources(25, seed=4)
    model, cfg = Markov(1, 8, end=-1.0), replace(CFG, length_extra=8, **changes)  # pyright: ignore[reportArgumentType]
    together = search(model, batch_of(rows), cfg, seed=5)
    assert [search(model, batch_of([row], [n]), cfg, seed=5)[0] for n, row in enumerate(rows)] == together
    assert search(model, batch_of(rows), cfg, seed=5, early_stop=False) == together
    assert search(model, batch_of(rows), cfg, seed=6) != together


def test_a_rule_holds_and_small_spaces_are_emptied() -> None:
    found = search(Markov(2, 8), batch_of(sources(20)), replace(CFG, length_extra=9), rule=Brackets(8), seed=1)
    assert all(one.finish == "end" and balanced(one.tokens) for some in found for one in some)
    (some,) = search(Markov(2, 5), batch_of([[4]]), short(3, strategy="stochastic", beams=9, n_best=9))
    assert sorted(one.tokens for one in some) == [(), (4,), (4, 4), (4, 4, 4)]


def test_filters_leave_what_sampling_draws_from() -> None:
    logp_11V = Markov(3, 12).logp[2, 4, 5][None, None]
    uniform = torch.linspace(0, 1 - 1e-9, 4001, dtype=torch.float64)
    for among in (
        Among(0.5),
        Among(1.7, top_k=4),
        Among(1.0, top_p=0.6),
        Among(1.3, 5, 0.8),
        Among(1.0, 0, 1.0, 0.2, 0.7),
    ):
        drawn = draw(logp_11V.expand(1, 4001, -1), uniform[None], among)[0]
        share = drawn.bincount(minlength=12).double() / 4001
        assert filtered(logp_11V, among).softmax(-1)[0, 0].tolist() == pytest.approx(share.tolist(), abs=2e-3)


def test_hashes_look_random() -> None:
    found = gumbel(mixed(torch.arange(100_000)), torch.float64)
    assert found.mean().item() == pytest.approx(0.57722, abs=0.02)
    assert found.var().item() == pytest.approx(math.pi**2 / 6, abs=0.04)
    assert len(found.unique()) == len(found)


def test_temperature_zero_is_greedy() -> None:
    batch = batch_of(sources(10))
    cold = search(Markov(0, 8), batch, replace(CFG, temperature=0.0, n_best=1))
    assert cold == search(Markov(0, 8), batch, replace(CFG, strategy="greedy", beams=1, n_best=1))
