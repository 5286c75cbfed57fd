"""Groups of beams that avoid each other, against the same search written plainly."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from core.codec.types import BOS, EOS, PAD, UNK
from core.decode.config import SearchConfig
from core.decode.search import search
from core.testing.markov import Brackets, Markov, balanced, batch_of, short, sources, way_of

LIMIT = 6


def plainly(model: Markov, way: int, cfg: SearchConfig) -> set[tuple[int, ...]]:
    """What ends, of each group's beam search in turn; nobody stops early, and each group keeps all that it finds."""
    K, V = cfg.beams // cfg.groups, model.logp.shape[-1]
    groups: list[list[tuple[float, tuple[int, ...]]]] = [[(0.0, ())] for _ in range(cfg.groups)]
    ended: list[tuple[float, tuple[int, ...]]] = []
    for _ in range(LIMIT):
        said = [0] * V
        for g, live in enumerate(groups):
            options: list[tuple[float, float, int, tuple[int, ...], int]] = []
            for place, (total, tokens) in enumerate(live):
                a, b = [PAD, BOS, *tokens][-2:]
                for token in (EOS, *range(UNK + 1, V)):
                    logp = model.logp[way, a, b, token].item()
                    if logp > float("-inf"):
                        options.append(
                            (total + logp - cfg.group_penalty * said[token], total + logp, place, tokens, token)
                        )
            options.sort(key=lambda one: (-one[0], one[2], one[4]))
            options = options[: 2 * K if K > 1 else 1]
            ended += [(total / (len(tokens) + 1), tokens) for _, total, _, tokens, token in options if token == EOS]
            going = [one for one in options if one[4] != EOS][:K]
            groups[g] = [(total, (*tokens, token)) for _, total, _, tokens, token in going]
            for *_, token in going:
                said[token] += 1
    best = sorted(ended, key=lambda one: -one[0])[: cfg.beams]
    return {tokens for _, tokens in best}


@pytest.mark.parametrize(("beams", "groups"), [(6, 2), (6, 3), (4, 4)])
def test_it_is_what_its_paper_says(beams: int, groups: int) -> None:
    batch = batch_of(sources(15, seed=2))
    for seed in range(3):
        model = Markov(seed, 8, end=-0.5)
        cfg = short(LIMIT, beams=beams, n_best=beams, groups=groups, group_penalty=0.8)
        for way, some in zip(way_of(batch).tolist(), search(model, batch, cfg), strict=True):
            assert {one.tokens for one in some if one.finish == "end"} == plainly(model, way, cfg)
            assert len({(one.tokens, one.finish) for one in some}) == len(some)


def test_one_group_is_a_beam_and_groups_without_penalty_are_alike() -> None:
    batch = batch_of(sources(15, seed=2))
    cfg = short(LIMIT, beams=6, n_best=6)
    assert search(Markov(0, 8), batch, replace(cfg, groups=1, group_penalty=9.0)) == search(Markov(0, 8), batch, cfg)
    for some in search(Markov(0, 8), batch, replace(cfg, groups=3, group_penalty=0.0)):
        assert len(some) <= 6
        narrow = [one.tokens for one in some if one.finish == "end"]
        assert len(set(narrow)) == len(narrow)


def test_a_penalty_makes_answers_differ() -> None:
    batch = batch_of(sources(40, seed=2))
    model, cfg = Markov(1, 12, spread=2.5, end=-1.0), short(LIMIT, beams=6, n_best=6)

    def different(found: SearchConfig) -> int:
        return sum(len({one.tokens[:2] for one in some}) for some in search(model, batch, found))

    assert different(replace(cfg, groups=6, group_penalty=3.0)) > different(cfg)


def test_company_stopping_early_and_rules() -> None:
    rows = sources(20, seed=3)
    model = Markov(2, 8, end=-1.0)
    cfg = short(9, beams=6, n_best=4, groups=2)
    together = search(model, batch_of(rows), cfg, rule=Brackets(8))
    order = random.Random(1).sample(range(20), 20)
    shuffled = search(model, batch_of([rows[n] for n in order], order), cfg, rule=Brackets(8))
    assert [together[n] for n in order] == shuffled
    assert search(model, batch_of(rows), cfg, rule=Brackets(8), early_stop=False) == together
    assert all(balanced(one.tokens) for some in together for one in some)
    assert search(model, batch_of(rows), replace(cfg, n_best=2), rule=Brackets(8)) == [some[:2] for some in together]
