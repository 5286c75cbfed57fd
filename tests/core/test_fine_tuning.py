"""Runs that begin from a run: whole in themselves, resumed to the bit, and honest about what they forgot."""

from __future__ import annotations

import json
import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.cli import EvaluateArguments, TrainArguments, dispatch
from core.config_toml import Loaded, load
from core.errors import Interrupted
from core.registry import installed_tasks
from core.run.evaluation import evaluate
from core.run.folder import RunFolder, read_json
from core.run.stored import load_run, others_of
from core.run.training import train
from core.settings import run_config
from core.task import Task
from core.testing.task_case import task_case
from core.testing.training_laws import Killed, TrainingCase, training_case
from core.train.adapters import plain_weights
from core.train.checkpoint import read_checkpoint

ROMAN = installed_tasks()["roman"]
OTHER = replace(ROMAN, name="other")
TINY = (
    "task.largest=120",
    "batch.tokens=400",
    "model.kind=transformer",
    "model.width=8",
    "model.heads=2",
    "model.inner=12",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "train.steps=4",
    "train.lr=0.01",
    "train.warmup=2",
    "train.evaluate_every=4",
    "train.report=false",
    "train.device=cpu",
    "train.precision=fp32",
    "train.evaluate_records=5",
    "train.final_records=5",
    "search.beams=2",
    "search.length_ratio=1.0",
    "search.length_extra=3",
)


def trained(folder: Path, *settings: str, task: Task[Any] = ROMAN) -> RunFolder:
    """A run of a few steps."""
    cfg = load(run_config(task.config), None, (*TINY, *settings))
    train(task, TrainArguments(cfg, folder, resume=False, show=False, dry_run=False, config_path=None))
    return RunFolder(folder)


def best(run: RunFolder) -> dict[str, torch.Tensor]:
    """Weights of its best checkpoint."""
    found = read_checkpoint(run.best)
    assert found is not None
    return found.weights


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("old") / "run")


@pytest.fixture(scope="module")
def tuned(old: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """With adapters; the run that it began from is gone."""
    folder = tmp_path_factory.mktemp("tuned")
    shutil.copytree(old.path, folder / "old")
    run = trained(
        folder / "run", f"train.init_from={folder / 'old'}", "train.lora=2", "task.largest=140", "train.report=true"
    )
    shutil.rmtree(folder / "old")
    return run


def test_adapters_leave_the_weights_as_they_were(old: RunFolder, tuned: RunFolder) -> None:
    before, after = best(old), best(tuned)
    added = set(after) - set(before)
    assert added
    assert all(name.endswith((".up", ".down")) for name in added)
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert any(bool(after[name].any()) for name in added if name.endswith(".up"))


def test_it_says_how_much_is_trained(old: RunFolder, tuned: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    facts, plain = read_json(tuned.facts), read_json(old.facts)
    added = sum(one.numel() for name, one in best(tuned).items() if name.endswith((".up", ".down")))
    assert facts["trainable"] == added
    assert facts["parameters"] == plain["parameters"] + added
    assert plain["trainable"] == plain["parameters"]
    said = f"{facts['parameters']:,} parameters ({added:,} trainable)"
    assert said in tuned.card.read_text()
    assert said.split(" (")[0] in (tuned.path / "report.html").read_text()


def test_it_says_what_was_forgotten(old: RunFolder, tuned: RunFolder) -> None:
    found = read_json(tuned.metrics)["forgetting"]
    assert found["split"] == "dev"
    assert found["sha256"] == read_json(old.metrics)["sha256"]
    assert found["n"] == read_json(old.metrics)["n"]
    for name, one in read_json(old.metrics)["metrics"].items():
        assert found["before"][name] == one, "the old run's own scores"
        assert 0 <= found["after"][name]["value"] <= 100
    for page in (tuned.card, tuned.path / "report.html"):
        assert "What it knew" in page.read_text()
    assert "forgetting" not in read_json(old.metrics)


def test_the_folder_alone_answers(tuned: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """Evaluated again it has the very scores that training ended with."""
    file = tuned.path.parent / "again.json"
    arguments = EvaluateArguments(
        run=tuned.path, split="dev", overrides=(), data=None, by=None, json=file, predictions=None
    )
    assert evaluate(ROMAN, arguments) == 0
    again = json.loads(file.read_text())["metrics"]
    assert again == read_json(tuned.metrics)["metrics"]
    run = load_run(ROMAN, tuned)
    assert len(others_of(run, [tuned.path])) == 1, "such runs decide together"


@pytest.mark.parametrize("how", [("train.lora=2",), ("train.freeze=['encoder']", "train.average=last")])
def test_a_resume_needs_no_other_run(how: tuple[str, ...], old: RunFolder, tmp_path: Path) -> None:
    """Stopped in the middle, the run begun from deleted, resumed: as if nothing had happened, bit for bit."""
    shutil.copytree(old.path, tmp_path / "old")
    settings = (*TINY, f"train.init_from={tmp_path / 'old'}", *how)
    cfg = load(run_config(ROMAN.config), None, settings).config
    case = training_case(task_case(ROMAN, cfg))
    case = replace(case, config=replace(case.config, model=cfg.model))
    unbroken = case.unbroken
    for share, begin in ((0.0, die), (0.6, stop)):
        folder = tmp_path / f"run {share}"
        begin(case, folder, int(share * unbroken.seen))
        (tmp_path / "old").rename(tmp_path / "gone")
        case.run(folder, None).must_equal(unbroken, f"{begin.__name__} at {share}")
        (tmp_path / "gone").rename(tmp_path / "old")


def stop(case: TrainingCase, folder: Path, at: int) -> None:
    """By a signal."""
    with suppress(Interrupted):
        case.run(folder, case.config, lambda n: signal.raise_signal(signal.SIGTERM) if n == at else None)


def die(case: TrainingCase, folder: Path, at: int) -> None:
    """Without another word."""

    def killed(n: int) -> None:
        if n == at:
            raise Killed

    with suppress(Killed):
        case.run(folder, case.config, killed)


def test_a_run_with_adapters_can_be_begun_from(tuned: RunFolder, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", f"train.init_from={tuned.path}", "train.freeze=['encoder']")
    sums = plain_weights(load_run(ROMAN, tuned).model)
    found = best(run)
    assert found.keys() == sums.keys()
    for name, one in found.items():
        if name.startswith("encoder."):
            assert torch.equal(one, sums[name]), name
    assert any(not torch.equal(one, sums[name]) for name, one in found.items() if name.startswith("decoder."))


def test_a_run_of_another_task(old: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has the old one's tokenizers, and can still be asked what the old one was."""
    run = trained(tmp_path / "run", f"train.init_from={old.path}", task=OTHER)
    found = read_json(run.metrics)["forgetting"]
    assert found["task"] == "roman"
    assert found.keys() >= {"before", "after"}
    checkpoint, began = read_checkpoint(run.best), read_checkpoint(old.best)
    assert checkpoint is not None
    assert began is not None
    assert checkpoint.codecs == began.codecs
    assert "exact@1" in capsys.readouterr().out


def test_tokenizers_of_its_own(old: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to 420 there is a D, which the old run never saw: its row is new, and is trained beside the adapters."""
    new = ("task.largest=420", f"train.init_from={old.path}", "train.lora=2")
    run = trained(tmp_path / "own", *new, "train.init_codecs=data")
    begun = read_json(run.facts)["begun"]
    assert set(begun["partly"]) == {"embedding.weight", "head.bias"}
    assert "by symbol: embedding.weight, head.bias" in capsys.readouterr().err
    assert not torch.equal(best(run)["embedding.weight"][:4], best(old)["embedding.weight"][:4])
    assert "after" in read_json(run.metrics)["forgetting"], "the same task can be answered in other symbols"
    trained(tmp_path / "old", *new)
    assert "of the targets' symbols are unknown to its tokenizers" in capsys.readouterr().err


def test_without_the_old_data_it_says_why(old: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(old.path, tmp_path / "old")
    config = tmp_path / "old" / "config.toml"
    text = config.read_text()
    config.write_text(text.replace('source = "builtin"', 'source = "jsonl"').replace("path = []", 'path = ["nowhere"]'))
    assert config.read_text() != text
    run = trained(tmp_path / "run", f"train.init_from={tmp_path / 'old'}")
    assert "nowhere" in read_json(run.metrics)["forgetting"]["skipped"]
    assert "not measured: " in capsys.readouterr().out
    quiet = trained(tmp_path / "quiet", f"train.init_from={tmp_path / 'old'}", "train.forgetting=false")
    assert "forgetting" not in read_json(quiet.metrics)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("train.init_from=nowhere",), "train.init_from = 'nowhere': nowhere: no such run folder"),
        (("train.init_from=OLD", "model.width=12"), "no matrix of its layers fits: model.width: 8 -> 12"),
        (("train.init_from=OLD", "train.freeze=['features']"), "train.freeze: this model has no features"),
        (("train.lora=2",), "train.lora = 2: adapters are for weights that a run has learned"),
        (("train.freeze=['encodr']",), "did you mean encoder?"),
        (("train.init_from=OLD", "train.init_codecs=new"), "must be one of run, data"),
    ],
)
def test_what_cannot_be_is_one_line(
    settings: tuple[str, ...], said: str, old: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [one.replace("OLD", str(old.path)) for one in settings]
    assert dispatch("train", lambda: ROMAN, "roman", ["--run", str(tmp_path / "run"), *TINY, *named]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("error: ") == 1
    assert not (tmp_path / "run").exists()


def test_a_task_with_codecs_of_its_own_cannot_read_with_others(
    old: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = installed_tasks()["code_synthesis"]
    words = [
        "--run",
        str(tmp_path / "run"),
        *TINY[2:],
        "data.source=tiny",
        "search.n_best=2",
        f"train.init_from={old.path}",
    ]
    assert dispatch("train", lambda: task, task.name, words) == 2
    assert (
        'cannot read with the tokenizers of roman; train.init_codecs = "data" gives it its own'
        in capsys.readouterr().err
    )


def test_a_damaged_run_is_refused(old: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(old.path, tmp_path / "old")
    weights = tmp_path / "old" / "checkpoints" / "best" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    words = ["--run", str(tmp_path / "run"), *TINY, f"train.init_from={tmp_path / 'old'}"]
    assert dispatch("train", lambda: ROMAN, "roman", words) == 3
    assert "weights.safetensors is corrupt" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_trained(
    old: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = load(run_config(ROMAN.config), None, (*TINY, f"train.init_from={old.path}", "train.lora=2"))
    train(ROMAN, TrainArguments(Loaded(cfg.config, {}), None, resume=False, show=False, dry_run=True, config_path=None))
    assert " trainable)" in capsys.readouterr().out
