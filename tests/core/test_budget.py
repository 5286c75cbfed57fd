"""`batch.tokens = "auto"`: the largest budget that memory has room for becomes a number before anything is learned."""

from __future__ import annotations

import json
import math
import resource
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from core.cli import main
from core.config import Impossible
from core.config_toml import load
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.errors import ConfigError
from core.model.build import build
from core.model.config import TransformerConfig
from core.run.folder import RunFolder
from core.run.learning import with_budget
from core.run.prepared import training_data
from core.settings import run_config
from core.testing.tiny import tiny_codecs, tiny_pairs
from core.train.budget import Budget, bisected, found_budget
from core.train.checkpoint import read_checkpoint
from core.train.config import TrainConfig
from core.train.memory import addressed
from core.train.ranks import ALONE, Ranks
from core.train.trainer import Trainer
from tasks.roman import TASK as ROMAN
from tests.scale.launching import FORKS

CPU = torch.device("cpu")
MIB = 2**20
LONGEST = 151
"""With the end."""


@pytest.mark.parametrize("most", [1, 2, 3, 17, 1000])
def test_bisection_finds_the_largest_to_a_sixteenth(most: int) -> None:
    for room in range(most + 3):
        asked: list[int] = []
        found = bisected(lambda n, room=room, asked=asked: (asked.append(n), n <= room)[1], most)
        best = min(room, most)
        assert found <= best
        assert best - found <= found / 16, (room, found)
        assert (found in asked) or not found
        assert max(asked) <= most
        assert len(asked) == len(set(asked)) <= 2 * math.log2(most) + 2


@cache
def examples() -> Examples:
    """They find no room all at once in what the tests leave."""
    return Examples.build(tiny_pairs(tiny_codecs(), 300, longest=LONGEST - 1))


def batches(tokens: int) -> TrainBatches:
    return TrainBatches(examples(), BatchConfig(tokens=tokens), 5)


def trainer_of(tokens: int, **train: object) -> Trainer:
    cfg = TransformerConfig(width=16, heads=4, encoder_layers=1, decoder_layers=1, inner=32, dropout=0.0)
    model = build(cfg, tiny_codecs(), seed=3)
    return Trainer(
        model, batches(tokens), replace(TrainConfig(precision="fp32", lr=1e-12), **train), seed=5, device=CPU
    )  # pyright: ignore[reportArgumentType]


def under_limits(rooms: list[int], out: Path) -> None:
    """In a process of its own: what is found where the system gives so many MiB more, and what a step then takes of them."""
    torch.set_num_threads(1)
    trainer_of(LONGEST).train_step(batches(LONGEST).largest())  # what is made once only
    found: list[list[float]] = []
    for room in rooms:
        limit = addressed() + room * MIB
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        one = found_budget(lambda: trainer_of(1), batches, ALONE)
        again = trainer_of(one.tokens)
        again.rehearse()
        again.train_step(again.batches.largest()[:1])
        undivided = again.gradients.room.most == 0
        over = trainer_of(4 * one.tokens)
        over.rehearse()
        found.append([one.tokens, one.left.size, one.left.by == "RLIMIT_AS", undivided, over.gradients.room.most > 0])
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    out.write_text(json.dumps(found))


@pytest.mark.timeout(1200)
def test_under_a_limit_of_the_system(tmp_path: Path) -> None:
    """Real steps of a real model: what was found has room, four times as much has none, and more memory finds more."""
    rooms, out = [40, 80], tmp_path / "found.json"
    child = FORKS.Process(target=under_limits, args=(rooms, out))
    child.start()
    child.join(1000)
    assert child.exitcode == 0
    found = json.loads(out.read_text())
    for room, (tokens, size, by_limit, undivided, over) in zip(rooms, found, strict=True):
        assert by_limit
        assert 0.7 * room * MIB < size <= 0.8 * room * MIB
        assert tokens % LONGEST == 0
        assert undivided, f"{tokens} tokens had no room after all"
        assert over, f"{4 * tokens} tokens had room in {room} MiB"
    assert found[0][0] < found[1][0]


def test_what_is_found_is_said() -> None:
    budget = found_budget(lambda: trainer_of(1), lambda tokens: replaced(tokens, most=3), ALONE)
    assert (budget.tokens, budget.records, budget.all_fit) == (453, 3, True)
    assert str(budget).startswith("batch.tokens = 453: found, as large as batches can be in ")
    assert json.loads(json.dumps(budget.tree()))["tokens"] == 453


def replaced(tokens: int, *, most: int) -> TrainBatches:
    found = batches(tokens)
    found.cfg = replace(found.cfg, most=most)
    return found


TINY = (
    "configs/roman/tiny.toml",
    "batch.tokens=auto",
    "batch.most=20",
    "train.steps=4",
    "train.warmup=2",
    "train.evaluate_every=2",
    "train.evaluate_records=4",
    "train.final_records=4",
    "train.threads=1",
    "train.report=false",
)


def test_the_run_has_the_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In its config, in its checkpoints and said once; who goes on asking for `auto` gets what was found."""
    run = tmp_path / "run"
    assert main("train", ROMAN, [*TINY, "--run", str(run)]) == 0
    said = capsys.readouterr().err
    stored = load(run_config(ROMAN.config), run / "config.toml").config
    tokens = stored.batch.tokens
    assert isinstance(tokens, int)
    assert tokens % 20 == 0
    assert said.count(f"batch.tokens = {tokens}: found, as large as batches can be in ") == 1
    assert json.loads((run / "run.json").read_text())["budget"]["tokens"] == tokens
    last = read_checkpoint(RunFolder(run).last)
    assert last is not None
    assert last.config["batch"]["tokens"] == tokens
    (run / "metrics.json").unlink()
    for asked in (["batch.tokens=auto"], []):
        words = [TINY[0], *asked, *TINY[2:]] if asked else []
        assert main("train", ROMAN, [*words, "--run", str(run), "--resume"]) == 0
        assert "batch.tokens" not in capsys.readouterr().err
        (run / "metrics.json").unlink()
    other = [TINY[0], f"batch.tokens={tokens + 1}", *TINY[2:]]
    assert main("train", ROMAN, [*other, "--run", str(run), "--resume"]) == 2
    assert f"batch.tokens: {tokens} -> {tokens + 1}; all the same: --force batch.tokens" in capsys.readouterr().err


def test_before_training_it_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("train", ROMAN, [*TINY, "--dry-run"]) == 0
    assert "batch.tokens = " in capsys.readouterr().out


def test_a_number_is_left_alone() -> None:
    cfg = load(run_config(ROMAN.config), None, ["batch.tokens=300"]).config
    data = training_data(ROMAN, replace(cfg, task=replace(cfg.task, largest=100)))
    assert with_budget(ROMAN, cfg, data, CPU) == (cfg, None)
    sharded = replace(cfg, batch=replace(cfg.batch, tokens="auto"), train=replace(cfg.train, parallel="fsdp"))
    with pytest.raises(Impossible, match=r"batch.tokens: a process that runs out .* give a number"):
        with_budget(ROMAN, sharded, data, CPU, Ranks(rank=0, world=2))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("atuo", '"atuo": must be an integer, at least 1 or auto; did you mean auto?'),
        ("all", '"all": must be an integer, at least 1 or auto'),
        ("0", "0: must be an integer, at least 1 or auto"),
        ("2.5", "2.5: must be an integer, at least 1 or auto"),
    ],
)
def test_nothing_else_is_taken(given: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(run_config(ROMAN.config), None, [f"batch.tokens={given}"])
    assert str(caught.value) == f"command line: batch.tokens = {said}"


def test_before_it_is_a_number_no_batch_is_made() -> None:
    with pytest.raises(ValueError, match="becomes a number before batches are made"):
        BatchConfig(tokens="auto").budget  # noqa: B018


def test_a_budget_knows_its_bound() -> None:
    from core.train.memory import Left

    said = str(Budget(1200, 8, False, 9, Left(300 * MIB, "RLIMIT_AS")))
    assert said == (
        "batch.tokens = 1200: found, the largest that has room in 300 MiB (RLIMIT_AS); 8 of the longest records at once, 9 trials"
    )
