"""Processes of one training: together they compute what one would, go on where others stopped, and end where one is missing."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.train.checkpoint import read_checkpoint
from tests.scale.launching import Started, all_ended, begun, launched, typed
from tests.scale.program import learn, roman, stray

FEW = ("rnn-copy", "transformer-layer-sinusoidal-relu")
MANY = (
    *FEW,
    "transformer-learned-post-grouped",
    "transformer-near-relative",
    "conformer-near",
    "conv-copy-without-places",
    "rnn-plain-summary",
)
TINY = ("configs/roman/tiny.toml", "train.threads=1", "train.report=false", "model.dropout=0")
SHORT = (
    "train.steps=6",
    "train.evaluate_every=3",
    "train.evaluate_records=1",
    "train.final_records=20",
    "train.log_every=1",
    "save.every=2",
)


def learned(place: Path, world: int, kind: str, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    out = place / f"{world}.safetensors"
    found = all_ended(launched(world, place, learn, out, kind, names), 1500)
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
    must_agree(learned(tmp_path, 2, "ddp", FEW), learned(tmp_path, 1, "ddp", FEW))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
@pytest.mark.parametrize("world", [2, 4])
def test_any_number_of_processes_learns_what_one_does(tmp_path: Path, world: int, kind: str) -> None:
    must_agree(learned(tmp_path, world, kind, MANY), learned(tmp_path, 1, kind, MANY))


def lines(run: Path, event: str = "train") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in found if line["event"] == event]


def trained(place: Path, world: int, run: Path, *words: str) -> list[tuple[int, str, str]]:
    return all_ended(launched(world, place, roman, [*words, "--run", str(run)]), 1000)


def longer(run: Path, steps: int) -> None:
    """As if it had been stopped before."""
    config = (run / "config.toml").read_text()
    before = json.loads((run / "metrics.json").read_text())["step"]
    (run / "config.toml").write_text(config.replace(f"steps = {before}\n", f"steps = {steps}\n"))
    (run / "metrics.json").unlink()


def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    """Parts of weights and of moments are written whole; the first process alone writes and speaks; a line is of all of them."""
    run = tmp_path / "run"
    found = trained(tmp_path, 2, run, *TINY, *SHORT, "train.parallel=fsdp")
    assert [code for code, *_ in found] == [0, 0], found[0][2][-2000:]
    assert "roman, dev" in found[0][2]
    assert f"run: {run}" in found[0][1]
    assert found[1][1:] == ("", "")
    longer(run, 8)
    ((code, out, err),) = trained(tmp_path, 1, run, "--resume", "--force", "train.steps")
    assert code == 0, err[-2000:]
    assert f"run: {run}" in out
    ((code, _, err),) = trained(tmp_path, 1, tmp_path / "alone", *TINY, *SHORT, "train.steps=8")
    assert code == 0, err[-2000:]
    one, many = lines(tmp_path / "alone"), lines(run)
    assert [line["step"] for line in many] == [line["step"] for line in one] == list(range(1, 9))
    for name in ("loss", "norm", "lr"):  # of the last two the rate is another: there were six steps at first
        assert [line[name] for line in many[:6]] == pytest.approx([line[name] for line in one[:6]], rel=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_then_one_then_four(tmp_path: Path, kind: str) -> None:
    """What a checkpoint of so many processes holds, others put back to the bit."""
    run = tmp_path / "run"
    for world, steps, words in (
        (2, 6, (*TINY, *SHORT, f"train.parallel={kind}")),
        (1, 8, ()),
        (4, 10, ()),
        (2, 12, ()),
    ):
        if not words:
            longer(run, steps)
            words = ("--resume", "--force", "train.steps")
        found = trained(tmp_path, world, run, *words)
        assert [code for code, *_ in found] == [0] * world, found[0][2][-2000:]
        last = read_checkpoint(run / "checkpoints" / "last")
        assert last is not None
        assert last.step == steps
        assert last.facts["environment"]["processes"] == world
    assert [line["step"] for line in lines(run)] == list(range(1, 13))


STRAYS = {
    "takes another batch": "rank 1 ({who}) is at step 5, (epoch, window, batch) (0, 1, 3); the others at step 5, (0, 1, 2)",
    "has other weights": "the weights' checksum is",
    "goes to another exchange": "rank 1 ({who}) came to 'an evaluation of its own' where rank 0 ",
    "fails": "rank 1 ({who}) has ended: a file of this machine is gone",
}


# Which exchange a process went to is told by its pulse, which a busy machine may bring too late: then nobody is named.
LATE = "goes to another exchange"


@pytest.mark.parametrize("how", [pytest.param(how, marks=[pytest.mark.slow] * (how == LATE)) for how in STRAYS])
def test_who_strays_is_named(tmp_path: Path, how: str) -> None:
    """At once, or where the connection broke; a process that has ended by an error of its own has said why itself."""
    started = launched(2, tmp_path, stray, how, tmp_path / "out", 600.0)
    (code, _, err), (other, _, own) = all_ended(started, 1000)
    assert (code, other) == (5, 2 if how == "fails" else 5), err + own
    expected = STRAYS[how].format(who=f"{socket_name()}, process {started[1].process.pid}")
    assert expected in err, err
    assert "Traceback" not in err + own


def socket_name() -> str:
    import socket

    return socket.gethostname()


def test_nobody_is_named_where_nothing_happens(tmp_path: Path) -> None:
    found = all_ended(launched(2, tmp_path, stray, "nothing", tmp_path / "out", 600.0), 1000)
    assert found == [(0, "", "")] * 2


def endless(place: Path, run: Path, patience: int, world: int = 2) -> list[Started]:
    settings = ("train.steps=100000", "train.evaluate_every=100000", "train.log_every=5", "save.every=5")
    words = [*TINY, *settings, f"train.patience_seconds={patience}", "--run", str(run)]
    return launched(world, place, roman, words)


def test_who_is_killed_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    started = endless(tmp_path, run, 600)
    begun(run)
    started[1].kill(signal.SIGKILL)
    (code, _, err), (other, _, _) = all_ended(started, 1000)
    assert (code, other) == (5, -signal.SIGKILL), err
    assert f"rank 1 ({socket_name()}, process {started[1].process.pid}) is gone, last seen at" in err


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["stands still", "is killed"])
def test_who_is_missing_is_named_by_all_others_in_time(tmp_path: Path, how: signal.Signals, world: int) -> None:
    patience, run = 20, tmp_path / "run"
    started = endless(tmp_path, run, patience, world)
    begun(run)
    lost = world // 2
    started[lost].kill(how)
    since = time.monotonic()
    found = all_ended([one for one in started if one is not started[lost]], 4 * patience)
    took = time.monotonic() - since
    started[lost].process.kill()
    started[lost].process.join()
    name = f"rank {lost} ({socket_name()}, process {started[lost].process.pid})"
    for code, _, err in found:
        assert code == 5, err[-2000:]
        assert f"{name} has not moved for" in err if how is signal.SIGSTOP else f"{name} is gone" in err
    assert took < 2 * patience


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_signal_to_any_process_stops_all_with_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    started = endless(tmp_path, run, 60)
    begun(run)
    started[1].kill(signal.SIGTERM)
    found = all_ended(started, 120)
    assert [code for code, *_ in found] == [143, 143], found[0][2][-2000:]
    assert (run / "checkpoints" / "last" / "manifest.json").is_file()
    assert "saved at step" in found[0][2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("words", [("-m", "--"), ("-m",)], ids=["-m --", "-m"])
def test_as_a_user_types_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    """torchrun takes --run for an abbreviation of its own --run-path, unless `--` stands before."""
    run = tmp_path / "run"
    flag = "--run" if "--" in words else "--run-folder"
    process = typed(2, [*words, "tasks.roman.train", *TINY, *SHORT, flag, run])
    out, err = process.communicate(timeout=1000)
    assert process.returncode == 0, err[-2000:]
    assert out.count(f"run: {run}") == 1
    assert err.count("roman, dev") == 1
