"""One change, several domains, one table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ablate import base_name, changes_of, main
from benchmarks.leaderboard.ablations import Ablation, Question, html_page, markdown_page, read_ablation, write_question
from benchmarks.leaderboard.boards import boards_of
from benchmarks.leaderboard.effects import OVERALL, effects_of
from benchmarks.leaderboard.pages import pages
from benchmarks.leaderboard.store import write_result
from core.errors import ConfigError
from tests.conftest import ROOT
from tests.leaderboard.results import Errors, answers, result


def test_changes_are_split_at_commas_outside_brackets() -> None:
    assert changes_of("model.positions=rotary,alibi") == ["model.positions=rotary", "model.positions=alibi"]
    assert changes_of("task.speeds=[0.9,1.1],[1.0]") == ["task.speeds=[0.9,1.1]", "task.speeds=[1.0]"]
    for wrong in ("rotary", "model.positions=", "model.positions=rotary,rotary"):
        with pytest.raises(ConfigError):
            changes_of(wrong)


def test_the_base_is_a_name_that_every_task_has() -> None:
    assert base_name("tiny") == base_name(str(ROOT / "configs/roman/tiny.toml")) == "tiny"
    with pytest.raises(ConfigError, match="no such file"):
        base_name("configs/roman/nowhere.toml")


def test_effects_are_points_for_the_better_with_their_intervals() -> None:
    change = "model.width=64"
    given = [result("base", answers(0.5, seed=1)), result(change, answers(0.8, seed=2))]
    wer = {"metric": Errors(), "task": "speech_to_text"}
    given += [result("base", answers(0.4, seed=3), **wer), result(change, answers(0.2, seed=4), **wer)]
    boards = boards_of(given)
    found = effects_of(boards, [change], "smoke")
    assert [one.task for one in found] == ["roman", "speech_to_text", OVERALL]
    for one in found:
        assert one.low < one.points < one.high
        assert one.points > 0, "fewer errors are better too"
        assert one.p < 0.01
    assert found[2].points == pytest.approx((found[0].points + found[1].points) / 2)
    widths = [one.high - one.low for one in found]
    assert widths[2] < min(widths[:2]), "the mean of two tasks is surer than either"
    text = markdown_page([Ablation(Question("tiny", change, (change,), "smoke"), tuple(boards))])
    assert f"## {change} against tiny" in text
    assert f"| {change} | {OVERALL} | mean of 2 |" in text


def test_kept_ablations_are_pages_of_the_board(tmp_path: Path) -> None:
    change = "model.width=64"
    folder = tmp_path / "kept" / "width"
    for task, at in (("roman", 1), ("translation", 5)):
        for seed in (1, 2):
            write_result(result("base", answers(0.5, seed=at), task=task, seed=seed), folder)
            write_result(result(change, answers(0.8, seed=at + seed), task=task, seed=seed), folder)
    question = Question("tiny", change, (change,), "smoke", ("summarization, x: cannot be",))
    write_question(folder, question)
    assert read_ablation(folder).question == question
    made = pages(tmp_path / "none", ablations=tmp_path / "kept")
    text, page = made["leaderboard/ablations.md"], made["leaderboard/ablations.html"]
    assert "(leaderboard/ablations.md)" in made["leaderboard.md"]
    assert 'href="ablations.html"' in made["leaderboard/index.html"]
    assert f"| {change} | roman | exact@1 |" in text
    assert "| 2/2 |" in text, "both seeds show it by themselves"
    assert "* left out: summarization, x: cannot be" in text
    assert page.count("<circle") == 3, "two tasks and their mean"
    assert page == html_page([read_ablation(folder)])
    assert "leaderboard/ablations.md" not in pages(tmp_path / "none", ablations=tmp_path / "none")


def test_no_change_has_no_effect() -> None:
    same = answers(0.5)
    (one,) = effects_of(boards_of([result("base", same), result("seed=1", same)]), ["seed=1"], "smoke")
    assert (one.points, one.low, one.high, one.p) == (0, 0, 0, 1)


def test_a_change_that_cannot_be_is_refused_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--base", "tiny", "--tasks", "roman", "--folder", str(tmp_path)]
    assert main([*words, "--change", "model.width=7"]) == 2
    assert "7 cannot be halved" in capsys.readouterr().err.splitlines()[-1]
    assert main([*words, "--change", "model.widht=8"]) == 2


@pytest.mark.slow
def test_a_change_is_trained_on_two_domains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--base", "tiny", "--tasks", "roman", "summarization", "--folder", str(tmp_path)]
    assert main([*words, "--change", "train.steps=10,12"]) == 0
    said = capsys.readouterr().out
    assert "| train.steps=10 | roman | exact@1 |" in said
    assert "| train.steps=12 | all | mean of 2 |" in said
    assert next(tmp_path.glob("*/effects.md")).read_text(encoding="utf-8") in said
    assert "<circle" in next(tmp_path.glob("*/effects.html")).read_text(encoding="utf-8")
