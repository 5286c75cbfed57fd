"""Where results are written: pipes and devices, folders that are not there, and two runs begun in one second."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from core.cli import dispatch
from core.errors import ConfigError
from core.run.folder import RunFolder, claimed
from tasks.roman import TASK as ROMAN

TASK = replace(ROMAN, read=None)  # which takes any text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hardly trained model."""
    folder = tmp_path_factory.mktemp("roman") / "run"
    config = Path(__file__).parents[2] / "configs" / "roman" / "tiny.toml"
    short = ("train.steps=2", "train.evaluate_every=2", "train.evaluate_records=4", "save.every=2", "search.beams=2")
    assert dispatch("train", lambda: TASK, "roman", [str(config), *short, "--run", str(folder)]) == 0
    return folder


def typed(verb: str, *words: str | Path) -> int:
    return dispatch(verb, lambda: TASK, TASK.name, [str(word) for word in words])


def through_pipe(pipe: Path, verb: str, *words: str | Path) -> tuple[int, str]:
    """Exit code, and what came out at the other end of a named pipe."""
    os.mkfifo(pipe)
    begin = os.open(pipe, os.O_RDWR)  # so that nobody waits, whatever happens to the pipe
    said: list[str] = []
    code: list[int] = []
    worker = threading.Thread(target=lambda: code.append(typed(verb, *words)))
    worker.start()
    worker.join()
    os.set_blocking(begin, False)
    try:
        said.append(os.read(begin, 65536).decode())
    except BlockingIOError:
        said.append("")
    os.close(begin)
    return code[0], said[0]


def test_a_pipe_is_written_to_and_never_replaced(run: Path, tmp_path: Path) -> None:
    inputs, pipe = tmp_path / "in.txt", tmp_path / "pipe"
    inputs.write_text("12\n\n13\n")
    code, said = through_pipe(pipe, "predict", run, inputs, "--output", pipe)
    assert (code, said.count("\n"), pipe.is_fifo()) == (0, 3, True)
    (tmp_path / "dev.jsonl").write_text('{"source": "1", "target": "I"}\n')
    scores = tmp_path / "scores"
    code, said = through_pipe(scores, "evaluate", run, "--data", tmp_path / "dev.jsonl", "--json", scores)
    assert (code, json.loads(said)["n"], scores.is_fifo()) == (0, 1, True)


def test_where_scores_cannot_go_is_said_before_decoding(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert typed("evaluate", run, "--json", tmp_path / "nowhere" / "scores.json") == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"no such folder {tmp_path / 'nowhere'}" in said.err
    assert typed("evaluate", run, "--json", tmp_path) == 2


def test_more_answers_than_the_run_has_beams_take_more_beams(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("12\n")
    capsys.readouterr()
    assert typed("predict", run, tmp_path / "in.txt", "--n-best", "4") == 0  # the run's search has two
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert typed("predict", run, tmp_path / "in.txt", "--n-best", "4", "search.beams=3") == 2


def test_two_runs_begun_in_one_second_have_two_folders(tmp_path: Path) -> None:
    wanted = RunFolder(tmp_path / "runs" / "task" / "20260102-030405-tiny")
    first, second = claimed(wanted, named=False), claimed(wanted, named=False)
    assert (first.path, second.path.name) == (wanted.path, f"{wanted.path.name}-2")
    assert claimed(wanted, named=True).path == wanted.path  # empty: whoever names it may have it
    (wanted.path / "config.toml").touch()
    with pytest.raises(ConfigError, match="in the meantime"):
        claimed(wanted, named=True)
