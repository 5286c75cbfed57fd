"""Laws of the one search, on a model whose every probability can be looked up."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.codec.types import BOS, EOS, PAD, UNK
from core.decode.candidates import best_candidates, best_tokens
from core.decode.config import SearchConfig
from core.decode.search import search
from core.model.state import Memory, State
from core.testing.markov import CLOSE, Brackets, Markov, all_outputs, batch_of, short, sources, way_of

# B batch, K hypotheses, S source, T target, V vocabulary


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_beam_is_greedy_is_argmax(dtype: torch.dtype) -> None:
    rows = sources(60, seed=1)
    cfg = SearchConfig(strategy="greedy", length_ratio=1.5, length_extra=6)
    for seed in range(4):
        model, batch = Markov(seed, 9, dtype=dtype), batch_of(rows)
        found = search(model, batch, cfg)
        assert found == search(model, batch, replace(cfg, strategy="beam", beams=1))
        assert found == search(model, batch, replace(cfg, strategy="sample", beams=3, temperature=0.0))
        for row, way, (one,) in zip(rows, way_of(batch).tolist(), found, strict=True):
            tokens: list[int] = []
            while len(tokens) < int(1.5 * len(row)) + 6 and tokens[-1:] != [EOS]:
                a, b = ([PAD, BOS, *tokens])[-2:]
                tokens.append(int(model.logp[way, a, b].argmax()))
            ended = tokens[-1] == EOS
            assert one.tokens == tuple(tokens[:-1] if ended else tokens)
            assert one.finish == ("end" if ended else "length")


@pytest.mark.parametrize("penalty", [-1.0, 0.0, 0.6, 1.0, 2.5])
@pytest.mark.parametrize("limit", [1, 3, 5])
def test_a_wide_beam_is_exhaustive_search(penalty: float, limit: int) -> None:
    """Vocabulary 7: three words and the end, so 3 ** 4 = 81 hypotheses of four words at most."""
    batch = batch_of(sources(12, seed=2))
    for seed in range(3):
        model = Markov(seed, end=-1.0)
        found = search(model, batch, short(limit, beams=81, n_best=10, length_penalty=penalty))
        for way, row in zip(way_of(batch).tolist(), found, strict=True):
            best = all_outputs(model, way, limit, penalty)[:10]
            ended = [one for one in row if one.finish == "end"]
            assert [one.tokens for one in ended] == [tokens for _, tokens in best]
            assert [one.score for one in ended] == pytest.approx([score for score, _ in best], rel=1e-12)


def test_scores_are_those_of_the_model() -> None:
    """The reported log-probabilities, sum and score are what one gets by reading the output to the model."""
    batch = batch_of(sources(40, seed=3))
    for seed, strategy in itertools.product(range(3), ("beam", "greedy", "sample")):
        model = Markov(seed, 8, end=-1.0)
        cfg = short(9, strategy=strategy, beams=4, n_best=1 if strategy == "greedy" else 4, length_penalty=0.7)
        for way, row in zip(way_of(batch).tolist(), search(model, batch, cfg), strict=True):
            for one in row:
                said = [*one.tokens, EOS] if one.finish == "end" else list(one.tokens)
                assert list(one.logp) == pytest.approx(model.of(way, said), rel=1e-12)
                assert one.total == sum(one.logp)
                assert one.score == pytest.approx(one.total / len(said) ** 0.7, rel=1e-12)


def test_outputs_that_ended_come_first_and_the_rest_fills_up() -> None:
    found = search(Markov(5, end=-3.0), batch_of(sources(40)), short(3, beams=6, n_best=6))
    assert {one.finish for row in found for one in row} == {"end", "length"}
    for row in found:
        assert [one.finish for one in row] == sorted(one.finish for one in row)  # "end" before "length"
        for finish in ("end", "length"):
            scores = [one.score for one in row if one.finish == finish]
            assert scores == sorted(scores, reverse=True)
        assert all(len(one.tokens) == 3 for one in row if one.finish == "length")


def test_the_limit_is_each_source_s_own() -> None:
    found = search(
        Markov(0, end=-math.inf),
        batch_of([[4] * n for n in (1, 2, 5, 9)]),
        SearchConfig(length_ratio=1.5, length_extra=2),
    )
    assert [len(row[0].tokens) for row in found] == [3, 5, 9, 15]


SETTINGS = [
    SearchConfig(
        strategy="beam", beams=4, n_best=4, length_ratio=2.0, length_extra=3, length_penalty=penalty, no_repeat=repeat
    )
    for penalty, repeat in ((1.0, 0), (0.0, 2), (-0.5, 0), (2.0, 3))
] + [
    SearchConfig(strategy="greedy", length_ratio=2.0, length_extra=3),
    SearchConfig(
        strategy="sample", beams=3, n_best=3, length_ratio=2.0, length_extra=3, top_k=4, top_p=0.9, temperature=1.3
    ),
]


@pytest.mark.parametrize("cfg", SETTINGS, ids=lambda cfg: f"{cfg.strategy}-{cfg.length_penalty}-{cfg.no_repeat}")
def test_company_order_and_batch_size_change_nothing(cfg: SearchConfig) -> None:
    rows = sources(30, seed=4, longest=9)
    for seed in range(3):
        model, rule = Markov(seed, 8, end=-1.0), Brackets(8)
        expected = search(model, batch_of(rows), cfg, rule=rule, seed=7)
        order = random.Random(seed).sample(range(len(rows)), len(rows))
        shuffled = search(model, batch_of([rows[n] for n in order], order), cfg, rule=rule, seed=7)
        assert [expected[n] for n in order] == shuffled
        alone = [search(model, batch_of([row], [n]), cfg, rule=rule, seed=7)[0] for n, row in enumerate(rows)]
        assert alone == expected


@pytest.mark.parametrize("penalty", [-2.0, -0.3, 0.0, 0.5, 1.0, 3.0])
def test_stopping_early_changes_nothing(penalty: float) -> None:
    batch = batch_of(sources(60, seed=5))
    for seed, n_best in itertools.product(range(4), (1, 3)):
        model = Markov(seed, 7, spread=2.5, end=-1.0)
        cfg = SearchConfig(beams=4, n_best=n_best, length_ratio=2.0, length_extra=4, length_penalty=penalty)
        full = search(model, batch, cfg, early_stop=False)
        assert search(model, batch, cfg) == full
        assert search(model, batch, cfg, look_every=5) == full
        sampled = replace(cfg, strategy="sample")
        assert search(model, batch, sampled) == search(model, batch, sampled, early_stop=False)


def test_stopping_early_saves_steps() -> None:
    class Counting(Markov):
        steps = 0

        def step(self, token_BK: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
            self.steps += token_BK.shape[0]
            return super().step(token_BK, memory, state)

    model, batch = Counting(1, 7, spread=2.5), batch_of(sources(30))
    search(model, batch, short(40, beams=4))
    early, model.steps = model.steps, 0
    search(model, batch, short(40, beams=4), early_stop=False)
    assert early < 0.8 * model.steps


def test_n_best_is_a_prefix_of_a_larger_n_best() -> None:
    batch = batch_of(sources(40, seed=6))
    for seed, strategy in itertools.product(range(3), ("beam", "sample")):
        model = Markov(seed, 7, end=-1.5)
        cfg = short(6, strategy=strategy, beams=6, n_best=6, length_penalty=0.8)
        whole = search(model, batch, cfg)
        for n in range(1, 6):
            assert search(model, batch, replace(cfg, n_best=n)) == [row[:n] for row in whole]


def test_ties_have_an_order() -> None:
    """With all tokens equally likely: score, then the lower parent, then the lower token."""
    model = Markov(0, 40, spread=0.0)
    (row,) = search(model, batch_of([[4]]), short(2, beams=4, n_best=4, length_penalty=0.0))
    assert [one.tokens for one in row] == [(), (4,), (4, 4), (4, 5)]
    (row,) = search(model, batch_of([[4]]), short(2, beams=4, n_best=4, length_penalty=2.0))
    assert [one.tokens for one in row] == [(4,), (), (4, 4), (4, 5)]
    (row,) = search(model, batch_of([[4]]), short(2, beams=30, n_best=5, length_penalty=2.0))
    assert [one.tokens for one in row] == [(4,), (5,), (), (4, 4), (4, 5)]


def test_of_equal_tokens_the_lower_ids_are_taken() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        logp_BKV = -torch.randint(0, 6, (3, 2, 500), generator=generator).float()
        for count in (1, 2, 7, 100, 499, 500, 900):
            value, token = best_tokens(logp_BKV, count)
            expected = torch.tensor(
                [
                    [sorted(range(500), key=lambda v, row=row: (-row[v], v))[:count] for row in rows]
                    for rows in logp_BKV.tolist()
                ]
            )
            assert value.equal(logp_BKV.gather(-1, expected))
            assert token.sort(-1).values.equal(expected.sort(-1).values)


@pytest.mark.parametrize("words", [639, 640, 1000, 4096])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 15])
def test_of_many_words_the_likeliest_are_those_of_a_sort(words: int, count: int) -> None:
    """Where only some blocks of words are looked at, with a last block that is not full, and ties everywhere."""
    generator = torch.Generator().manual_seed(words + count)
    for levels in (3, 100_000):
        logp_BKV = -torch.randint(0, levels, (3, 2, words), generator=generator).float()
        logp_BKV[0, 0, :600] = -torch.inf
        value_BKV, token_BKV = logp_BKV.sort(dim=-1, descending=True, stable=True)
        value_BKM, token_BKM = best_tokens(logp_BKV, count)
        assert torch.equal(value_BKM, value_BKV[..., :count])
        assert torch.equal(logp_BKV.gather(-1, token_BKM), value_BKM)
        if levels == 3:  # many of the best are equal: of those, the lower ids
            assert torch.equal(token_BKM.sort(-1).values, token_BKV[..., :count].sort(-1).values)


def test_candidates_are_ordered_by_score_then_parent_then_token() -> None:
    """One source at a time: an edge between equals in any row has all rows sorted, which would hide the other way."""
    generator = torch.Generator().manual_seed(1)
    for _, levels, K in itertools.product(range(12), (3, 40, 1000), (2, 5)):
        logp_BKV = -torch.randint(0, levels, (1, K, 200), generator=generator).double()
        sum_BK = -torch.randint(0, 3, (1, K), generator=generator).double()
        choice = best_candidates(logp_BKV, sum_BK)
        every = (((sum_BK[0, k] + logp_BKV[0, k, v]).item(), k, v) for k in range(K) for v in range(200))
        best = sorted(every, key=lambda one: (-one[0], *one[1:]))[: 2 * K]
        found = zip(choice.total_BC[0].tolist(), choice.parent_BC[0].tolist(), choice.token_BC[0].tolist(), strict=True)
        assert list(found) == best


class Spoilt(Markov):
    """Some rows are all -inf, some no numbers, some above one, some tied."""

    def __init__(self, seed: int, vocabulary: int) -> None:
        super().__init__(seed, vocabulary, dtype=torch.float32)
        flat = self.logp.view(-1, vocabulary)
        kind = torch.randint(0, 12, (len(flat),), generator=torch.Generator().manual_seed(seed))
        flat[kind == 0] = -math.inf
        flat[kind == 1] = math.nan
        flat[kind == 2] = 0.0
        flat[kind == 3, 0] = math.nan
        flat[kind == 4, -1] = math.inf


def settings(n: int) -> Iterator[tuple[int, SearchConfig]]:
    draw = random.Random(0)
    for seed in range(n):
        strategy = draw.choice(("beam", "greedy", "sample", "stochastic"))
        beams = draw.choice((1, 2, 3, 9, 33))
        groups = draw.choice([n for n in (1, 1, 3, beams) if beams % n == 0]) if strategy == "beam" else 1
        yield (
            seed,
            SearchConfig(
                strategy=strategy,
                beams=beams,
                n_best=1 if strategy == "greedy" else draw.randint(1, beams),
                groups=groups,
                group_penalty=draw.choice((0.0, 0.5, 1e9)),
                ended=draw.choice(("any", "any", "front")),
                length_penalty=draw.choice((0.0, 1.0, -1.0, 0.3, 50.0, -50.0, 1e9)),
                length_ratio=draw.choice((0.0, 1.0, 2.5)),
                length_extra=draw.choice((1, 2, 12)),
                no_repeat=draw.choice((0, 0, 1, 2, 30)),
                temperature=draw.choice((0.0, 1e-40, 0.5, 1.0, 1e40)),
                top_k=draw.choice((0, 1, 3, 1000)),
                top_p=draw.choice((0.0, 0.3, 1.0)),
                min_p=draw.choice((0.0, 0.4, 1.0)),
                typical_p=draw.choice((0.0, 0.4, 1.0)),
                length_form=draw.choice(("power", "gnmt")),
                shortest_ratio=draw.choice((0.0, 0.0, 1.0, 1e12)),
                shortest_extra=draw.choice((0, 0, 2)),
            ),
        )


def test_no_setting_crashes() -> None:
    for seed, cfg in settings(500):
        vocabulary = (2, 3, 4, 5, 7, 20)[seed % 6]
        rows = [[], *sources(seed % 5, seed)]
        prefix = [[4] * (seed % 3)] * len(rows) if vocabulary > 4 and seed % 7 == 0 else None
        found = search(
            Spoilt(seed, vocabulary),
            batch_of(rows),
            cfg,
            rule=Brackets(vocabulary) if vocabulary > CLOSE and seed % 4 == 0 else None,
            prefix=prefix,
            seed=-seed,
            look_every=1 + seed % 9,
        )
        assert len(found) == len(rows)
        for row in found:
            assert 1 <= len(row) <= cfg.n_best
            keys = [(("end", "length", "rule").index(one.finish), -one.score) for one in row]
            assert keys == sorted(keys) or cfg.ended == "front"
            assert all(math.isfinite(one.score) and all(map(math.isfinite, one.logp)) for one in row)
            assert not {PAD, BOS, EOS, UNK} & {token for one in row for token in one.tokens}


def test_nothing_to_do() -> None:
    batch = batch_of([[4]])
    assert (
        search(
            Markov(0),
            replace(batch, source=batch.source[:0], layout=batch.layout.rows(torch.tensor([], dtype=torch.int64))),
            short(3),
        )
        == []
    )
