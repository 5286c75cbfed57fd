"""Laws of what decoding may not do: rules, forced prefixes, banned repeats."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.codec.types import BOS, EOS, UNK
from core.data.batch import Batch
from core.decode.constraints import AllOf, teacher_forced
from core.decode.rules import Rule
from core.decode.search import Found, search
from core.model.state import State
from core.testing.markov import CLOSE, OPEN, Brackets, Markov, all_outputs, balanced, batch_of, short, sources, way_of

# B batch, K hypotheses, S source, T target, V vocabulary


def answers(found: Sequence[Sequence[Found]]) -> list[list[tuple[tuple[int, ...], str]]]:
    return [[(one.tokens, one.finish) for one in row] for row in found]


class Never:
    """Forbids some tokens."""

    def __init__(self, *tokens: int, vocabulary: int) -> None:
        self.legal_V = torch.ones(vocabulary, dtype=torch.bool)
        self.legal_V[list(tokens)] = False

    def start(self, batch: Batch, beams: int = 1) -> State:
        return {"said": torch.zeros((batch.size, beams), dtype=torch.int64)}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        return {"said": state["said"] + 1}, self.legal_V.expand(*token_BK.shape, -1)


@pytest.mark.parametrize("strategy", ["beam", "greedy", "sample"])
def test_rules_make_every_output_valid(strategy: str) -> None:
    wild = valid = 0
    for seed, limit in itertools.product(range(6), (1, 2, 5, 12)):
        batch = batch_of(sources(25, seed=seed))
        cfg = short(limit, strategy=strategy, beams=4, n_best=1 if strategy == "greedy" else 4)
        model = Markov(seed, 7, spread=3.0, end=-2.0)
        for one in itertools.chain(*search(model, batch, cfg, rule=Brackets(7), seed=seed)):
            assert one.finish == "end"
            assert balanced(one.tokens)
            assert len(one.tokens) < limit
            valid += 1
        wild += sum(not balanced(one.tokens) for row in search(model, batch, cfg, seed=seed) for one in row)
    assert valid > 500
    assert wild > 100


def test_a_rule_does_not_renormalise() -> None:
    model, batch = Markov(3, 8), batch_of(sources(20))
    for way, (one,) in zip(way_of(batch).tolist(), search(model, batch, short(8), rule=Brackets(8)), strict=True):
        assert list(one.logp) == pytest.approx(model.of(way, [*one.tokens, EOS]), rel=1e-12)


def test_all_of_several_rules_hold_and_ids_beyond_a_rule_are_free() -> None:
    """The rules know 6 and 8 ids of 10: what lies beyond 8 is copied words, which nobody forbids."""
    rule: Rule = AllOf(Brackets(6), Never(7, vocabulary=8), AllOf())
    found = search(
        Markov(2, 10, end=-1.0), batch_of(sources(60)), short(9, strategy="sample", beams=4, n_best=4), rule=rule
    )
    said = Counter(token for row in found for one in row for token in one.tokens)
    assert {4, 5, 6, 8, 9} == set(said)
    assert all(one.finish == "length" or balanced(one.tokens) for row in found for one in row)


def test_teacher_forcing_a_rule_is_stepping_it() -> None:
    targets = [[OPEN, 7, CLOSE], [7], [OPEN, OPEN, CLOSE, CLOSE, 7], []]
    batch = batch_of(sources(4), targets=targets)
    rule = AllOf(Brackets(8), Never(6, vocabulary=8))
    for limit_B in (None, torch.tensor([4, 9, 6, 1])):
        legal_BTV = teacher_forced(rule, batch, limit_B)
        assert legal_BTV.shape == (*batch.wanted_BT.shape, 8)
        for row, target in enumerate(targets):
            one = batch_of([[4]], targets=[target])
            state = rule.start(one)
            for t, token in enumerate([BOS, *target]):
                remaining = 10**6 if limit_B is None else int(limit_B[row]) - t
                state, legal = rule.step(state, torch.tensor([[token]]), torch.tensor([[remaining]]))
                assert legal[0, 0].equal(legal_BTV[row, t])
                assert bool(legal[0, 0, [*target, EOS][t]])


def test_a_rule_that_allows_nothing_gives_what_was_said_so_far() -> None:
    class Twice(Never):
        """Two tokens may be said; then neither another nor the end."""

        def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
            state, legal_BKV = super().step(state, token_BK, remaining_BK)
            return state, legal_BKV & (state["said"] <= 2)[..., None]

    model, batch = Markov(0, 8), batch_of(sources(10))
    for strategy in ("beam", "greedy", "sample"):
        cfg = short(9, strategy=strategy, beams=3, n_best=1 if strategy == "greedy" else 3)
        for way, row in zip(
            way_of(batch).tolist(), search(model, batch, cfg, rule=Twice(EOS, vocabulary=8)), strict=True
        ):
            assert [(len(one.tokens), one.finish) for one in row] == [(2, "rule")]
            assert row[0].score == pytest.approx(sum(model.of(way, row[0].tokens)) / 2, rel=1e-12)
        nothing = search(model, batch, cfg, rule=Never(*range(8), vocabulary=8))
        assert answers(nothing) == [[((), "rule")]] * 10


def test_a_forced_prefix_begins_every_output_and_counts() -> None:
    rows, draw = sources(30, seed=8), random.Random(0)
    forced = [[draw.randrange(4, 8) for _ in range(draw.randrange(5))] for _ in rows]
    for seed, strategy in itertools.product(range(3), ("beam", "greedy", "sample")):
        model, batch = Markov(seed, 8), batch_of(rows)
        cfg = short(7, strategy=strategy, beams=3, n_best=1 if strategy == "greedy" else 3, length_penalty=0.5)
        found = search(model, batch, cfg, prefix=forced)
        for way, prefix, row in zip(way_of(batch).tolist(), forced, found, strict=True):
            for one in row:
                said = [*one.tokens, EOS] if one.finish == "end" else list(one.tokens)
                assert said[: len(prefix)] == prefix
                assert one.total == pytest.approx(sum(model.of(way, said)), rel=1e-12)
        alone = [search(model, batch_of([row], [n]), cfg, prefix=[forced[n]])[0] for n, row in enumerate(rows)]
        assert alone == found


def test_forcing_an_answer_finds_it_again() -> None:
    model, batch = Markov(4, 9), batch_of(sources(20))
    found = search(model, batch, short(12))
    assert search(model, batch, short(12), prefix=[row[0].tokens for row in found]) == found


def test_impossible_prefixes_are_refused() -> None:
    model, batch = Markov(0), batch_of(sources(2))
    with pytest.raises(ValueError, match="1 prefixes for 2 sources"):
        search(model, batch, short(5), prefix=[[4]])
    with pytest.raises(ValueError, match="the prefix of source 1 holds 2"):
        search(model, batch, short(5), prefix=[[4], [4, EOS]])
    with pytest.raises(ValueError, match="the prefix of source 0 holds 3; only ids above 3 can be forced"):
        search(model, batch, short(5), prefix=[[UNK], [4]])
    with pytest.raises(ValueError, match="a prefix holds 7"):
        search(model, batch, short(5), prefix=[[4], [7]])


@pytest.mark.parametrize("strategy", ["beam", "greedy", "sample"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_n_gram_twice(size: int, strategy: str) -> None:
    batch, repeats = batch_of(sources(40)), 0
    cfg = short(14, strategy=strategy, beams=4, n_best=1 if strategy == "greedy" else 4)
    for seed in range(3):
        model = Markov(seed, 8, end=-3.0)

        def grams(one: Found) -> Counter[tuple[int, ...]]:
            return Counter(
                itertools.pairwise(one.tokens)
                if size == 2
                else zip(*(one.tokens[n:] for n in range(size)), strict=False)
            )

        for one in itertools.chain(*search(model, batch, replace(cfg, no_repeat=size), seed=seed)):
            assert max(grams(one).values(), default=1) == 1
        repeats += sum(max(grams(one).values(), default=1) > 1 for row in search(model, batch, cfg) for one in row)
    assert repeats > 50


def test_a_forced_prefix_may_repeat_itself() -> None:
    found = search(Markov(0, 8, end=-2.0), batch_of([[4, 5]]), short(9, no_repeat=1), prefix=[[5, 5, 5]])
    assert found[0][0].tokens[:3] == (5, 5, 5)
    assert 5 not in found[0][0].tokens[3:]


def test_banned_repeats_are_the_best_of_what_is_left() -> None:
    model, batch = Markov(1, end=-1.0), batch_of(sources(12))
    found = search(model, batch, short(4, beams=60, no_repeat=1))
    for way, (one,) in zip(way_of(batch).tolist(), found, strict=True):
        assert one.tokens == next(t for _, t in all_outputs(model, way, 4, 1.0) if len(set(t)) == len(t))
