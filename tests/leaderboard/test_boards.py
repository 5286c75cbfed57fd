"""What compares with what, and which differences are real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.leaderboard.across import FLOOR, across
from benchmarks.leaderboard.arrays import unpack
from benchmarks.leaderboard.boards import boards_of, ranks
from benchmarks.leaderboard.duels import Duel, duels_of, holm, tally
from benchmarks.leaderboard.markdown import records_of
from benchmarks.leaderboard.references import Anchor, End, read_references
from core.errors import DataError
from core.metrics.resampling import paired_bootstrap
from tests.leaderboard.results import Errors, Percent, answers, result, write


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_equal_scores_share_their_ranks() -> None:
    assert ranks([3.0, 5.0, 3.0, 1.0]) == [2.5, 1.0, 2.5, 4.0]


def test_other_data_another_signature_or_another_split_is_another_board() -> None:
    right = answers(0.5)
    changed = {"data": {"name": "numbers", "sha256": "cd" * 32, "n": 200}}
    given = [
        result("one", right),
        result("two", right),
        result("three", right, **changed),
        result("four", right, split="dev"),
    ]
    given.append(result("five", right, metric=Errors()))
    found = [sorted(row.system for row in board.rows) for board in boards_of(given)]
    assert sorted(found) == [["five"], ["four"], ["one", "two"], ["three"]]


def test_stored_draws_give_the_paired_bootstrap_of_core() -> None:
    left, right = answers(0.62, seed=1), answers(0.5, seed=2)
    groups = [number // 4 for number in range(200)]
    (board,) = boards_of([result("one", left, groups=groups), result("two", right, groups=groups)])
    (duel,) = duels_of(board.rows)
    rows = [one.astype(float)[:, None] for one in (left, right)]
    ours = paired_bootstrap(Percent(), *rows, groups=groups, resamples=2000)
    assert duel.p == pytest.approx(ours, abs=1e-3), "up to single precision at the edge"
    assert duel.left.system == "one"


def test_clear_differences_win_and_small_ones_tie() -> None:
    same = answers(0.5)
    nearly = same.copy()
    nearly[0] = not nearly[0]
    (board,) = boards_of([result("same", same), result("nearly", nearly), result("better", answers(0.9, seed=3))])
    counts = tally(board.rows, duels_of(board.rows))
    assert counts == {"better": (2, 0, 0), "same": (0, 1, 1), "nearly": (0, 1, 1)}
    assert board.rows[0].system == "better"


def test_fewer_errors_are_better() -> None:
    given = [result(name, answers(share, seed=3), metric=Errors()) for name, share in (("few", 0.1), ("many", 0.6))]
    (board,) = boards_of(given)
    (duel,) = duels_of(board.rows)
    assert duel.winner is not None
    assert [row.system for row in board.rows] == ["few", "many"]
    assert duel.winner.system == "few"


def test_seeds_are_repetitions_and_widen_the_interval() -> None:
    one = [result("one", answers(0.5, seed=1))]
    apart = [result("one", answers(share, seed=1), seed=seed) for seed, share in ((1, 0.3), (2, 0.5), (3, 0.7))]
    (single,), (several,) = boards_of(one), boards_of(apart)
    assert len(several.rows) == 1
    assert several.rows[0].value == pytest.approx(np.mean([each["metrics"]["exact@1"]["value"] for each in apart]))
    width = [row.interval[1] - row.interval[0] for row in (single.rows[0], several.rows[0])]
    assert width[1] > 1.5 * width[0]


def test_a_win_is_shown_by_most_seeds_and_contradicted_by_none() -> None:
    """Half better on the mean is not enough where one training made all of the difference."""
    base = [answers(0.4, seed=seed) for seed in (11, 12, 13)]

    def duel(*shares: float) -> Duel:
        other = [answers(share, seed=20 + at) for at, share in enumerate(shares)]
        rows = [result("base", right, seed=seed) for seed, right in enumerate(base, start=1)]
        rows += [result("other", right, seed=seed) for seed, right in enumerate(other, start=1)]
        (board,) = boards_of(rows)
        (found,) = duels_of(board.rows)
        return found

    every, one, against = duel(0.7, 0.7, 0.7), duel(0.41, 0.4, 0.95), duel(0.95, 0.95, 0.1)
    assert every.winner is not None
    assert (every.winner.system, every.held, len(every.seeds)) == ("other", 3, 3)
    assert (one.winner, one.held) == (None, 1)
    assert any(test.shows(-1.0) for test in against.seeds)
    assert against.winner is None


def test_seeds_are_corrected_by_holm() -> None:
    rows = [result("fixed", answers(0.5, seed=9), seed=None, kind="floor")]
    rows += [result("three", answers(share, seed=at), seed=at) for at, share in ((1, 0.55), (2, 0.6), (3, 0.7))]
    (board,) = boards_of(rows)
    (found,) = duels_of(board.rows)
    alone = []
    for seed in (1, 2, 3):
        (single,) = boards_of([rows[0], rows[seed]])
        alone.append(duels_of(single.rows)[0].p)
    assert [one.adjusted for one in found.seeds] == pytest.approx(holm(alone))


def test_a_few_groups_show_nothing() -> None:
    """Two speakers, however many records they spoke, are two draws."""
    for count, wins in ((2, 0), (40, 1)):
        groups = [number % count for number in range(200)]
        (board,) = boards_of([result(name, answers(share), groups=groups) for name, share in (("a", 0.1), ("b", 0.9))])
        assert board.rows[0].units == count
        assert tally(board.rows, duels_of(board.rows))["b"] == (wins, 1 - wins, 0)
        assert ("too few" in records_of(board)) == (not wins)
    (alone,) = boards_of([result("a", answers(0.5), groups=[1] * 100 + [None] * 100)])
    assert records_of(alone) == "200 records in 101 groups"


def test_a_newer_config_takes_the_row_and_the_older_stays_as_history() -> None:
    old = result("one", answers(0.3), config_sha256="1" * 64, date="2026-01-01T00:00:00Z", git="aaaa")
    new = result("one", answers(0.6), config_sha256="2" * 64, date="2026-02-01T00:00:00Z", git="bbbb")
    (board,) = boards_of([new, old])
    (row,) = board.rows
    assert [one["git"] for one in row.results] == ["bbbb"]
    assert [one["git"] for one in row.history] == ["aaaa", "bbbb"]


def test_skill_is_nought_at_the_floor_and_one_at_the_reference() -> None:
    rows = [
        result("floor-copy", answers(0.2), kind="floor", seed=None),
        result("one", answers(0.6, seed=1)),
        result("two", answers(0.9, seed=2)),
    ]
    boards = boards_of(rows)
    anchor = Anchor("roman", "numbers", "exact@1", End("here", system="floor-copy"), End("its bound", value=100.0))
    floor = next(row.value for row in boards[0].rows if row.kind == "floor")
    assert anchor.skill(boards[0], floor) == 0
    assert anchor.skill(boards[0], 100.0) == 1
    found = across("smoke", boards, [anchor])
    assert [one.system for one in found.standings] == ["two", "one", FLOOR]
    assert [one.rank for one in found.standings] == [1, 2, 3]
    assert (found.standings[0].wins, found.standings[0].losses) == (2, 0)
    assert found.critical_difference is None, "one task says nothing about ranks"


def test_the_critical_difference_is_nemenyis() -> None:
    rows = [
        result(name, answers(share, seed=at), task=task)
        for task in ("roman", "translation", "summarization")
        for at, (name, share) in enumerate((("one", 0.2), ("two", 0.5), ("three", 0.8)))
    ]
    found = across("smoke", boards_of(rows), [])
    assert found.critical_difference == pytest.approx(2.343 * (3 * 4 / (6 * 3)) ** 0.5)
    assert [one.rank for one in found.standings] == [1, 2, 3]


def test_results_hold_numbers_and_no_text() -> None:
    found = result("one", answers(0.5), groups=["a speaker"] * 100 + [None] * 100)
    assert "a speaker" not in str(found)
    of = unpack(found["groups"]["of"])
    assert of[:100].tolist() == [0] * 100
    assert of[100:].tolist() == [-1] * 100


def test_committed_references_have_their_sources() -> None:
    anchors, published = read_references()
    assert {one.task for one in anchors} >= {
        *(
            "translation",
            "summarization",
            "speech_to_text",
            "protein_alignment",
            "code_synthesis",
            "reaction_prediction",
        )
    }
    assert all(one.citation and one.convention for one in published)


def test_an_end_without_its_source_is_refused(tmp_path: Path) -> None:
    head = '[[anchors]]\ndata = "d"\nmetric = "m"\nreference = { value = 1.0, cite = "x" }\n'
    for floor in ('{ value = 0.0, cite = "" }', '{ cite = "x" }', '{ value = 0.0, system = "s", cite = "x" }', "{ }"):
        write(tmp_path / "roman.toml", f"{head}floor = {floor}\n")
        with pytest.raises(DataError, match=r"roman\.toml"):
            read_references(tmp_path)
