"""Long and short outputs: the divisor of scores, and the least length, against all outputs written out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from core.decode.candidates import NEVER
from core.decode.search import search
from core.testing.markov import Brackets, Markov, all_outputs, batch_of, short, sources

EVERYTHING = 6**4


@pytest.mark.parametrize("penalty", [0.6, 1.0, -0.5])
@pytest.mark.parametrize("early_stop", [True, False])
def test_gnmts_divisor_is_its_papers(penalty: float, early_stop: bool) -> None:
    model = Markov(3, 7)
    cfg = short(4, beams=EVERYTHING, n_best=8, length_penalty=penalty, length_form="gnmt")
    (found,) = search(model, batch_of([[8]]), cfg, early_stop=early_stop)
    every = [(total, tokens) for total, tokens in all_outputs(model, 8, 4, 0.0) if total > NEVER]
    scored = sorted((total / ((5 + len(tokens) + 1) / 6) ** penalty for total, tokens in every), reverse=True)
    assert [one.score for one in found if one.finish == "end"][:8] == pytest.approx(scored[:8])


def test_nothing_ends_before_its_least_length() -> None:
    model, rows = Markov(0, 9, end=3.0), sources(12)
    free = short(8, beams=3, n_best=3)
    assert any(len(one.tokens) < 3 for some in search(model, batch_of(rows), free) for one in some)
    for strategy in ("beam", "greedy", "sample"):
        cfg = replace(free, strategy=strategy, n_best=1, shortest_ratio=0.5, shortest_extra=1)
        for row, some in zip(rows, search(model, batch_of(rows), cfg), strict=True):
            least = min(7, math.ceil(0.5 * len(row)) + 1)
            assert all(len(one.tokens) >= least for one in some)
            assert search(model, batch_of([row], [rows.index(row)]), cfg) == [some]


def test_the_least_length_leaves_the_best_of_the_longer_ones() -> None:
    model = Markov(3, 7)
    cfg = short(4, beams=EVERYTHING, n_best=4, length_penalty=0.0, shortest_extra=2)
    (found,) = search(model, batch_of([[8]]), cfg)
    every = [(total, tokens) for total, tokens in all_outputs(model, 8, 4, 0.0) if total > NEVER and len(tokens) >= 2]
    best = sorted(every, key=lambda one: -one[0])[:4]
    ended = [one for one in found if one.finish == "end"]
    assert [one.tokens for one in ended] == [tokens for _, tokens in best[: len(ended)]]


def test_a_least_length_above_the_limit_leaves_room_to_end() -> None:
    (found,) = search(Markov(0, 9, end=3.0), batch_of([[5, 6]]), short(4, shortest_extra=100))
    assert found[0].finish == "end"
    assert len(found[0].tokens) == 3


def test_what_a_rule_ends_too_early_is_said() -> None:
    (found,) = search(Markov(2, 7), batch_of([[5]]), short(5, beams=2, shortest_extra=4), rule=Brackets(7))
    assert all(one.finish in ("end", "rule") for one in found)
    assert all(len(one.tokens) >= 4 for one in found if one.finish == "end")
