"""Metrics agree with their definitions, and resampling tells differences from chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.edit import edit_share, levenshtein, plain_levenshtein
from core.metrics.exact import ExactMatch
from core.metrics.resampling import bootstrap_interval, paired_bootstrap, paired_randomisation
from core.metrics.sacre import SacreMetric, bleu, chrf, ter
from core.record import Hypothesis, Prediction, Record


def answered(target: str, *outputs: str, references: tuple[str, ...] = ()) -> Prediction:
    record = Record("k", "s", target, {"references": references} if references else {})
    return Prediction(record, tuple(Hypothesis(output, -float(at)) for at, output in enumerate(outputs)))


def value(metric: ExactMatch, *predictions: Prediction) -> float:
    return metric.score(metric.statistics(predictions))


def test_exact_match_counts_hits_among_the_first_k() -> None:
    predictions = (answered("a", "a", "b"), answered("b", "a", "b"), answered("c", "a", "b"), answered("d"))
    assert value(ExactMatch(1), *predictions) == 25
    assert value(ExactMatch(2), *predictions) == 50


def test_repeated_answers_take_one_place() -> None:
    assert value(ExactMatch(2), answered("b", "a", "a", "b")) == 100


def test_canonical_forms_decide_and_invalid_answers_keep_their_place() -> None:
    canonical = {"CO": "CO", "OC": "CO", "N": "N", "X": None}.get
    same = ExactMatch(1, canonical=canonical, canonical_name="table")
    assert value(same, answered("CO", "OC")) == 100
    assert value(same, answered("CO", "X", "OC")) == 0
    assert value(ExactMatch(2, canonical=canonical, canonical_name="table"), answered("CO", "X", "OC")) == 100
    assert value(same, answered("X", "X")) == 0
    assert "canonical:table" in same.signature


def test_any_reference_will_do() -> None:
    assert value(ExactMatch(1), answered("a", "z", references=("y", "z"))) == 100


def test_no_records_have_no_score() -> None:
    for metric in (ExactMatch(1), bleu(), chrf(), ter()):
        assert np.isnan(metric.score(metric.statistics([])))


OUTPUTS = ["the cat sat on the mat", "a dog , quickly", "", "wholly other words stand here", "one two three four five"]
TARGETS = ["the cat sat on a mat", "a dog ran quickly", "nothing", "there is no match", "one two three four five six"]
OTHERS = ["a cat sat on the mat", "", "", "", "five four three two one"]


@pytest.mark.parametrize(("metric", "library"), [(bleu(), "BLEU"), (chrf(), "CHRF"), (ter(), "TER")])
@pytest.mark.parametrize("several", [False, True])
def test_scores_are_sacrebleus_corpus_scores(metric: SacreMetric, library: str, several: bool) -> None:
    from sacrebleu import metrics

    others = [(other,) if other and several else () for other in OTHERS]
    predictions = [answered(t, o, references=r) for t, o, r in zip(TARGETS, OUTPUTS, others, strict=True)]
    streams = [TARGETS, [other or None for other in OTHERS]] if several else [TARGETS]
    rows = metric.statistics(predictions)
    assert rows.shape == (5, metric.width)
    assert metric.score(rows) == getattr(metrics, library)().corpus_score(OUTPUTS, streams).score
    part = metric.statistics(predictions[:2] + predictions[:1])
    assert metric.score(part) == metric.score(rows[[0, 1, 0]])


def test_signatures_name_what_changes_the_number() -> None:
    assert "tok:13a" in bleu().signature
    assert "tok:zh" in bleu("zh").signature
    assert "case:lc" in bleu(lowercase=True).signature
    one = bleu()
    before = one.signature
    one.statistics([answered("a b", "a b")])
    assert one.signature == before


@given(left=st.text("abc", max_size=8), right=st.text("abc", max_size=8))
def test_both_levenshteins_agree(left: str, right: str) -> None:
    assert plain_levenshtein(left, right) == levenshtein(left, right) == levenshtein(list(left), list(right))


def test_edit_distance_by_hand() -> None:
    assert levenshtein("kitten", "sitting") == plain_levenshtein("kitten", "sitting") == 3
    assert edit_share("kitten", "sitting") == pytest.approx(3 / 7)
    assert edit_share("", "") == 0


RANDOM = np.random.default_rng(5)
METRIC = ExactMatch(1)


def test_an_interval_holds_the_score_and_narrows_with_more_records() -> None:
    few, many = (np.tile([[0.0], [1.0]], (count, 1)) for count in (20, 500))
    low, high = bootstrap_interval(METRIC, few)
    assert low < 50 < high
    narrow = bootstrap_interval(METRIC, many)
    assert narrow[1] - narrow[0] < (high - low) / 3
    assert bootstrap_interval(METRIC, few) == (low, high)


def test_records_of_one_group_are_less_evidence() -> None:
    rows = np.repeat([[0.0], [1.0]] * 5, 50, axis=0)
    alone = bootstrap_interval(METRIC, rows)
    together = bootstrap_interval(METRIC, rows, groups=[row // 50 for row in range(len(rows))])
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])


@pytest.mark.parametrize("test", [paired_bootstrap, paired_randomisation])
def test_paired_tests_tell_a_difference_from_none(test: object) -> None:
    assert callable(test)
    same = RANDOM.integers(2, size=(200, 1)).astype(float)
    better = np.maximum(same, RANDOM.integers(2, size=(200, 1)))
    assert test(METRIC, better, same) < 0.01
    assert test(METRIC, same, same) == 1.0
    shuffled = RANDOM.permutation(same)
    assert test(METRIC, same, shuffled) > 0.05
    first_only = (np.arange(200) < 50).astype(float)[:, None]
    assert test(METRIC, first_only, np.zeros((200, 1))) < 0.01
    assert test(METRIC, first_only, np.zeros((200, 1)), groups=[row // 50 for row in range(200)]) > 0.1
