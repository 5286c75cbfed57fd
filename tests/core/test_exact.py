"""The most probable output of all, against a list of all outputs."""

from __future__ import annotations

import math
from itertools import product

import pytest

from core.decode.exact import mode
from core.decode.search import search
from core.testing.markov import Brackets, Markov, all_outputs, batch_of, short, sources, way_of
from core.testing.search_laws import forced
from core.testing.tiny import batch_of as pairs_of
from core.testing.tiny import model_case, tiny_codecs, tiny_models, tiny_pairs

LIMIT = 5


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_best_of_all_outputs(seed: int) -> None:
    model = Markov(seed, 8, end=-1.0)
    for row in sources(6, seed=seed):
        batch = batch_of([row])
        best, *_ = all_outputs(model, int(way_of(batch)[0]), LIMIT, 0.0)
        found = mode(model, batch, short(LIMIT), known=((), -math.inf), most=100_000)
        assert found is not None
        assert found.tokens == best[1]
        assert found.logp == pytest.approx(best[0])
        answer = search(model, batch, short(LIMIT, beams=4, length_penalty=0.0))[0][0]
        assert answer.finish == "end"
        bounded = mode(model, batch, short(LIMIT), known=(answer.tokens, answer.total), most=100_000)
        assert bounded is not None
        assert (bounded.tokens, bounded.logp) == (found.tokens, pytest.approx(found.logp))
        assert bounded.read <= found.read, "a better bound leaves less to read"


def test_what_a_greedy_search_misses_is_found() -> None:
    missed = 0
    for seed in range(12):
        model, batch = Markov(seed, 7, end=-1.0), batch_of([[4, 5]])
        (greedy,) = search(model, batch, short(LIMIT, strategy="greedy", length_penalty=0.0))[0]
        found = mode(model, batch, short(LIMIT), known=((), -math.inf), most=100_000)
        assert found is not None
        if greedy.finish == "end":
            assert found.logp >= greedy.total - 1e-9
            missed += found.logp > greedy.total + 1e-6
    assert missed > 0, "these models are not so simple"


def test_a_rule_is_followed_and_too_much_to_read_is_said() -> None:
    model, batch, rule = Markov(1, 8, end=-1.0), batch_of([[4, 9, 11]]), Brackets(8)
    wide = search(model, batch, short(LIMIT, beams=3000, n_best=3000, length_penalty=0.0), rule=rule)[0]
    best = max((one for one in wide if one.finish == "end"), key=lambda one: one.total)
    found = mode(model, batch, short(LIMIT), known=((), -math.inf), rule=rule, most=100_000)
    assert found is not None
    assert (found.tokens, found.logp) == (best.tokens, pytest.approx(best.total))
    assert mode(model, batch, short(LIMIT), known=((), -math.inf), rule=rule, most=2) is None
    with pytest.raises(ValueError, match="one at a time"):
        mode(model, batch_of([[4], [5]]), short(LIMIT), known=((), -math.inf))


@pytest.mark.parametrize("name", ["transformer-rms-rotary-swiglu", "rnn-lstm-2"])
def test_states_of_real_decoders_follow_any_number_of_prefixes(name: str) -> None:
    codecs = tiny_codecs("abc")
    case = model_case(name, tiny_models()[name], codecs, tiny_pairs(codecs, letters="abc"))
    model, outputs = case.make(), [one for n in range(LIMIT) for one in product((4, 5, 6), repeat=n)]
    for row, pair in enumerate(case.pairs[:3]):
        totals = forced(model, pairs_of(case.pairs), row, outputs, None, LIMIT)
        best = max(range(len(outputs)), key=lambda n: totals[n])
        found = mode(model, pairs_of([pair]), short(LIMIT), known=((), -math.inf), most=100_000)
        assert found is not None
        assert (found.tokens, found.logp) == (outputs[best], pytest.approx(totals[best]))
