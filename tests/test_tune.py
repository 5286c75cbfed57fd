"""Studies: what a space may be, resuming, pruning, the report; the test split is never there to be read."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tune.__main__ import main
from benchmarks.tune.space import Choices, Range, read_space
from benchmarks.tune.study import STEP, Judge, base_tree
from core.cli import TrainArguments
from core.config_toml import load
from core.errors import ConfigError, Interrupted
from core.run import train
from core.run.folder import existing_run, read_json
from core.settings import run_config
from tasks import TASKS

CONFIG = """
seed = 1
[data]
source = "jsonl"
path = "PATH"
[batch]
tokens = 300
[model]
kind = "rnn"
width = 8
dropout = 0.0
[train]
steps = STEPS
warmup = 1
lr = 5e-3
average = "none"
evaluate_every = 2
evaluate_records = 4
threads = 1
report = false
[save]
every = 2
"""
SPACE = """
[train]
lr = { low = 1e-3, high = 1e-1, log = true }
optimizer = ["adamw", "muon"]
[model]
width = { low = 4, high = 12, step = 4 }
"""


def study(folder: Path, *, space: str = SPACE, steps: int = 4) -> list[str]:
    """A config and a space in a folder, and the words of a command. The data has no test split."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for split, numbers in (("train", range(1, 30)), ("dev", range(30, 36))):
        rows = (json.dumps({"id": str(n), "source": str(n), "target": "I" * (n % 5 + 1)}) for n in numbers)
        (data / f"{split}.jsonl").write_text("".join(f"{row}\n" for row in rows))
    (folder / "small.toml").write_text(CONFIG.replace("PATH", str(data)).replace("STEPS", str(steps)))
    (folder / "space.toml").write_text(space)
    words = [str(folder / "small.toml"), "--space", str(folder / "space.toml"), "--task", "roman"]
    return [*words, "--output", str(folder / "study")]


def rows_of(folder: Path) -> list[list[str]]:
    """The table of trials."""
    lines = (folder / "study" / "report.md").read_text(encoding="utf-8").split("## Trials")[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \d", line)]


def dimensions(folder: Path, text: str) -> Any:
    """Read as a study reads them."""
    words = study(folder, space=text)
    kind, base = base_tree(TASKS["roman"], Path(words[0]))
    return read_space(Path(words[2]), kind, base)


def test_a_space_is_laid_out_as_the_config(tmp_path: Path) -> None:
    rate, optimizer, width = dimensions(tmp_path, SPACE)
    assert isinstance(rate, Range)
    assert (rate.key, rate.low, rate.high, rate.log, rate.whole) == ("train.lr", 1e-3, 1e-1, True, False)
    assert isinstance(optimizer, Choices)
    assert optimizer.values == ("adamw", "muon")
    assert (width.whole, width.step, width.value(8)) == (True, 4, 8)
    (frozen,) = dimensions(tmp_path, '[train]\nfreeze = [["encoder"], []]')
    assert frozen.value(frozen.label(["encoder"])) == ["encoder"]


@pytest.mark.parametrize(
    ("space", "place", "said"),
    [
        ("[train]\nlrr = [1e-3, 1e-2]", 2, "did you mean train.lr?"),
        ("[trian]\nlr = [1e-3, 1e-2]", 1, "did you mean [train]?"),
        ("[model]\nheads = [1, 2]", 2, 'it needs model.kind = "transformer"'),
        ("[train]\nlr = { low = 1e-3, hihg = 1e-2 }", 2, "did you mean high?"),
        ("[train]\nlr = { low = 1e-3 }", 2, "train.lr.high: missing"),
        ("[train]\nlr = { low = 1e-2, high = 1e-3 }", 2, "is not below high"),
        ("[train]\nlr = { low = -1, high = 1 }", 2, "train.lr.low = -1: must be a number, above 0"),
        ("[model]\ndropout = { low = 0, high = 0.5, log = true }", 2, "a logarithmic range begins above 0"),
        ("[model]\nwidth = { low = 4, high = 8, log = true, step = 2 }", 2, "has no steps"),
        ("[model]\nwidth = { low = 4, high = 8, step = 0.5 }", 2, "must be a whole number above 0"),
        ("[model]\nwidth = { low = 4.5, high = 8 }", 2, "must be an integer"),
        ("[train]\noptimizer = { low = 1, high = 2 }", 2, "list its choices"),
        ('[train]\n\noptimizer = ["adamw", "moun"]', 3, "did you mean muon?"),
        ('[train]\noptimizer = ["adamw"]', 2, "two values at least"),
        ('[train]\noptimizer = ["adamw", "adamw"]', 2, "stands there twice"),
        ("[train]\nlr = 1e-3", 2, "must be a list of choices, or a range"),
        ("train = [1, 2]", 1, "a table, so name its keys"),
        ("seed = [1, 2]", 1, "chance is no setting"),
        ('[data]\ntest = ["a", "b"]', 2, "a study never looks at the test split"),
        ('[model]\nkind = ["rnn", "transformer"]', 2, "make a study a kind"),
        ("[train]\nlr = = 2", 2, "not TOML"),
    ],
)
def test_a_bad_space_is_one_line_with_its_place(
    space: str, place: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*study(tmp_path, space=space), "--trials", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'space.toml'}:{place}: ")
    assert said in line
    assert not (tmp_path / "study").exists()


def test_an_empty_space_has_nothing_to_choose(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to choose"):
        dimensions(tmp_path, "")


def test_without_optuna_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main([*study(tmp_path), "--trials", "1"]) == 2
    assert capsys.readouterr().err == "error: a study needs the library optuna: pip install 'transduce[tune]'\n"
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    "wrong", [["--trials", "0"], ["--trials", "1", "--seed", "-1"], ["--trials", "1", "--task", "romn"]]
)
def test_wrong_words_are_refused(wrong: list[str], tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    assert main([*study(tmp_path), *wrong]) == 2


def test_a_study_is_found_again_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three trials in one call; then the same in three, one of them killed in the middle of a trial."""
    pytest.importorskip("optuna")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    assert main([*study(whole), "--trials", "3"]) == 0
    said = capsys.readouterr().out
    assert "best: trial" in said
    assert main([*study(parts), "--trials", "1"]) == 0
    assert main([*study(parts), "--trials", "2"]) == 0
    killed(parts / "study", 1)
    assert main([*study(parts), "--trials", "3"]) == 0
    assert [row[:5] for row in rows_of(parts)] == [row[:5] for row in rows_of(whole)], (
        "what is drawn does not mind a stop"
    )
    assert all(row[1] == "complete" for row in rows_of(whole))
    for number in range(3):
        folder = whole / "study" / "trials" / f"{number:03d}"
        assert {"config.toml", "log.jsonl", "metrics.json", "run.json", "checkpoints"} <= {
            one.name for one in folder.iterdir()
        }
    page = (whole / "study" / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    capsys.readouterr()
    assert main([*study(whole, space=SPACE.replace("1e-1", "2e-1")), "--trials", "4"]) == 2
    assert "is a study of another space, train.lr" in capsys.readouterr().err


def killed(output: Path, number: int) -> None:
    """As a kill in the middle leaves a trial: it is running in the study, its run folder lacks what its end writes."""
    with sqlite3.connect(output / "study.db") as base:
        base.execute("update trials set state = 'RUNNING', datetime_complete = null where number = ?", (number,))
        base.execute(
            "delete from trial_values where trial_id in (select trial_id from trials where number = ?)", (number,)
        )
    base.close()
    (output / "trials" / f"{number:03d}" / "metrics.json").unlink()


def test_a_run_that_is_judged_not_worth_it_stops_whole_and_can_go_on(tmp_path: Path) -> None:
    words = study(tmp_path)
    task = TASKS["roman"]
    loaded = load(run_config(task.config), Path(words[0]), ())
    arguments = TrainArguments(loaded, tmp_path / "run", resume=True, show=False, dry_run=False, config_path=None)
    seen: list[int] = []

    def judge(step: int, value: float) -> bool:
        seen.append(step)
        return False

    with pytest.raises(Interrupted):
        train(task, arguments, judge=judge)
    folder = existing_run(tmp_path / "run")
    assert seen == [2]
    assert not folder.finished
    assert read_json(folder.last / "trainer.json")["step"] == 2
    assert train(task, arguments) == 0
    assert folder.finished
    assert read_json(folder.metrics)["step"] == 4


def test_the_worse_half_is_pruned_and_the_end_is_let_come() -> None:
    optuna = pytest.importorskip("optuna")
    found = optuna.create_study(direction="minimize", pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    first, second, third = found.ask(), found.ask(), found.ask()
    good, bad, late = (Judge(one, steps=10, sign=-1.0) for one in (first, second, third))
    assert good(5, -1.0), "training has the higher the better: an error of 1"
    found.tell(first, 1.0)
    assert not bad(5, -2.0)
    assert (bad.pruned, second.user_attrs[STEP]) == (True, 5)
    assert found.get_trials()[1].intermediate_values == {5: 2.0}
    assert late(10, -2.0), "at its end it is let end"


@pytest.mark.slow
def test_trials_are_pruned_in_a_study(tmp_path: Path) -> None:
    """A rate that moves nothing is worse than the median early on."""
    pytest.importorskip("optuna")
    words = study(tmp_path, space="[train]\nlr = [1e-9, 2e-2]", steps=40)
    assert main([*words, "--trials", "6", "--prune-after", "1", "--seed", "3"]) == 0
    pruned = [row for row in rows_of(tmp_path) if row[1].startswith("pruned at step")]
    assert pruned
    folder = existing_run(tmp_path / "study" / "trials" / f"{int(pruned[0][0]):03d}")
    assert not folder.finished
    assert read_json(folder.last / "trainer.json")["step"] < 40


def test_a_trial_that_cannot_be_fails_with_its_reason(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    assert main([*study(tmp_path, space="[model]\nwidth = [7, 9]"), "--trials", "2"]) == 1
    states = [row[1] for row in rows_of(tmp_path)]
    assert len(states) == 2
    assert all("cannot be halved between the two directions" in one for one in states)
