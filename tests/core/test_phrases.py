"""What outputs have to say and what they must not, against all outputs written out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.codec.types import EOS
from core.decode.candidates import NEVER
from core.decode.config import SearchConfig
from core.decode.phrases import Phrases
from core.decode.search import Found, search
from core.decode.wishes import within
from core.testing.markov import CLOSE, OPEN, Brackets, Markov, all_outputs, balanced, batch_of, short, sources, way_of

STRATEGIES = ("beam", "greedy", "sample", "stochastic")


def wanted(n: int, seed: int = 0) -> Phrases:
    """One or two short phrases to say for every source, and one not to."""
    draw = random.Random(seed)
    include = [
        [[draw.randrange(4, 8) for _ in range(draw.randint(1, 2))] for _ in range(draw.randint(0, 2))] for _ in range(n)
    ]
    exclude = [[[draw.randrange(4, 8), draw.randrange(4, 8)]] if not some else [] for some in include]
    return Phrases(include, exclude, 8)


def keeps(phrases: Phrases, row: int, tokens: Sequence[int]) -> bool:
    said = all(within(one, tokens) for one in phrases.include[row])
    return said and not any(within(one, tokens) for one in phrases.exclude[row])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_says_what_it_must_and_nothing_that_it_must_not(strategy: str) -> None:
    rows, free = sources(40, seed=3), 0
    for seed in range(3):
        model, phrases = Markov(seed, 8, end=-0.5), wanted(len(rows), seed)
        cfg = short(7, strategy=strategy, beams=4, n_best=1 if strategy == "greedy" else 4)
        for row, some in enumerate(search(model, batch_of(rows), cfg, phrases=phrases, seed=seed)):
            assert some[0].finish != "rule"
            assert all(keeps(phrases, row, one.tokens) for one in some if one.finish == "end")
        plain = search(model, batch_of(rows), cfg, seed=seed)
        free += sum(not keeps(phrases, row, some[0].tokens) for row, some in enumerate(plain))
    assert free > 30


def test_a_wide_beam_finds_the_best_of_the_outputs_that_keep_the_wishes() -> None:
    """With a phrase that must be said, and one that must not: exactly the best, with no token to spare too."""
    rows, draw = sources(12, seed=5), random.Random(0)
    for seed in range(3):
        include = [[[draw.randrange(4, 7) for _ in range(draw.randint(1, 3))]] for _ in rows]
        exclude = [[[draw.randrange(4, 7) for _ in range(2)]] for _ in rows]
        exclude = [out if not within(out[0], some[0]) else [] for out, some in zip(exclude, include, strict=True)]
        model, phrases, batch = Markov(seed, 7, end=-0.5), Phrases(include, exclude, 7), batch_of(rows)
        found = search(model, batch, short(5, beams=81, n_best=5), phrases=phrases)
        for row, (way, some) in enumerate(zip(way_of(batch).tolist(), found, strict=True)):
            best = [tokens for _, tokens in all_outputs(model, way, 5, 1.0) if keeps(phrases, row, tokens)]
            assert [one.tokens for one in some if one.finish == "end"] == best[:5]


def test_beams_do_not_put_phrases_off_until_they_are_forced() -> None:
    """With shares for those that have said more, the answers are better than those of waiting for the last moment."""

    class Waiting(Phrases):
        shared_out = lambda self, choice, logp_BKV, sum_BK, state: choice  # noqa: E731

    rows = sources(40, seed=7)
    include, nothing, cfg = [[[4, 5, 6]]] * len(rows), [[]] * len(rows), short(12, beams=5)
    placed, waited = (
        [
            some[0].score
            for seed in range(3)
            for some in search(Markov(seed, 30, end=-1.0), batch_of(rows), cfg, phrases=kind(include, nothing, 30))
        ]
        for kind in (Phrases, Waiting)
    )
    assert sum(placed) > sum(waited)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_company_changes_nothing(strategy: str) -> None:
    rows = sources(15, seed=2)
    model, phrases = Markov(1, 8, end=-0.5), wanted(len(rows), 4)
    cfg = short(7, strategy=strategy, beams=4, n_best=1 if strategy == "greedy" else 4)
    together = search(model, batch_of(rows), cfg, phrases=phrases, seed=1)
    alone = [search(model, batch_of([row], [n]), cfg, phrases=phrases, seed=1)[0] for n, row in enumerate(rows)]
    assert alone == together
    assert search(model, batch_of(rows), cfg, phrases=phrases, seed=1, early_stop=False) == together


def test_one_beam_is_greedy() -> None:
    rows = sources(20, seed=2)
    phrases, cfg = wanted(len(rows), 5), short(7, strategy="greedy")
    for seed in range(3):
        greedy = search(Markov(seed, 8), batch_of(rows), cfg, phrases=phrases)
        assert greedy == search(
            Markov(seed, 8), batch_of(rows), replace(cfg, strategy="beam", beams=1), phrases=phrases
        )


def test_a_rule_and_phrases_hold_together() -> None:
    rows = sources(20, seed=1)
    phrases = Phrases([[[OPEN, 6]]] * 20, [[[6, 6]]] * 20, 8)
    for some in search(Markov(2, 8, end=-1.0), batch_of(rows), short(9, beams=4), rule=Brackets(8), phrases=phrases):
        assert some[0].finish == "end"
        assert balanced(some[0].tokens)
        assert within([OPEN, 6], some[0].tokens)
        assert not within([6, 6], some[0].tokens)


def test_a_limit_makes_room_for_prefix_and_phrases() -> None:
    phrases = Phrases([[[4, 5, 6], [7]]], [[]], 8)
    (some,) = search(Markov(0, 8), batch_of([[4]]), short(1, beams=3), prefix=[[CLOSE, CLOSE]], phrases=phrases)
    assert len(some[0].tokens) == 6
    assert some[0].tokens[:2] == (CLOSE, CLOSE)
    assert keeps(phrases, 0, some[0].tokens)


def test_what_overlaps_may_overlap() -> None:
    """[4, 5] and [5, 6] are both said by 4 5 6, and a phrase that begins again within itself is found."""
    phrases = Phrases([[[4, 5], [5, 6]], [[4, 4, 5]]], [[], []], 7)
    batch = batch_of([[4], [5]])
    for way, row, some in zip(
        way_of(batch).tolist(), range(2), search(Markov(1, 7), batch, short(6, beams=243), phrases=phrases), strict=True
    ):
        best = next(tokens for _, tokens in all_outputs(Markov(1, 7), way, 6, 1.0) if keeps(phrases, row, tokens))
        assert some[0].tokens == best


def test_scores_are_the_model_s() -> None:
    rows = sources(20)
    model, phrases, batch = Markov(2, 8), wanted(20, 1), batch_of(rows)
    for way, some in zip(
        way_of(batch).tolist(), search(model, batch, short(8, beams=4, n_best=4), phrases=phrases), strict=True
    ):
        for one in some:
            said = [*one.tokens, EOS] if one.finish == "end" else list(one.tokens)
            assert list(one.logp) == pytest.approx(model.of(way, said), rel=1e-12)
            assert one.score > NEVER


def test_nothing_wanted_is_the_plain_search() -> None:
    rows, nothing = sources(10), Phrases([[]] * 10, [[]] * 10, 8)
    cfg: SearchConfig = short(8, beams=4, n_best=4)
    plain: list[list[Found]] = search(Markov(0, 8), batch_of(rows), cfg)
    assert search(Markov(0, 8), batch_of(rows), cfg, phrases=nothing) == plain
