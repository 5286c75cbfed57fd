"""What a report says of beams, corrupted prefixes and a temperature, against figures that can be worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.codec.types import EOS
from core.config_toml import load
from core.data.batch import collate
from core.metrics.exact import ExactMatch
from core.model.build import build
from core.model.config import TransformerConfig
from core.record import Finish, Hypothesis, Prediction, Record
from core.report.beliefs import Belief, belief_sections, exposure_rows
from core.report.calibration import fit_temperature
from core.report.exposure import SHARES, Exposure, exposure, replaced
from core.report.forced import distribution, encoded, target_ids
from core.run.answering import Answerer
from core.run.beams import Beam, beam_row, most_probable, repeats
from core.run.folder import RunFolder
from core.run.measuring import calibrated, judgings
from core.run.stored import StoredRun
from core.settings import run_config
from core.testing.tiny import small, stir, tiny_codecs
from core.testing.toys import TOY


def overlap(output: str, reference: str) -> float:
    """Letters in common."""
    return float((Counter(output) & Counter(reference)).total())


TASK = replace(TOY, utility=overlap)
CODECS = tiny_codecs("abcdef ")
METRIC = ExactMatch(1)


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    """A model of stirred weights whose head is its own."""
    words = ("search.length_ratio=1.0", "search.length_extra=9", "search.length_penalty=1.0")
    config = load(run_config(TOY.config), None, words).config
    model = build(replace(small(TransformerConfig(tie="none")), dropout=0.0), CODECS, seed=3).double().eval()
    stir(model)
    with torch.no_grad():
        model.head.bias[EOS] += 1.0  # so that most outputs end by themselves
    return StoredRun(TASK, RunFolder(tmp_path), config, CODECS, model, None, 0)


def said(output: str, *probabilities: float, finish: Finish = "end") -> Hypothesis:
    """With the token of each letter, and the score of a length penalty of 1."""
    logp = tuple(map(math.log, probabilities))
    return Hypothesis(output, sum(logp) / len(logp), tuple(CODECS.target.encode(output)), logp, finish)


def asked(target: str, source: str, *found: Hypothesis) -> Prediction:
    """One record."""
    return Prediction(Record(source, source, target), found)


def test_a_row_is_what_the_beam_found(run: StoredRun) -> None:
    likely, right = said("ab", 0.5, 0.5, 0.8), said("ad", 0.4, 0.4, 0.9)
    short = said("a", 0.5, 0.5)
    looped = said("abcabc", *(0.9,) * 6, finish="length")
    answers = [asked("ad", "a b", likely, right, short), asked("abcabcd", "q", looped), asked("c", "c", said("", 0.3))]
    beam = Beam(4, 1.5, answers)
    row = beam_row(run, beam, METRIC, wide=[likely.score + 0.1, looped.score, -9.0], reference=[0.0, -9.0, -9.0])
    best = (likely, looped, said("", 0.3))
    assert (row.beams, row.seconds, row.metric) == (4, 1.5, 0.0)
    assert row.score == pytest.approx(np.mean([one.score for one in best]))
    assert row.logp == pytest.approx(np.mean([one.total for one in best]))
    assert row.length == pytest.approx((3 / 3 + 7 / 8 + 1 / 2) / 3), "ends included"
    assert row.probable == pytest.approx((2 / 3 + 7 / 8 + 1 / 2) / 3), "a beats ab: 0.25 to 0.2"
    assert (row.empty, row.cut, row.repeats) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert row.copied == pytest.approx(0 / 2), "ab is no word of 'a b', abcabc none of 'q'"
    assert (row.worse, row.below) == pytest.approx((1 / 3, 1 / 3))
    assert row.distinct == 1.0
    pairs = (1 - 2 / 4, 1 - 2 / 3, 1 - 2 / 3)  # ab and ad, ab and a, ad and a: one token in common
    assert row.apart == pytest.approx(sum(pairs) / 3 / 3), "one answer is no distance"
    assert row.mode == 0.0
    assert row.oracle == pytest.approx(100 / 3), "ad was found"
    weight = {"ab": 0.2, "ad": 0.144, "a": 0.25}
    gain = {one: sum(share * overlap(one, other) for other, share in weight.items()) for one in weight}
    assert max(gain, key=lambda one: gain[one]) == "ab"
    assert row.utility == 0.0


def test_the_curse_of_beams_shows(run: StoredRun) -> None:
    narrow = [asked("abc", "x", said("abc", 0.6, 0.6, 0.6, 0.6))]
    wide = [asked("abc", "x", said("", 0.4), said("abc", 0.6, 0.6, 0.6, 0.6))]
    best = [wide[0].hypotheses[0].score]
    first, last = (
        beam_row(run, Beam(width, 0.1, found), METRIC, best, None) for width, found in ((1, narrow), (32, wide))
    )
    assert last.logp > first.logp, "a wider beam finds what is more probable"
    assert (first.metric, last.metric) == (100.0, 0.0), "and worse"
    assert (first.empty, last.empty) == (0.0, 1.0)
    assert (first.length, last.length) == (1.0, 0.25)
    assert (first.worse, first.below) == (0.0, None), "its score is the higher one, by its length"
    assert last.oracle == 100.0
    assert last.mode == 0.0


def test_the_most_probable_has_ended_where_any_has() -> None:
    cut, ended = said("abc", 0.9, 0.9, 0.9, finish="length"), said("a", 0.3, 0.3)
    assert most_probable([cut, ended]) is ended
    assert most_probable([cut]) is cut
    assert most_probable([]).output == ""


@pytest.mark.parametrize(
    ("tokens", "found"),
    [((1, 2, 3, 1, 2, 3), True), ((9, 1, 2, 3, 1, 2, 3, 9), True), ((1, 2, 3, 9, 1, 2, 3), False), ((5, 5, 5), False)],
)
def test_repeats_stand_right_behind_each_other(tokens: tuple[int, ...], *, found: bool) -> None:
    assert repeats(tokens) is found


def likeliest(run: StoredRun, records: Sequence[Record], given: Sequence[Sequence[int]]) -> list[str]:
    """What each says step by step after these prefixes, one record and one step at a time."""
    outputs: list[str] = []
    for record, ids in zip(records, given, strict=True):
        source, tokens = encoded(record, CODECS, longest=99, copy=False), list[int]()
        for t in range(len(ids) + 1):
            with torch.no_grad():
                logp_BTV = distribution(run.model, collate([source], [list(ids[:t])], [0]))
            tokens.append(int(logp_BTV[0, t].argmax()))
        outputs.append(CODECS.target.decode(tokens[: tokens.index(EOS)] if EOS in tokens else tokens))
    return outputs


def test_metric_and_accuracy_against_the_share_of_the_prefix_that_is_replaced(run: StoredRun) -> None:
    search = replace(run.config.search, strategy="greedy", beams=1)
    greedy = Answerer(run.task, replace(run.config, search=search), CODECS, run.model, None)
    records = [Record(one, one, one[::-1]) for one in ("f", "ab", "cab", "dcba", "ee")]
    records[:2] = [replace(one.record, target=one.output) for one in greedy(records[:2], lambda done: None)]
    gold = [target_ids(one, CODECS, encoded(one, CODECS, longest=99, copy=False), copy=False) for one in records]
    answers = [Prediction(one, (said(str(one.target), *(0.5,) * (len(str(one.target)) + 1)),)) for one in records]
    found = exposure(run.model, CODECS, answers, longest=99, metric=METRIC, seed=4)
    assert found.shares == SHARES
    assert found.metric[0] >= 20.0, "after a right prefix the likeliest tokens of the first are its target"
    for share, accuracy, value in zip(SHARES, found.accuracy, found.metric, strict=True):
        read = replaced(gold, share, size=CODECS.target.size, seed=4)
        outputs = likeliest(run, records, read)
        pairs = zip(records, outputs, strict=True)
        said_so = [Prediction(one, (Hypothesis(text, 0.0),)) for one, text in pairs]
        assert value == pytest.approx(METRIC.score(METRIC.statistics(said_so)))
        right = [
            token == wanted
            for one, ids, wants in zip(records, read, gold, strict=True)
            for token, wanted in zip(steps(run, one, ids), [*wants, EOS], strict=True)
        ]
        assert accuracy == pytest.approx(np.mean(right))


def steps(run: StoredRun, record: Record, ids: Sequence[int]) -> list[int]:
    """The likeliest token after each prefix."""
    source = encoded(record, CODECS, longest=99, copy=False)
    with torch.no_grad():
        return distribution(run.model, collate([source], [list(ids)], [0]))[0].argmax(-1).tolist()


@pytest.mark.parametrize("measured", [False, True])
def test_runs_whose_tokens_make_no_answer_are_compared_too(*, measured: bool) -> None:
    flat = tuple(0.5 for _ in SHARES)
    one = Exposure((0, 1), (0.9, 0.8), (0.9, 0.6), (2, 2), SHARES, flat, "sp", flat if measured else ())
    other = replace(one, metric=(), metric_name="")
    beliefs = [Belief(name, "true words", 0.0, own, "", None, "too few") for name, own in (("a", one), ("b", other))]
    head, rows = exposure_rows(beliefs)
    assert {len(row) for row in rows} == {len(head)}
    assert ("sp of steps" in head) == measured
    assert rows[1][head.index("right next") :] == ["0.500"] * 4 + ["–"] * (4 if measured else 0)
    names = [chart.name for chart in belief_sections(beliefs, 2)[0].charts]
    assert names == ["exposure-lost", "exposure-corrupted", *(["exposure-metric"] if measured else [])]


def test_a_model_that_is_too_sure_is_put_right_by_its_temperature(run: StoredRun) -> None:
    search = replace(run.config.search, strategy="sample", beams=1)
    draw = Answerer(run.task, replace(run.config, search=search), CODECS, run.model, None)
    sources = [Record(f"{n}", text) for n, text in enumerate(("ab", "cab", "f", "dcba", "ee", "bd") * 20)]
    drawn = [one for one in draw(sources, lambda done: None) if one.hypotheses[0].finish == "end"]
    records = [replace(one.record, target=one.output) for one in drawn]
    assert len(records) > 60
    with torch.no_grad():  # more than the temperatures that are tried first: the same order, far too sure
        run.model.head.matrix.mul_(6)
        run.model.head.bias.mul_(6)
    assert fit_temperature(run.model, CODECS, records, longest=99) == pytest.approx(6.0, rel=0.25)
    predictions, told = [replace(one, record=own) for one, own in zip(drawn, records, strict=True)], list[int]()
    found, why = calibrated(run, predictions, "dev", progress=told.append)
    assert why == ""
    assert found is not None
    assert (found.outputs, found.outputs_missing) == (None, "not all answers have tokens of one search")
    assert sum(told) == judgings(len(predictions), "dev"), "a bar comes to its end"
    assert found.temperature == pytest.approx(6.0, rel=0.25)
    before, after = found.tokens
    assert before.error > 2 * after.error
    assert sum(before.counts) == sum(after.counts)


def test_the_metric_of_the_surest_is_measured_beside_their_risk(run: StoredRun) -> None:
    found = [("abc", "abc"), ("fa", "fa"), ("d", "f"), ("cab", "abc"), ("bb", "bb"), ("e", "e")] * 4
    predictions = [
        Prediction(Record(f"{n}", "abcdef"[n % 6 :] or "a", target), (said(output, *(0.5,) * (len(output) + 1)),))
        for n, (output, target) in enumerate(found)
    ]
    told: list[int] = []
    measured, why = calibrated(run, predictions, "dev", METRIC, told.append)
    assert why == ""
    assert measured is not None
    assert sum(told) == judgings(len(predictions), "dev")
    assert (measured.fitted, measured.measured, measured.metric_name) == (12, 12, "exact@1")
    judged = predictions[1::2]
    assert sum(one.output == one.record.target for one in judged) == 8
    assert measured.outputs is not None
    assert [sum(one.counts) for one in measured.outputs] == [12, 12]
    assert len(measured.kept) == len(measured.coverage) == 2
    for (_, share, value), (_, same, risk) in zip(measured.kept, measured.coverage, strict=True):
        assert share == same
        assert share[-1] == 1.0
        assert [100 * (1 - one) for one in risk] == pytest.approx(value), "of right and wrong, one is the other"
        assert value[-1] == pytest.approx(METRIC.score(METRIC.statistics(judged)))
