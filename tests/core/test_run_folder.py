"""A run folder in use: one training at a time, signals at any moment, and what its checkpoints say of themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.cli import dispatch
from core.errors import ConfigError
from core.record import Record
from core.train.lock import alone
from tasks.roman import TASK

ROOT = Path(__file__).parents[2]
TINY = ROOT / "configs" / "roman" / "tiny.toml"
SHORT = ("train.steps=4", "train.evaluate_every=2", "train.evaluate_records=4", "save.every=2", "model.dropout=0.0")


def typed(verb: str, *words: str | Path, task: Any = TASK) -> int:
    return dispatch(verb, lambda: task, task.name, [str(word) for word in words])


@contextmanager
def training_elsewhere(folder: Path) -> Generator[subprocess.Popen[str], None, None]:
    """Another process that holds the folder as a training does."""
    program = "import sys; from pathlib import Path; from core.train.lock import alone\n"
    program += "with alone(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All steps done, the last evaluation not."""
    folder = tmp_path_factory.mktemp("roman") / "run"
    assert typed("train", TINY, *SHORT, "--run", folder) == 0
    (folder / "metrics.json").unlink()
    return folder


def test_a_second_training_in_a_folder_is_refused_and_a_dead_one_blocks_nobody(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    beside = unfinished / "checkpoints" / "last.new"
    moved = tmp_path / "moved"
    with training_elsewhere(unfinished) as other:
        beside.mkdir()
        assert typed("train", "--run", unfinished, "--resume") == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert f"{unfinished}: process {other.pid} is training there" in said.err
        assert beside.is_dir(), "what the other is writing must not be swept"
        unfinished.rename(moved)
        assert typed("train", "--run", moved, "--resume") == 2
        moved.rename(unfinished)
    assert (unfinished / ".lock").is_file(), "it was killed"
    assert typed("train", "--run", unfinished, "--resume") == 0
    assert not (unfinished / ".lock").exists()


def test_a_new_run_is_not_begun_where_another_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with training_elsewhere(tmp_path):
        assert typed("train", TINY, *SHORT, "--run", tmp_path) == 2
        assert "is training there" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == [".lock"]
    assert typed("train", TINY, *SHORT, "--run", tmp_path, "--resume") == 0, "a lock alone is no run"


def test_who_has_just_taken_the_lock_is_named_too(tmp_path: Path) -> None:
    """Between the lock and the number in it there is a moment."""
    program = "import fcntl, os, sys, time; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX)\n"
    program += "print(1, flush=True); time.sleep(0.3); print(os.getpid(), file=file, flush=True); time.sleep(60)"
    command = [sys.executable, "-c", program, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(ConfigError, match=f"process {other.pid} is training there"), alone(tmp_path):
                pass
        finally:
            other.kill()


def test_the_best_checkpoint_says_which_step_is_best(unfinished: Path) -> None:
    for name in ("best", "last"):
        facts = json.loads((unfinished / "checkpoints" / name / "trainer.json").read_text())
        assert facts["best_step"] == 4
        assert facts["evaluated"] == facts["step"] == 4
        assert facts["best"] is not None


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGUSR1, 85), (signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["USR1", "TERM", "INT"]
)
def test_a_signal_before_the_first_step_has_its_exit_code(
    number: signal.Signals, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def numbers(*asked: Any) -> Iterator[Record]:
        os.kill(os.getpid(), number)
        yield from TASK.sources["numbers"](*asked)

    before = signal.getsignal(number)
    slow = replace(TASK, sources={"numbers": numbers})
    assert typed("train", TINY, *SHORT, "--run", tmp_path / "run", task=slow) == code
    assert f"stopped by {number.name}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert signal.getsignal(number) is before


def test_a_signal_leaves_no_half_written_answers(unfinished: Path, tmp_path: Path) -> None:
    def read(*asked: Any) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return ""

    (tmp_path / "in.txt").write_text("12\n")
    output = tmp_path / "out.txt"
    interrupted = replace(TASK, read=read)
    assert typed("predict", unfinished, tmp_path / "in.txt", "--output", output, task=interrupted) == 143
    assert [one.name for one in tmp_path.iterdir()] == ["in.txt"]


def test_as_text_every_input_has_as_many_lines_as_were_asked_for(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("12\n\nseven\n13\n")
    capsys.readouterr()
    assert typed("predict", unfinished, tmp_path / "in.txt", "--n-best", "3") == 3
    lines = capsys.readouterr().out.split("\n")
    assert lines.pop() == ""
    assert len(lines) == 4 * 3
    assert all(lines[0:3] + lines[9:12])
    assert not any(lines[3:9]), "a blank input, then one that was refused"


def test_the_scores_at_the_end_can_be_of_a_part_of_dev_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("train", TINY, *SHORT, "train.final_records=7", "--run", tmp_path / "run") == 0
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["n"] == 7
    assert found["of"] == json.loads((tmp_path / "run" / "run.json").read_text())["records"]["dev"] > 7
    said = f"7 of {found['of']:,} "
    assert said + "records" in capsys.readouterr().err
    assert f"on {said}dev records" in (tmp_path / "run" / "card.md").read_text()
    assert f"On {said}dev records" in (tmp_path / "run" / "report.html").read_text()
