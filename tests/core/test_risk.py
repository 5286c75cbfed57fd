"""Minimum-risk training: the expected cost is its formula, costs are the task's, and whole runs learn from it and from a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.cli import TrainArguments
from core.codec.types import BOS, EOS, PAD
from core.config_toml import load
from core.data.batch import Batch
from core.errors import ConfigError
from core.metrics.exact import ExactMatch
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.model.seq2seq import Seq2Seq
from core.record import Prediction, Record
from core.run.costs import cost_of
from core.run.folder import RunFolder, read_json
from core.run.training import train
from core.settings import run_config
from core.testing.tiny import batch_of, pair_of, small, tiny_codecs, tiny_pairs
from core.testing.toys import TOY
from core.train.checkpoint import read_checkpoint
from core.train.risk import Answers, Risk, expected

CODECS = tiny_codecs(shared=True)
MODELS: dict[str, ModelConfig] = {
    "transformer": small(TransformerConfig()),
    "rnn": small(RNNConfig()),
    "copying": small(RNNConfig(copy=True)),
}


def made(name: str) -> tuple[Seq2Seq, Batch]:
    """A model in float64 without dropout, and a batch for it."""
    model = build(replace(MODELS[name], dropout=0.0), CODECS, seed=3).double().train()
    return model, batch_of(tiny_pairs(CODECS, 5, copy=name == "copying"))


def by_length(row: int, answers: Answers, words: object) -> list[float]:
    """Long answers cost: something that a model can learn to avoid."""
    return [min(len(one) / 10, 1.0) for one in answers]


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_different_and_the_true_one_is_first(name: str) -> None:
    model, batch = made(name)
    torch.manual_seed(1)
    answers = Risk(by_length, load(run_config(TOY.config), None, ()).config.search, 6, None).draw(model, batch)
    for row, some in enumerate(answers):
        true = [token for token in batch.wanted_BT[row].tolist() if token != PAD][:-1]
        assert list(some[0]) == true
        assert len(set(some)) == len(some) <= 7
    assert sum(map(len, answers)) > 2 * len(answers)
    assert model.training


@pytest.mark.parametrize("name", MODELS)
def test_the_expected_cost_is_its_formula(name: str) -> None:
    model, batch = made(name)
    torch.manual_seed(1)
    answers = Risk(by_length, load(run_config(TOY.config), None, ()).config.search, 4, None).draw(model, batch)
    costs = [by_length(0, some, ()) for some in answers]
    wanted = 0.0
    with torch.no_grad():
        found = expected(model, batch, model.encode(batch), answers, costs)
        for row, some in enumerate(answers):
            memory = model.encode(batch).rows(torch.tensor([row]))
            means: list[float] = []
            for one in some:
                state, token, total = model.start(memory, 1), BOS, 0.0
                for following in (*one, EOS):
                    logp, state = model.step(torch.tensor([[token]]), memory, state)
                    total, token = total + logp[0, 0, following].item(), following
                means.append(total / (len(one) + 1))
            shares = torch.tensor(means, dtype=torch.float64).softmax(0).tolist()
            wanted += (len(some[0]) + 1) * sum(q * c for q, c in zip(shares, costs[row], strict=True))
    assert found.item() == pytest.approx(wanted, rel=1e-9)


def test_learning_from_risk_alone_makes_costly_answers_rare() -> None:
    model, batch = made("rnn")
    risk = Risk(by_length, load(run_config(TOY.config), None, ()).config.search, 6, None)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    torch.manual_seed(1)

    def drawn_length() -> float:
        return sum(len(one) for _ in range(5) for some in risk.draw(model, batch) for one in some[1:]) / 5

    before = drawn_length()
    for _ in range(25):
        optimizer.zero_grad()
        risk(model, batch, model.encode(batch)).backward()
        optimizer.step()
    assert drawn_length() < 0.6 * before


class Missing:
    """Percent of the reference's letters that stand elsewhere or nowhere: an error, so that less is better."""

    name, signature, higher_is_better = "missing", "missing|percent", False

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """[wrong, all]"""
        pairs = [(one.record.target, one.output.ljust(len(one.record.target))) for one in predictions]
        return np.array([[sum(a != b for a, b in zip(t, o, strict=False)), len(t)] for t, o in pairs], dtype=float)

    def score(self, rows: np.ndarray) -> float:
        """Over all."""
        return float(100 * rows[:, 0].sum() / rows[:, 1].sum())


def test_costs_are_those_of_the_first_metric() -> None:
    record = Record("1", "abc", "abcd")
    _, true = pair_of(record, CODECS)
    _, near = pair_of(replace(record, target="abca"), CODECS)
    answers = (tuple(true), tuple(near), ())
    assert cost_of(ExactMatch(1), [record], CODECS)(0, answers, ()) == [0.0, 1.0, 1.0]
    rate = cost_of(Missing(), [record], CODECS)
    assert rate(0, answers, ()) == [0.0, 0.25, 1.0]


TINY = (
    "task.letters=4",
    "task.longest=3",
    "task.train=40",
    "task.held_out=10",
    "batch.tokens=60",
    "model.width=8",
    "model.heads=2",
    "model.inner=12",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "train.steps=4",
    "train.evaluate_every=4",
    "train.log_every=1",
    "train.report=false",
    "train.device=cpu",
    "train.precision=fp32",
)


def trained(folder: Path, *settings: str, resume: bool = False) -> RunFolder:
    """A run of a few steps."""
    cfg = load(run_config(TOY.config), None, (*TINY, *settings))
    train(TOY, TrainArguments(cfg, folder, resume=resume, show=False, dry_run=False, config_path=None))
    return RunFolder(folder)


def test_whole_runs_learn_from_a_teacher_and_from_risk(tmp_path: Path) -> None:
    """Their weights differ from those of a plain run, and each is finished; a teacher of other symbols is refused."""
    plain = trained(tmp_path / "plain")
    taught = trained(tmp_path / "taught", f"train.teacher={plain.path}")
    risky = trained(tmp_path / "risky", "train.risk=0.5")
    found = [read_checkpoint(run.last) for run in (plain, taught, risky)]
    weights = [one.weights["encoder.norm.weight"] for one in found if one is not None]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert all(read_json(run.metrics)["finished"] for run in (plain, taught, risky))
    with pytest.raises(ConfigError, match="vocabulary is not this run's"):
        trained(tmp_path / "other", f"train.teacher={plain.path}", "task.letters=5")
