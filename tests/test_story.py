"""The ladder: its rungs, BLEU's arithmetic, resuming, and a page that the result files alone decide."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.leaderboard.arrays import pack
from benchmarks.story import bleu, bottleneck
from benchmarks.story.__main__ import main
from benchmarks.story.rungs import LADDER, Budget, config_of
from core.config_tree import differences
from core.metrics.sacre import bleu as sacrebleu
from core.metrics.sacre import library
from core.record import Hypothesis, Prediction, Record
from tests.conftest import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "story"


def words(folder: Path) -> list[str]:
    """Places for a ladder of a test's own."""
    return [f"--{name}={folder / name}" for name in ("runs", "results", "docs")]


def test_rungs_differ_by_their_keys_alone() -> None:
    below = [config_of(one, Budget()) for one in LADDER]
    changed = [{key for key, *_ in differences(one, other)} for one, other in pairwise(below)]
    assert changed[0] == {"model.bidirectional"}
    assert changed[1] == changed[2] == {"model.attention"}
    assert changed[3] == {"model.kind", "train.optimizer"}
    assert changed[4] == {"model.copy"}


def test_smaller_budgets_keep_their_proportions() -> None:
    whole, part = config_of(LADDER[0], Budget()).train, config_of(LADDER[0], Budget(steps=40, minutes=2.5)).train
    assert part.steps == 40
    assert part.minutes == pytest.approx(2.5 * LADDER[0].share)
    assert part.steps // part.evaluate_every == whole.steps // whole.evaluate_every
    assert part.warmup < part.steps
    assert config_of(LADDER[4], Budget(smoke=True)).data.source == "phrases"
    assert sum(one.share for one in LADDER) == pytest.approx(1)


@pytest.mark.parametrize(
    ("output", "reference", "matched", "total"),
    [
        ("the the the the", "the cat sat on the mat", (2, 0, 0, 0), (4, 3, 2, 1)),  # clipped, as in the paper
        ("a b c d e", "a b c d f g", (4, 3, 2, 1), (5, 4, 3, 2)),
        ("a b", "a b", (2, 1, 0, 0), (2, 1, 0, 0)),
    ],
)
def test_grams_are_counted_and_clipped(
    output: str, reference: str, matched: tuple[int, ...], total: tuple[int, ...]
) -> None:
    found = bleu.counted(output.split(), reference.split())
    assert (found.matched, found.total) == (matched, total)


def test_the_textbook_by_hand() -> None:
    found = bleu.counted([*"abcde"], [*"abcdfg"])
    by_hand = 100 * 2.718281828459045 ** (1 - 6 / 5) * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert found.textbook == pytest.approx(by_hand)
    assert bleu.counted([*"abxcd"], [*"abcd"]).textbook == 0, "no trigram matches, and nothing is smoothed"


def test_where_all_orders_match_sacrebleu_says_the_same() -> None:
    pair = bleu.sentence("Schalte das Licht in der Küche ein.", "Schalte das Licht in der Halle bitte ein.")
    assert pair["textbook"] == pytest.approx(pair["sacrebleu"])
    assert [100 * one for one in pair["precisions"]] == pytest.approx(pair["sacrebleu_precisions"])
    broken = bleu.sentence("Schalte das Licht aus.", "Schalte doch das Licht ein.")
    assert broken["textbook"] == 0 < broken["sacrebleu"]


def test_the_corpus_adds_before_it_divides() -> None:
    pairs = [("a b c d e f", "a b c d e g"), ("h i j", "h i k"), ("l m n o p", "l m n o p")]
    predictions = [
        Prediction(Record(str(n), "x", wanted), (Hypothesis(said, 0.0),)) for n, (said, wanted) in enumerate(pairs)
    ]
    found = bleu.corpus(sacrebleu(), predictions)
    theirs = library().BLEU().corpus_score([said for said, _ in pairs], [[wanted for _, wanted in pairs]])
    assert found["textbook"] == pytest.approx(theirs.score) == found["sacrebleu"]
    assert (found["matched"], found["total"]) == (theirs.counts, theirs.totals)
    assert found["zero_sentences"] == 1
    assert found["mean_of_sentences"] != pytest.approx(theirs.score)


def test_the_page_is_what_the_results_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_a_figure_that_is_changed_by_hand_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(RESULTS, tmp_path / "results")
    path = tmp_path / "results" / "additive.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    tree["metrics"]["bleu"]["value"] += 5
    path.write_text(json.dumps(tree), encoding="utf-8")
    assert main(["--check", f"--results={tmp_path / 'results'}"]) == 1
    assert "story.md: not what the results give" in capsys.readouterr().err


def rung_result(scores: dict[str, tuple[float, float]], wobble: float) -> dict[str, Any]:
    """Bin -> BLEU and bits per word, with resamples that far around them."""
    random = np.random.default_rng(1)

    def one(value: float) -> dict[str, Any]:
        return {"value": value, "resamples": pack((value + wobble * random.normal(size=200)).astype(np.float32))}

    rows = [{"bin": name, "n": 9, "bleu": one(bleu), "bits": one(bits)} for name, (bleu, bits) in scores.items()]
    return {"by_length": rows}


def test_the_bottleneck_shows_where_one_vector_keeps_less_of_long_sentences() -> None:
    within = (LADDER[2], rung_result({"4-7": (30.0, 4.0), "21+": (20.0, 3.0)}, 0.1))
    narrow = (LADDER[1], rung_result({"4-7": (24.0, 5.0), "21+": (4.0, 6.0)}, 0.1))
    wide = (LADDER[1], rung_result({"4-7": (24.0, 5.0), "21+": (16.0, 4.0)}, 0.1))
    shown = bottleneck.verdict([narrow, within])
    assert "| bidirectional | -60 points [-6" in shown
    assert "changes by +2.00 [" in shown
    assert "the bottleneck shows in BLEU: bidirectional, 21+ words against 4-7." in shown
    assert "shows in what the models believe" in shown
    same = bottleneck.verdict([wide, within])
    assert "| bidirectional | +0 points" in same or "| bidirectional | -0 points" in same
    assert "is not shown in BLEU" in same
    assert "is not shown in what the models believe" in same
    assert bottleneck.shares([narrow, within]) == {"bidirectional": pytest.approx([80.0, 20.0])}


def test_a_share_of_next_to_nothing_is_none() -> None:
    within = (LADDER[2], rung_result({"4-7": (30.0, 4.0), "21+": (0.4, 3.0)}, 0.1))
    narrow = (LADDER[1], rung_result({"4-7": (24.0, 5.0), "21+": (0.3, 6.0)}, 0.1))
    assert "| bidirectional | - |" in bottleneck.verdict([narrow, within])
    assert bottleneck.shares([narrow, within]) == {}
    assert "| 21+ | - |" in bottleneck.shares_table([narrow, within])


def test_a_rung_is_trained_and_scored_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--smoke", "--jobs=1", *words(tmp_path), "--rungs"]
    assert main([*given, "bidirectional"]) == 0
    log = (tmp_path / "runs" / "bidirectional" / "log.jsonl").read_bytes()
    result = (tmp_path / "results" / "bidirectional.json").read_bytes()
    capsys.readouterr()
    assert main([*given, "bidirectional", "additive"]) == 0
    said = capsys.readouterr().err
    assert "bidirectional: trained already" in said
    assert "bidirectional: scored already" in said
    assert (tmp_path / "runs" / "bidirectional" / "log.jsonl").read_bytes() == log
    assert (tmp_path / "results" / "bidirectional.json").read_bytes() == result
    page = (tmp_path / "docs" / "story.md").read_text(encoding="utf-8")
    assert "Against bidirectional:" in page
    assert (tmp_path / "docs" / "story" / "attention-additive.svg").is_file()
    assert main(["--check", *words(tmp_path)]) == 0
    assert main([*given, "additive", "--steps", "6"]) == 2, "a run of another budget is not overwritten"
    assert "trained with another config" in capsys.readouterr().err


def test_what_makes_no_sense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rungs", "aditive", *words(tmp_path)]) == 2
    assert "did you mean additive?" in capsys.readouterr().err
    assert main(["--steps", "1", *words(tmp_path)]) == 2
    assert main(["--minutes", "-1", *words(tmp_path)]) == 2
    assert main(["--jobs", "0", *words(tmp_path)]) == 2
    assert main(["--write-only", *words(tmp_path)]) == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_rung_that_fails_beside_another_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--smoke", *words(tmp_path), "--rungs", "context-vector", "bidirectional"]
    assert main(given) == 0
    assert "context vector: done" in capsys.readouterr().err
    assert main([*given, "--steps", "6"]) == 2
    said = capsys.readouterr().err
    assert "stopped" in said
    assert "trained with another config" in said


@pytest.mark.slow
def test_the_whole_ladder_stands(tmp_path: Path) -> None:
    assert main(["--smoke", *words(tmp_path)]) == 0
    page = (tmp_path / "docs" / "story.md").read_text(encoding="utf-8")
    for number, rung in enumerate(LADDER, start=1):
        assert f"| {number} | {rung.title} |" in page
    assert len(list((tmp_path / "docs" / "story").glob("attention-*.svg"))) == 4
    for link in ("learning", "loss", "lengths", "bits"):
        assert f"(story/{link}.svg)" in page
