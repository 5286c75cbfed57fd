"""The torture's frame: what counts, what is a breach, going on after a kill, playing a trial again, and the page."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from benchmarks.torture import page as pages
from benchmarks.torture.__main__ import RESULTS, main
from benchmarks.torture.registry import all_rows
from benchmarks.torture.rows import Row, Trial, hold
from tests.conftest import ROOT


def sound(trial: Trial) -> None:
    """Draws a number, counts to three."""
    hold(list(trial.place.iterdir()) == [], "the folder is not empty")
    (trial.place / "left").touch()
    trial.count("things", 3)
    trial.measure("drawn", trial.random.random())
    print("said aloud")


def broken(trial: Trial) -> None:
    """Each fails in its own way."""
    trial.count("things")
    match trial.number:
        case 0:
            hold([], "nothing is there")
        case 1:
            raise KeyError("lost")
        case 2:
            os.kill(os.getpid(), signal.SIGKILL)
        case 3:
            os._exit(7)
        case _:
            pass


def row(name: str, trial: object, *, trials: int = 4, goal: int = 12, limit: float = 1200.0) -> Row:
    assert callable(trial)
    return Row(name, "a threat", "A promise.", trial, unit="things", goal=goal, full=trials, quick=2, limit=limit)


def torture(folder: Path, one: Row, *words: str) -> tuple[int, dict[str, object]]:
    """Exit code and result."""
    code = main(
        ["--state", f"{folder}/state", "--results", f"{folder}/results", "--jobs", "2", *words], {one.name: one}
    )
    path = folder / "results" / f"{one.name}.json"
    return code, json.loads(path.read_text()) if path.is_file() else {}


def test_trials_are_counted_and_their_words_are_put_aside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, tree = torture(tmp_path, row("R0", sound))
    assert (code, tree["held"], tree["trials"], tree["count"]) == (0, True, 4, 12)
    assert "said aloud" not in "".join(capfd.readouterr())
    assert torture(tmp_path / "other", row("R0", sound))[1]["figures"] == tree["figures"]
    assert torture(tmp_path / "seed", row("R0", sound), "--seed", "2")[1]["figures"] != tree["figures"]


def test_whatever_goes_wrong_is_a_breach_and_the_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, tree = torture(tmp_path, row("R0", broken, trials=6, goal=1))
    assert (code, tree["held"], tree["trials"], tree["breached"]) == (1, False, 6, 4)
    breaches = tree["breaches"]
    assert isinstance(breaches, list)
    said = {one["trial"]: one["what"] for one in breaches}
    assert said[0] == "nothing is there"
    assert said[1].startswith("test_frame.py:")
    assert said[1].endswith("KeyError: 'lost'")
    assert said[2].startswith("its process ended by signal 9")
    assert said[3].startswith("its process ended by exit code 7")
    assert "trial 1: test_frame.py" in capfd.readouterr().err


def test_a_hang_is_a_breach(tmp_path: Path) -> None:
    tree = torture(tmp_path, row("R0", lambda trial: time.sleep(3600), trials=1, limit=0.2))[1]
    assert tree["breaches"] == [{"trial": 0, "what": "no end after 0.2 s"}]


def test_too_few_is_not_held(tmp_path: Path) -> None:
    code, tree = torture(tmp_path, row("R0", sound, goal=13))
    assert (code, tree["held"], tree["breached"]) == (0, False, 0)


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    state = tmp_path / "state" / "R0-1.jsonl"
    torture(tmp_path, row("R0", sound))
    first, *lines = state.read_text().splitlines(keepends=True)
    ended = sorted(lines, key=lambda line: json.loads(line)["number"])
    other = json.loads(ended[1]) | {"counts": {"things": 100}}
    state.write_text(first + ended[0] + json.dumps(other) + "\n" + ended[2] + ended[3][:-9])  # killed while it wrote
    assert torture(tmp_path, row("R0", sound))[1]["count"] == 109
    state.write_text(json.dumps(json.loads(first) | {"form": "other"}) + "\n" + json.dumps(other) + "\n")
    assert torture(tmp_path, row("R0", sound))[1]["count"] == 12, "of another form or revision nothing counts"


def test_without_time_nothing_is_begun_and_the_result_says_so(tmp_path: Path) -> None:
    code, tree = torture(tmp_path, row("R0", sound), "--minutes", "0.0000001")
    assert (code, tree["held"], tree["trials"], tree["planned"]) == (0, False, 0, 4)


def test_one_trial_is_played_again_aloud(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = torture(tmp_path, row("R0", sound))[1]["figures"]
    capfd.readouterr()
    drawn = list[str]()
    for number in range(4):
        assert torture(tmp_path, row("R0", sound), "--rows", "R0", "--only", str(number))[0] == 0
        said = capfd.readouterr().out
        assert said.startswith("said aloud\n")
        drawn.append(said.split("'drawn': ")[1].split("}")[0])
    assert isinstance(whole, dict)
    assert whole["drawn"]["most"] == max(map(float, drawn))
    assert torture(tmp_path, row("R0", broken), "--only", "1")[0] == 1


def test_the_quick_form_keeps_nothing(tmp_path: Path) -> None:
    code, tree = torture(tmp_path, row("R0", sound), "--quick")
    assert (code, tree, list(tmp_path.iterdir())) == (0, {}, [])


@pytest.mark.parametrize("words", [["--rows", "R99"], ["--jobs", "0"], ["--minutes", "-1"]])
def test_mistakes_are_said(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words, {"R0": row("R0", sound)})
    assert end.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_rows_have_names_of_their_own_and_a_quick_form() -> None:
    for name, one in all_rows().items():
        assert (one.full >= one.quick, one.promise.endswith(".")) == (True, True), name


def test_the_page_is_what_the_results_say() -> None:
    assert (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8") == pages.page(
        list(all_rows().values()), RESULTS
    ), "make docs"


def test_the_page_tells_counts_and_breaches(tmp_path: Path) -> None:
    rows = [row("R0", sound), row("R9", broken, trials=3, goal=1), row("R8", sound)]
    for one in rows[:2]:
        torture(tmp_path, one)
    text = pages.page(rows, tmp_path / "results")
    assert "| [R0](#r0-a-threat) | a threat | 12 things | yes |" in text
    assert "| **no: 3 breaches** |" in text
    assert "**breach** in trial 0: nothing is there" in text
    assert "| [R8](#r8-a-threat) | a threat |  | not recorded |" in text
