"""A step whose loss or gradient is no number: who is named, and what skip and rollback do to the state."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.data.batch import Batch
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.errors import Diverged
from core.model.build import build
from core.model.config import TransformerConfig
from core.testing.tiny import batch_of, tiny_codecs, tiny_pairs
from core.train.checkpoint import put_weights, weights_of
from core.train.config import TrainConfig
from core.train.culprit import first_bad_module, guilty_rows, steep_rows
from core.train.trainer import Trainer

CODECS = tiny_codecs()
PAIRS = tiny_pairs(CODECS, 40)
MODEL = TransformerConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12, dropout=0.2)
CFG = TrainConfig(steps=12, warmup=5, lr=0.01, evaluate_every=1000, log_every=1000, precision="fp32")


def trainer_of(policy: Any = "raise") -> Trainer:
    batches = TrainBatches(Examples.build(PAIRS), BatchConfig(tokens=50, window=16), 5)
    cfg = replace(CFG, nonfinite=policy)
    return Trainer(
        build(MODEL, CODECS, seed=3),
        batches,
        cfg,
        seed=5,
        device=torch.device("cpu"),
        name=lambda row: f"a.tsv:{row + 1}",
    )


class Poison:
    """Makes the loss of some records no number, at some steps."""

    def __init__(self, trainer: Trainer, steps: Sequence[int], *, rows: Sequence[int] = ()) -> None:
        self.trainer, self.steps, self.rows, self.hit = trainer, steps, set(rows), dict[int, list[int]]()
        self.real = trainer.objective
        trainer.objective = self  # pyright: ignore[reportAttributeAccessIssue]

    def __call__(self, batch: Batch, step: int) -> Tensor:
        loss = self.real(batch, step)
        if step + 1 not in self.steps:
            return loss
        rows = self.hit.setdefault(step + 1, [batch.index[-1]])
        return loss * math.nan if set(rows) & set(batch.index) else loss


class Shelf:
    """Weights to go back to, in memory."""

    def __init__(self) -> None:
        self.kept: list[int] = []

    def keep(self, trainer: Trainer) -> None:
        self.weights, self.step = weights_of(trainer.model), trainer.step
        self.tensors = {name: one.clone() for name, one in trainer.state()[0].items()}
        self.kept.append(trainer.step)

    def back(self, trainer: Trainer) -> int:
        put_weights(trainer.model, self.weights, "here")
        trainer.relearn(self.tensors)
        return self.step


def fit(trainer: Trainer, **callbacks: Any) -> str:
    defaults: dict[str, Any] = {
        "log": lambda stats: None,
        "evaluate": lambda trainer: 0.0,
        "save": lambda trainer: None,
    }
    return trainer.fit(**{**defaults, "save_every": 3, "stop": lambda: None, **callbacks}).reason


def test_the_record_and_the_module_are_named() -> None:
    trainer = trainer_of()
    poison = Poison(trainer, [4])
    with pytest.raises(Diverged) as caught:
        fit(trainer)
    assert str(caught.value).startswith("step 4: the loss per token is nan")
    assert str(caught.value).endswith(f"first in the loss; training records: a.tsv:{poison.hit[4][0] + 1}")


def test_a_step_is_left_out_and_everything_else_is_as_it_was() -> None:
    trainer = trainer_of("skip")
    poison = Poison(trainer, [4])
    seen: list[dict[str, Tensor]] = []

    def stop() -> None:
        seen.append(weights_of(trainer.model))

    warned: list[Any] = []
    assert fit(trainer, stop=stop, warn=warned.append) == "all 12 steps"
    assert [all(torch.equal(a[name], b[name]) for name in a) for a, b in pairwise(seen)] == [
        step == 4 for step in range(1, 13)
    ]
    (one,) = trainer.left_out
    assert warned == [one]
    assert (one.step, one.records, one.where, one.back_to) == (4, (f"a.tsv:{poison.hit[4][0] + 1}",), "the loss", None)
    assert math.isfinite(float(trainer.tally.loss))
    assert trainer.in_a_row == 0


def test_a_log_line_at_a_step_that_was_left_out_is_made_of_numbers() -> None:
    trainer = trainer_of("skip")
    trainer.cfg = replace(trainer.cfg, log_every=1)
    Poison(trainer, [4])
    said: list[Any] = []
    fit(trainer, log=said.append)
    assert [stats.step for stats in said] == list(range(1, 13))
    assert all(math.isfinite(value) for stats in said for value in (stats.loss, stats.norm, stats.lr))
    assert said[3].norm == 0
    assert said[4].norm > 0


def test_what_was_left_out_belongs_to_the_state() -> None:
    trainer = trainer_of("skip")
    Poison(trainer, [3, 4])
    stopping = iter([None] * 4 + [15])
    fit(trainer, stop=lambda: next(stopping))
    tensors, facts = trainer.state()
    other = trainer_of("skip")
    put_weights(other.model, weights_of(trainer.model), "here")
    other.restore({name: one.clone() for name, one in tensors.items()}, json.loads(json.dumps(facts)))
    assert (other.step, other.in_a_row, other.left_out) == (4, 2, trainer.left_out)
    Poison(other, [5])
    with pytest.raises(Diverged, match=r"step 5: .* \(3 such steps in a row\)$"):
        fit(other)


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_the_third_in_a_row_ends_it(policy: str) -> None:
    trainer = trainer_of(policy)
    trainer.good = Shelf() if policy == "rollback" else None
    Poison(trainer, [2, 3, 5, 6, 7])
    with pytest.raises(Diverged, match=r"step 7: .* \(3 such steps in a row\)$"):
        fit(trainer)
    assert [one.step for one in trainer.left_out] == [2, 3, 5, 6]


def test_rollback_takes_up_weights_moments_and_averages_and_goes_on() -> None:
    trainer, shelf = trainer_of("rollback"), Shelf()
    trainer.good = shelf
    Poison(trainer, [5])
    states: dict[int, tuple[dict[str, Tensor], dict[str, Tensor]]] = {}

    def stop() -> None:
        tensors = {name: one.clone() for name, one in trainer.state()[0].items() if not name.startswith("tally")}
        states[trainer.step] = weights_of(trainer.model), tensors

    assert fit(trainer, stop=stop) == "all 12 steps"
    assert shelf.kept == [0, 3, 6, 9, 12]
    (one,) = trainer.left_out
    assert (one.step, one.back_to) == (5, 3)
    for held, before in zip(states[5], states[3], strict=True):
        assert held.keys() == before.keys()
        assert all(torch.equal(held[name], before[name]) for name in held)
    assert not torch.equal(*(states[step][0]["embedding.weight"] for step in (4, 3)))


class Third(nn.Module):
    """Cubes; the gradient of a cube root of zero is infinite."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs().sqrt()


def test_a_gradient_that_goes_wrong_backwards_is_found_behind_its_module() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), Third(), nn.Linear(3, 1))
    with torch.no_grad():
        model[0].bias.fill_(-100.0)  # so that every ReLU gives 0, whose root has no slope
    found = first_bad_module(model, [lambda: model(torch.ones(2, 3)).sum()])
    assert found == "what reads 1, backwards"
    assert all(one.grad is None for one in model.parameters())


def test_a_record_with_a_loss_and_no_gradient_is_named() -> None:
    batch, model = batch_of(tiny_pairs(tiny_codecs(), 5)), nn.Linear(1, 1)

    def read(one: Batch) -> Tensor:
        loss = model(torch.ones(1)).sum()
        return (0 * loss).sqrt() if batch.index[2] in one.index else loss

    assert guilty_rows(batch, read) == []
    assert steep_rows(model, batch, read) == [batch.index[2]]
    assert all(one.grad is None for one in model.parameters())


def test_an_output_and_a_weight_are_found_forwards() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[1].weight.fill_(3e38)
    assert first_bad_module(model, [lambda: model(torch.ones(2, 3)).sum()]) == "1, forwards"
    with torch.no_grad():
        model[2].bias.fill_(math.nan)
    assert first_bad_module(model, [lambda: model(torch.ones(2, 3)).sum()]) == "the weight 2.bias"
