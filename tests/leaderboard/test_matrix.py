"""The matrix: what it shows, and that whatever stops it, the same command ends with the same results."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.leaderboard.matrix import Cell, Matrix
from benchmarks.leaderboard.store import Result, read_results
from benchmarks.leaderboard.systems import System
from tests.conftest import ROOT
from tests.leaderboard.results import write

CONFIG = (ROOT / "configs/roman/tiny.toml").read_text(encoding="utf-8").replace("every = 250", "every = 5")
STEPS = 60


def test_the_picture_has_a_mark_for_every_cell(tmp_path: Path) -> None:
    states = {("roman", "rnn", 1): "done", ("roman", "rnn", 2): "running", ("speech_to_text", "rnn", 1): "failed"}
    cells = [Cell(task, System(name), seed, state=state) for (task, name, seed), state in states.items()]
    cells += [Cell("speech_to_text", System("rnn"), 2), Cell("roman", System("copy"), 1, state="left out")]
    lines = Matrix(cells, jobs=1, devices=(), logs=tmp_path).picture().splitlines()
    assert lines[0].split() == ["rnn", "copy"]
    assert lines[1].split() == ["roman", "+>", "-"]
    assert lines[2].split() == ["speech_to_text", "!."]
    assert lines[3].startswith(". waiting  > running  + done  - left out  ! failed")


def matrix(folder: Path, name: str) -> subprocess.Popen[str]:
    """Two systems of two seeds each, two at a time."""
    words = [sys.executable, "-m", "benchmarks.leaderboard", "run", "--tasks", "roman", "--systems"]
    words += ["one=one.toml", "two=two.toml", "--budget", "full", "--seeds", "2", "--jobs", "2"]
    words += ["--results", f"{name}/results", "--runs", f"{name}/runs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def rows(folder: Path) -> dict[tuple[str, int], Result]:
    """What was measured, without what it cost."""
    return {(one["system"], one["seed"]): one["metrics"] for one in read_results(folder)}


def until_saved(folder: Path) -> None:
    """Some training has a checkpoint and none is finished."""
    while not list(folder.glob("runs/roman/*/checkpoints/*")):
        time.sleep(0.05)


def cells_of(matrix: int) -> list[int]:
    """Its children."""
    return [int(pid) for pid in Path(f"/proc/{matrix}/task/{matrix}/children").read_text().split()]


@pytest.mark.slow
def test_whatever_stops_it_the_same_command_ends_with_the_same_results(tmp_path: Path) -> None:
    for name, width in (("one", 32), ("two", 48)):
        text = CONFIG.replace("width = 96", f"width = {width}").replace(
            "steps = 750", f"steps = {STEPS}\nlog_every = 5"
        )
        write(tmp_path / f"{name}.toml", text)
    whole = matrix(tmp_path, "whole")
    assert whole.wait() == 0
    expected = rows(tmp_path / "whole/results")
    assert sorted(expected) == [("one", 1), ("one", 2), ("two", 1), ("two", 2)]

    # killed with its cells; then asked to stop; then killed without them, which go on; then left in peace
    killed = matrix(tmp_path, "broken")
    until_saved(tmp_path / "broken")
    for process in (*cells_of(killed.pid), killed.pid):
        os.kill(process, signal.SIGKILL)
    killed.wait()
    asked = matrix(tmp_path, "broken")
    time.sleep(1.0)
    while len(cells_of(asked.pid)) < 2:
        time.sleep(0.05)
    asked.send_signal(signal.SIGTERM)
    assert asked.wait() == 130
    orphaned = matrix(tmp_path, "broken")
    while len(cells_of(orphaned.pid)) < 2:
        time.sleep(0.05)
    time.sleep(1.0)
    orphaned.kill()
    orphaned.wait()
    last = matrix(tmp_path, "broken")
    assert last.wait() == 0
    assert rows(tmp_path / "broken/results") == expected
    for one in (whole, killed, asked, orphaned, last):
        assert one.stderr is not None
        one.stderr.close()
