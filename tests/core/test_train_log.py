"""What a run says, what it hears, and what it writes down about where it ran."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import ConfigError
from core.run.resuming import machine_changes
from core.train.config import TrainConfig
from core.train.environment import describe, git_revision
from core.train.log import Log, clock, read_line
from core.train.signals import ASKED, StopSignals
from core.train.steps import StepStats

ROOT = Path(__file__).parents[2]
CFG = TrainConfig(steps=100)


def stats(step: int) -> StepStats:
    return StepStats(step, 1, 2.5, 1e-3, 0.7, 12_345.6, 0.05, 61.0)


def steps(path: Path) -> list[tuple[str, int]]:
    return [read_line(line) for line in path.read_bytes().splitlines(keepends=True)]


# --- log.jsonl -----------------------------------------------------------------------------------------------------


def test_one_json_line_an_event_and_one_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Log(tmp_path / "log.jsonl", CFG, from_step=0) as log:
        log.training(stats(50))
        log.evaluation(50, {"bleu": 12.345}, 3.2)
        assert len(steps(tmp_path / "log.jsonl")) == 2, "on the disk while the run goes on"
    train, evaluate = (json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())
    assert (train["event"], train["step"], train["loss"], train["norm"]) == ("train", 50, 2.5, 0.7)
    assert (evaluate["event"], evaluate["step"], evaluate["metrics"]) == ("evaluate", 50, {"bleu": 12.345})
    said = capsys.readouterr()
    assert said.out == ""
    assert "loss 2.500" in said.err
    assert "12,346 tokens/s" in said.err
    assert "1:01 left" in said.err
    assert "bleu 12.35" in said.err or "bleu 12.34" in said.err


@pytest.mark.parametrize(
    ("from_step", "evaluated", "kept"),
    [
        (20, 20, [("train", 10), ("train", 20), ("evaluate", 20)]),
        (20, 10, [("train", 10), ("train", 20)]),  # saved before the evaluation was over: it will be said again
        (15, 0, [("train", 10)]),
        (0, 0, []),
        (30, 20, [("train", 10), ("train", 20), ("evaluate", 20), ("train", 30)]),
    ],
)
def test_a_resumed_log_forgets_what_will_be_said_again(
    tmp_path: Path, from_step: int, evaluated: int, kept: list[tuple[str, int]]
) -> None:
    path = tmp_path / "log.jsonl"
    with Log(path, CFG, from_step=0) as log:
        log.training(stats(10))
        log.training(stats(20))
        log.evaluation(20, {"bleu": 1.0}, 1.0)
        log.training(stats(30))
    with path.open("ab") as file:
        file.write(b'{"event": "train", "step": 1')  # cut off by a crash
    with Log(path, CFG, from_step=from_step, evaluated=evaluated) as log:
        log.training(stats(99))
    assert steps(path) == [*kept, ("train", 99)]


def test_torn_lines_belong_to_no_step() -> None:
    assert read_line(b'{"event": "train", "step": 3}\n') == ("train", 3)
    for torn in (b'{"event": "train", "step": 3}', b'{"event": "tra\n', b"\xff\n", b"[]\n", b'{"step": 3}\n'):
        assert read_line(torn)[1] > 10**9


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Log(tmp_path / "log.jsonl", CFG, from_step=20) as log:
        log.training(stats(50))
        log.evaluation(50, {"bleu": 12.5}, 3.2)
    shown = screen.getvalue()
    assert "50/100" in shown
    assert "loss 2.500, 12,346 tokens/s, 1:01 left" in shown
    assert "dev: bleu 12.50" in shown


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0.4, 61, 3600, 3661.6)] == ["0:00", "1:01", "1:00:00", "1:01:02"]


def test_tensorboard_on_request(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    script = (
        "from pathlib import Path; from core.train.log import Log; from core.train.config import TrainConfig\n"
        "from core.train.steps import StepStats\n"
        f"with Log(Path({str(tmp_path)!r}) / 'log.jsonl', TrainConfig(tensorboard=True), from_step=0) as log:\n"
        "    log.training(StepStats(50, 1, 2.5, 1e-3, 0.7, 1.0, 0.05, 61.0))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = list((tmp_path / "tensorboard").iterdir())
    assert b"loss" in written[0].read_bytes()


def test_tensorboard_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(ConfigError, match=r"train\.tensorboard needs tensorboard: pip install"):
        Log(tmp_path / "log.jsonl", replace(CFG, tensorboard=True), from_step=0)
    assert list(tmp_path.iterdir()) == []


# --- signals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ASKED, ids=lambda number: number.name)
def test_a_signal_is_noted_and_old_handlers_come_back(number: int, capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(one) for one in ASKED]
    with StopSignals() as signals:
        assert signals.received() is None
        signal.raise_signal(number)
        assert signals.received() == number
    assert [signal.getsignal(one) for one in ASKED] == before
    assert "once more to stop at once" in capfd.readouterr().err


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGTERM"), ("SIGUSR1", "SIGINT")])
def test_the_second_signal_ends_at_once(first: str, second: str) -> None:
    script = (
        "import signal; from core.train.signals import StopSignals\n"
        "try:\n"
        "    with StopSignals():\n"
        f"        signal.raise_signal(signal.{first}); print('goes on', flush=True)\n"
        f"        signal.raise_signal(signal.{second}); print('still there', flush=True)\n"
        "finally: print('cleaned up', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "goes on\n"
    assert done.returncode == 128 + signal.Signals[second]


# --- environment ---------------------------------------------------------------------------------------------------


def test_facts_are_plain_and_say_what_matters() -> None:
    facts = describe(torch.device("cpu"), "fp32")
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["threads"] == torch.get_num_threads()
    assert facts["cpu capability"] == torch.backends.cpu.get_cpu_capability()
    assert facts["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert "cores" in facts["hardware"]


def test_what_makes_a_resume_inexact_is_named_with_both_values() -> None:
    facts = describe(torch.device("cpu"), "fp32")
    assert machine_changes(facts, describe(torch.device("cpu"), "fp32")) == []
    other = {**facts, "threads": 96, "versions": {**facts["versions"], "torch": "9.9", "python": "3.99"}}
    assert list(map(str, machine_changes(facts, other))) == [
        f"threads: {facts['threads']} -> 96",
        f'torch: "{facts["versions"]["torch"]}" -> "9.9"',
    ]
    for name, fact in (("cpu", "cpu capability"), ("device", "device"), ("precision", "precision")):
        assert list(map(str, machine_changes(facts, {**facts, fact: "x"}))) == [f'{name}: "{facts[fact]}" -> "x"']


def test_no_revision_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert git_revision() is None
