"""The arithmetic of a report against cases that can be worked out by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from core.cli import dispatch
from core.metrics.resampling import paired_bootstrap, paired_randomisation
from core.record import Hypothesis, Prediction, Record
from core.report.attended import attention_section
from core.report.attention import END, Attention, entropy_by_step
from core.report.calibration import by_coverage, fit_temperature, reliability, risk_coverage
from core.report.charts import Chart, HeatMap, Series
from core.report.diagnoses import exposure_section
from core.report.exposure import READINGS, exposure, replaced, spells_itself
from core.report.forced import forced
from core.report.search import BeamRow, Modes, search_section
from core.report.svg import svg
from core.run.answering import Answerer
from core.run.folder import RunFolder
from core.run.lengths import length_bin
from core.run.measuring import exposed
from core.run.modes import modes
from core.run.prepared import read_split
from core.run.stored import StoredRun, load_run
from core.testing.toys import TOY
from tasks import TASKS

# L layers, H heads, T target (with its end), S source

CONFIG = """
[task]
longest = 4
train = 40
held_out = 22
[model]
kind = "transformer"
width = 16
heads = 2
inner = 16
encoder_layers = 1
decoder_layers = 1
[train]
steps = 6
evaluate_every = 6
warmup = 2
report = false
[search]
length_ratio = 1.0
length_extra = 2
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """A hardly trained model."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.toml").write_text(CONFIG)
    assert dispatch("train", lambda: TOY, "toy", [str(folder / "toy.toml"), "--run", str(folder / "run")]) == 0
    return load_run(TOY, RunFolder(folder / "run"))


def test_expected_calibration_error_by_hand() -> None:
    confidence, right = np.array([0.95, 0.85, 0.82, 0.25, 1.0, 0.0]), np.array([1.0, 1, 0, 0, 1, 0])
    found = reliability(confidence, right)
    assert found.counts == (1, 1, 2, 2), "0.95 and 1.0 share the last of ten bins, 0.85 and 0.82 the one before"
    assert found.confidence == pytest.approx((0.0, 0.25, 0.835, 0.975))
    assert found.accuracy == (0.0, 0.0, 0.5, 1.0)
    assert found.error == pytest.approx((0.0 + 0.25 + 2 * 0.335 + 2 * 0.025) / 6)
    assert reliability(np.array([]), np.array([])).error == 0.0


def test_risk_and_metric_of_the_surest() -> None:
    sure, wrong = np.array([0.2, 0.9, 0.5, 0.7]), np.array([1.0, 0.0, 1.0, 0.0])
    share, risk = risk_coverage(sure, wrong)
    assert share == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0.0, 0.0, 1 / 3, 0.5])
    _, rows = by_coverage(sure, lambda rows: float("".join(map(str, rows.tolist()))), points=2)
    assert rows == [13.0, 1320.0], "the surest first"
    assert by_coverage(np.array([0.5, 0.5]), lambda rows: float(rows[0]))[1] == [0.0, 0.0], "equals as they came"


def test_the_temperature_is_the_one_that_makes_the_targets_likeliest(run: StoredRun) -> None:
    search = replace(run.config.search, strategy="sample", beams=1)
    answer = Answerer(run.task, replace(run.config, search=search), run.codecs, run.model, run.rule)
    sources = [Record(str(n), text) for n, text in enumerate(("ab", "cab", "bca", "hc", "d", "efgh") * 5)]
    drawn = [one for one in answer(sources, lambda done: None) if one.hypotheses[0].finish == "end"]
    records = [replace(one.record, target=one.output) for one in drawn]
    best = fit_temperature(run.model, run.codecs, records, longest=9)
    assert 0.5 < best < 2.0, "what the model says by chance needs no temperature"

    def loss(temperature: float) -> float:
        return -sum(one.total for one in forced(run.model, run.codecs, records, longest=9, temperature=temperature))

    assert loss(best) <= min(loss(best * 1.02), loss(best / 1.02))
    sharp = forced(run.model, run.codecs, records, longest=9, temperature=1e-3)
    assert all(one.best == pytest.approx(0.0, abs=1e-3) for one in sharp), "near 0 all is sure"


def looked(weights_LHTS: np.ndarray, **more: Any) -> Attention:
    """Tokens are numbered."""
    T, S = weights_LHTS.shape[2:]
    names = tuple(map(str, range(S))), (*map(str, range(T - 1)), END)
    return Attention("x", weights_LHTS, *names, **more)


def test_entropy_is_log_s_where_it_looks_everywhere_alike() -> None:
    everywhere, one_place, two = np.full((1, 4), 0.25), np.eye(4)[:1], np.array([[0.5, 0.5, 0, 0]])
    weights_LHTS = np.stack([np.concatenate([everywhere, one_place, two])])[None]
    found = looked(weights_LHTS)
    np.testing.assert_allclose(found.entropy_LHT, [[[math.log(4), 0.0, math.log(2)]]], atol=1e-9)
    short = looked(np.full((1, 1, 2, 2), 0.5))
    steps = entropy_by_step([found, short, found])
    assert steps.steps == (0, 1, 2)
    assert steps.uniform == pytest.approx(((2 * math.log(4) + math.log(2)) / 3,) * 2 + (math.log(4),))
    assert steps.heads["layer 1, head 1"] == pytest.approx(
        ((2 * math.log(4) + math.log(2)) / 3, math.log(2) / 3, math.log(2))
    )


def test_maps_of_a_size_that_tells_something_stand_first() -> None:
    sizes = (2, 70, 18, 4, 30)
    found = [replace(looked(np.full((1, 1, 3, size), 1 / size)), key=f"of {size}") for size in sizes]
    section = attention_section(found)
    assert [one.title for one in section.charts[:1]] == ["of 18"]
    shown = "".join(section.parts)
    assert [shown.count(f">of {size}<") > 0 for size in sizes] == [False, False, True, True, True]


def test_alignments_coverage_and_times_by_hand() -> None:
    one = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.0, 0.0, 1.0]])
    other = np.array([[0.1, 0.8, 0.1], [0.1, 0.3, 0.6], [1.0, 0.0, 0.0]])
    found = looked(np.stack([one, other])[None], seconds=0.5)
    assert found.alignment() == "1-0 2-1", (
        "source-target, of the mean 0.4, 0.5, 0.1 and 0.1, 0.3, 0.6; the end is no token"
    )
    np.testing.assert_allclose(found.coverage_S, [0.4 + 0.1 + 0.5, 0.5 + 0.3, 0.1 + 0.6 + 0.5])
    assert found.times() == [("0", 0.5, 1.0), ("1", 1.0, 1.5)]
    assert {type(end) for _, *ends in found.times() for end in ends} == {float}, "as they are told in a notebook"
    np.testing.assert_allclose(found.together("max")[0], [0.7, 0.8, 0.1])
    assert looked(one[None, None]).times() == [], "text has no seconds"


def test_prefixes_are_replaced_more_and_more() -> None:
    targets = [[4, 5, 6, 7] * 25, [8] * 100]
    assert replaced(targets, 0.0, size=9, seed=1) == targets
    few, many = (replaced(targets, share, size=9, seed=1) for share in (0.2, 0.6))
    for old, some, more in zip(targets, few, many, strict=True):
        changed = [n for n, (a, b) in enumerate(zip(old, some, strict=True)) if a != b]
        assert all(some[n] == more[n] for n in changed), "what is replaced stays so"
    assert sum(a != b for a, b in zip(targets[1], many[1], strict=True)) == pytest.approx(30, abs=15), (
        "half of 60 are 8"
    )
    assert {token for one in many for token in one} <= {4, 5, 6, 7, 8}


def test_confidence_under_right_and_own_prefixes_is_what_forcing_gives(run: StoredRun) -> None:
    records = [Record(text, text, text) for text in ("ab", "ca", "bc")]
    target = run.codecs.target
    own = [tuple(target.encode(text)) for text in ("bb", "ca", "b")]
    answers = [
        Prediction(one, (Hypothesis(target.decode(ids), 0.0, ids, (0.0,) * (len(ids) + 1)),))
        for one, ids in zip(records, own, strict=True)
    ]
    told: list[int] = []
    found = exposure(run.model, run.codecs, answers, longest=9, progress=told.append)
    assert sum(told) == READINGS * len(answers), "a bar comes to its end"
    right = [np.exp(one.logp) for one in forced(run.model, run.codecs, records, longest=9)]
    given = [list(target.encode(text)) for text in ("bb", "ca", "bc")]
    mine = [np.exp(one.logp) for one in forced(run.model, run.codecs, records, longest=9, given=given)]
    assert found.counts == (3, 3, 2), "an answer of one word and its end has been read for two steps"
    assert found.under_gold == pytest.approx((*np.mean(right, 0)[:2], (right[0][2] + right[1][2]) / 2))
    assert found.under_own == pytest.approx((*np.mean(mine, 0)[:2], (mine[0][2] + mine[1][2]) / 2))
    assert found.under_gold[0] == found.under_own[0], "nothing was read before the first"
    assert found.lost == pytest.approx(np.average(np.subtract(found.under_gold, found.under_own), weights=found.counts))
    assert spells_itself(run.codecs, answers[0])
    assert not spells_itself(run.codecs, replace(answers[0], hypotheses=(Hypothesis("other", 0.0, own[0]),)))


class Mean:
    """Of a column."""

    def score(self, rows: np.ndarray) -> float:
        return float(rows.mean())


def test_p_values_of_few_records_are_those_of_all_swaps() -> None:
    better, worse = np.ones((4, 1)), np.zeros((4, 1))
    assert paired_randomisation(Mean(), better, worse, trials=4000) == pytest.approx(2 / 16, abs=0.02)
    mixed = np.array([[1.0], [1.0], [1.0], [-1.0]])
    assert paired_randomisation(Mean(), mixed, worse, trials=4000) == pytest.approx(10 / 16, abs=0.03)
    assert paired_randomisation(Mean(), better, worse, groups=[0, 0, 0, 0]) == 1.0, (
        "one group can only be swapped whole"
    )
    assert paired_bootstrap(Mean(), better, worse) == pytest.approx(1 / 1001), "no resample differs from the others"


def answered(run: StoredRun, width: int) -> list[Prediction]:
    """Four records by a beam of this width, each with all that it found."""
    search = replace(run.config.search, beams=width, n_best=width, length_penalty=0.0)
    records = [Record(str(n), text, text[::-1]) for n, text in enumerate(("ab", "cab", "bca", "acbc"))]
    answer = Answerer(run.task, replace(run.config, search=search), run.codecs, run.model, run.rule)
    return answer(records, lambda done: None)


def test_errors_of_the_search_are_counted_against_the_true_mode(run: StoredRun) -> None:
    metric = TOY.metrics(run.config.task)[0]
    wide = answered(run, 32)
    ended = [[own for own in one.hypotheses if own.finish == "end"] for one in wide]
    best = [max(some, key=lambda own: own.total) for some in ended]
    least = [min(some, key=lambda own: own.total) for some in ended]
    worse = [replace(one, hypotheses=(own,)) for one, own in zip(wide, least, strict=True)]
    found, why = modes(run, [worse, wide], metric, 1e9)
    assert why == ""
    assert found is not None
    assert (found.tried, found.decided) == (4, 4)
    assert found.missed == (1.0, 0.0), "of so few outputs a wide beam misses none"
    right = [len(one.record.target) + 1 for one in wide]
    assert found.length == pytest.approx(np.mean([len(own.logp) / size for own, size in zip(best, right, strict=True)]))
    assert found.empty == sum(not own.tokens for own in best) / 4
    values = [100.0 * (own.output == one.record.target) for own, one in zip(best, wide, strict=True)]
    assert found.metric == pytest.approx(np.mean(values))
    other = [
        replace(one, hypotheses=(replace(own, logp=(*own.logp[:-1], -9.0)),))
        for one, own in zip(wide, best, strict=True)
    ]
    assert modes(run, [other], metric, 1e9)[0] is None, "not what the model believes of its tokens"


def test_what_was_found_exactly_stands_in_the_section() -> None:
    row = BeamRow(5, 40.0, -1.0, -2.0, 1.0, 1.0, 0.0, 0.0, 0.0, None, 0.0, None, 1.0, 0.0, 40.0, 41.0, None, 0.1)
    exact = Modes(8, 6, (0.25,), 1 / 3, 0.5, 12.0, (38.0,), 210.0)
    page = "".join(search_section([row], "bleu", 8, "", exact=exact).parts)
    assert "For 6 of 8 records" in page
    assert "empty for 33.3 % of them and has 0.50 times the tokens of the reference. Its bleu is 12." in page
    assert re.search(r">5</td><td[^>]*>25.0 %</td><td[^>]*>38</td>", page)
    assert "Not measured: too much" in "".join(search_section([row], "bleu", 8, "", no_exact="too much").parts)


def test_a_map_says_what_is_where_and_how_much_the_strongest_colour_is() -> None:
    drawn = svg(HeatMap("map", "Map", ("a", "b"), ("<c>",), np.array([[0.25], [0.875]])), alone=True)
    texts = [one.text for one in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[-1] == "down: output; across: source; strongest: 0.88"
    assert set(texts) >= {"a", "b", "<c>"}


def test_long_ticks_leave_room_for_the_name_of_the_axis() -> None:
    chart = Chart("length", "Length", "beams", "of the reference's", [Series("one", (1, 2), (-0.07824, -0.07802))])
    texts = ElementTree.fromstring(svg(chart, alone=True)).iter("{http://www.w3.org/2000/svg}text")
    ticks = [(float(one.get("x", "0")), one.text or "") for one in texts if one.get("text-anchor") == "end"]
    assert "-0.07815" in {words for _, words in ticks}
    assert min(x - 6.6 * len(words) for x, words in ticks) > 20, "where the turned name ends"


def test_quarters_by_length_hold_every_record() -> None:
    answers = [Prediction(Record(str(n), ""), ()) for n in range(8)]
    bin_of = length_bin(answers, [3, 1, 4, 1, 5, 9, 2, 6])
    assert [bin_of(one.record) for one in answers] == ["2-3", "0-1", "4-5", "0-1", "4-5", "6-9", "2-3", "6-9"]


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("protein_alignment", False), pytest.param("reaction_prediction", True, marks=pytest.mark.slow)],
)
def test_decoders_that_are_told_of_the_prefix_are_asked_about_wrong_ones_too(
    name: str, *, spelled: bool, trained: Callable[[str], Path]
) -> None:
    task = TASKS[name]
    stored = load_run(task, RunFolder(trained(name)))
    assert stored.model.features is not None
    records = read_split(task, stored.config, "dev").records[:3]
    answer = Answerer(task, stored.config, stored.codecs, stored.model, stored.rule)
    found, why = exposed(stored, answer(records, lambda done: None), task.metrics(stored.config.task)[0])
    assert why == ""
    assert found is not None
    assert found.ruled
    assert all(0 <= p <= 1 for p in (*found.under_gold, *found.under_own, *found.accuracy))
    assert found.under_gold[0] == found.under_own[0]
    assert bool(found.metric) == spelled, "columns of an alignment are spelled with residues by the task's own solving"
    page = "".join(exposure_section(found).parts)
    assert ("The metric is left out" in page) != spelled
    assert "a prefix decides what may follow" in page


def test_answers_of_several_searches_have_no_map_and_the_others_keep_theirs(
    trained: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "protein_alignment"
    task, run = TASKS[name], trained(name)
    (tmp_path / "three.fasta").write_text(">a\nACDEFGHIKL\n>b\nACDEGHIKL\n>c\nACDFGHIKLM\n")
    (tmp_path / "two.fasta").write_text(">a\nACDEFGHIKL\n>b\nACDEGHIKL\n")
    words = [str(run), str(tmp_path / "three.fasta"), str(tmp_path / "two.fasta"), "--attention", str(tmp_path / "out")]
    capsys.readouterr()
    assert dispatch("predict", lambda: task, name, words) == 0, capsys.readouterr().err
    index = (tmp_path / "out" / "index.html").read_text()
    assert "put together from several searches, so there is no one map: 3 sequences" in index
    first, second = (tmp_path / "out" / "alignment.tokens.txt").read_text().splitlines()
    assert first == ""
    assert second.split(), "the pair has its alignment"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """One step of a task's tiny config, once."""
    return cache(lambda name: one_step(name, tmp_path_factory.mktemp(name)))


def one_step(name: str, folder: Path) -> Path:
    """Trained so much, and seen few records."""
    task, config = TASKS[name], Path(__file__).parents[2] / "configs" / name / "tiny.toml"
    short = ["steps=1", "evaluate_every=1", "evaluate_records=2", "final_records=2", "threads=1", "report=false"]
    words = [str(config), "--run", str(folder / "run"), "data.limit=60", *(f"train.{one}" for one in short)]
    assert dispatch("train", lambda: task, name, words) == 0
    return folder / "run"
