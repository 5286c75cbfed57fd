"""Processes of one training: together they compute what one would, go on where others stopped, and name who is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.scale.launching import ended, launched

FEW = "rnn-copy,transformer-layer-sinusoidal-relu"
MANY = f"{FEW},transformer-learned-post-grouped,transformer-near-relative,conformer-near,conv-copy-without-places,rnn-plain-summary"
ROMAN = ("-m", "tasks.roman.train", "configs/roman/tiny.toml", "train.threads=1", "train.report=false")
SHORT = (
    "train.steps=6",
    "train.evaluate_every=3",
    "train.evaluate_records=20",
    "train.final_records=20",
    "save.every=2",
)


def learned(out: Path, world: int, kind: str, names: str) -> dict[str, torch.Tensor]:
    found = ended(launched(world, ["tests/scale/program.py", out, kind, "120", names]), 1500)
    assert [code for code, *_ in found] == [0] * world, found[0][2][-2000:]
    return load_file(out)


def must_agree(many: dict[str, torch.Tensor], one: dict[str, torch.Tensor]) -> None:
    """Gradients (their moments), weights and averages in float64; sums of losses are kept in float32."""
    assert many.keys() == one.keys()
    for name, expected in one.items():
        loose = name.endswith(("loss", "tally.loss"))
        torch.testing.assert_close(
            many[name],
            expected,
            rtol=1e-5 if loose else 1e-9,
            atol=1e-10,
            msg=lambda said, name=name: f"{name}: {said}",
        )


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    """With batches of fewer records than processes among theirs."""
    must_agree(learned(tmp_path / "2", 2, "ddp", FEW), learned(tmp_path / "1", 1, "ddp", FEW))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
@pytest.mark.parametrize("world", [2, 4])
def test_any_number_of_processes_learns_what_one_does(tmp_path: Path, world: int, kind: str) -> None:
    must_agree(learned(tmp_path / "many", world, kind, MANY), learned(tmp_path / "one", 1, kind, MANY))


def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    """Parts of weights and of moments are written whole; the first process alone writes and speaks."""
    run = tmp_path / "run"
    found = ended(launched(2, [*ROMAN, *SHORT, "train.parallel=fsdp", "--run", run]), 240)
    assert [code for code, *_ in found] == [0, 0], found[0][2][-2000:]
    assert "roman, dev" in found[0][2]
    assert f"run: {run}" in found[0][1]
    assert found[1][1] == ""
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == [3, 6, 6]
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("steps = 6", "steps = 8"))
    (run / "metrics.json").unlink()
    ((code, out, err),) = ended(
        launched(1, ["-m", "tasks.roman.train", "--run", run, "--resume", "--force", "train.steps"]), 240
    )
    assert code == 0, err[-2000:]
    assert "step      8" in err
    assert f"run: {run}" in out


def begun(run: Path, seconds: float = 200) -> None:
    """Once it has learned something."""
    end = time.monotonic() + seconds
    while not (run / "log.jsonl").is_file() or not (run / "log.jsonl").read_text():
        assert time.monotonic() < end, "the training does not begin"
        time.sleep(0.2)


def endless(run: Path, patience: int) -> list[subprocess.Popen[str]]:
    settings = ("train.steps=100000", "train.evaluate_every=100000", "train.log_every=5", "save.every=5")
    return launched(2, [*ROMAN, *settings, f"train.patience_seconds={patience}", "--run", run])


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["stands still", "is killed"])
def test_who_is_missing_is_named(tmp_path: Path, how: signal.Signals) -> None:
    patience = 20
    processes = endless(tmp_path / "run", patience)
    try:
        begun(tmp_path / "run")
        os.kill(processes[1].pid, how)
        since = time.monotonic()
        (found,) = ended(processes[:1], 4 * patience)
        took = time.monotonic() - since
    finally:
        for one in processes:
            one.kill()
            one.communicate()
    code, _, err = found
    assert code == 5, err[-2000:]
    assert took < 2 * patience
    if how is signal.SIGSTOP:
        assert "rank 1 (" in err
    else:
        assert "rank 1" in err or "connection" in err


@pytest.mark.slow
def test_a_signal_to_any_process_stops_all_with_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    processes = endless(run, 60)
    begun(run)
    processes[1].send_signal(signal.SIGTERM)
    found = ended(processes, 120)
    assert [code for code, *_ in found] == [143, 143], found[0][2][-2000:]
    assert (run / "checkpoints" / "last" / "manifest.json").is_file()
    assert "saved at step" in found[0][2]
