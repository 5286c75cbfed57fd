"""Every task's tiny config x every law of training; and runs that forget something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from core.config_toml import load
from core.data.stream import Cursor
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.settings import run_config
from core.testing import training_laws
from core.testing.task_case import task_case
from core.testing.tiny import law_name, small
from core.testing.toys import TOY, ToyConfig
from core.testing.training_laws import TRAINING_LAWS, TrainingCase, training_case
from core.train.average import Average
from core.train.trainer import Trainer
from tasks import TASKS

CONFIGS = Path(__file__).parents[2] / "configs"
WHOLE = ("roman", "speech_to_text")
"""All laws in the default tier: one of symbols, one of frames that varies its records."""
OF_EVERY_TASK = (training_laws.interrupted_and_resumed_is_unbroken, training_laws.a_seed_says_all)
MODELS: dict[str, ModelConfig] = {
    "transformer": small(TransformerConfig(norm="rms", activation="swiglu", layer_drop=0.2)),
    "rnn": small(RNNConfig(cell="lstm", encoder_layers=2)),
    "copying": small(RNNConfig(copy=True)),
}


@cache
def toy(model: str, average: str = "ema") -> TrainingCase:
    cfg = run_config(ToyConfig)(task=ToyConfig(train=200, held_out=30), model=MODELS[model])
    case = training_case(task_case(TOY, cfg))
    return replace(case, config=replace(case.config, train=replace(case.config.train, average=average, average_last=2)))


@cache
def case_of(name: str) -> TrainingCase:
    task = TASKS[name]
    cfg = load(run_config(task.config), CONFIGS / name / "tiny.toml").config
    return training_case(task_case(task, cfg))


@pytest.mark.parametrize(
    ("name", "law"),
    [
        (name, law) if name in WHOLE or law in OF_EVERY_TASK else pytest.param(name, law, marks=pytest.mark.slow)
        for name in sorted(TASKS.names())
        for law in TRAINING_LAWS
    ],
    ids=lambda one: one if isinstance(one, str) else law_name(one),
)
def test_every_task(name: str, law: Callable[[TrainingCase], None]) -> None:
    law(case_of(name))


@pytest.mark.parametrize("law", TRAINING_LAWS, ids=law_name)
@pytest.mark.parametrize(
    ("model", "average"), [("transformer", "ema"), ("rnn", "last"), ("rnn", "none"), ("copying", "ema")]
)
def test_every_kind_of_model_and_average(model: str, average: str, law: Callable[[TrainingCase], None]) -> None:
    law(toy(model, average))


# Trainers that forget, each caught.


def the_cursor(trainer: Trainer) -> None:
    trainer.cursor = Cursor()


def the_moments(trainer: Trainer) -> None:
    for optimizer in trainer.optimizers:
        for values in optimizer.state.values():
            values["exp_avg_sq"].mul_(1.001)


def the_step_of_the_optimizer(trainer: Trainer) -> None:
    for optimizer in trainer.optimizers:
        for values in optimizer.state.values():
            values["step"].zero_()


def the_sums_of_the_log(trainer: Trainer) -> None:
    trainer.tally.loss.zero_()


@pytest.mark.parametrize("forget", [the_cursor, the_moments, the_step_of_the_optimizer, the_sums_of_the_log])
def test_a_trainer_that_forgets_is_caught(monkeypatch: pytest.MonkeyPatch, forget: Callable[[Trainer], None]) -> None:
    case = toy("transformer")
    restore = Trainer.restore

    def forgetful(self: Trainer, *state: Any) -> None:
        restore(self, *state)
        forget(self)

    monkeypatch.setattr(Trainer, "restore", forgetful)
    with pytest.raises(AssertionError, match="resumed"):
        training_laws.interrupted_and_resumed_is_unbroken(case)


def test_an_average_that_is_forgotten_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    case = toy("transformer")
    monkeypatch.setattr(Average, "restore", lambda self, tensors: None)
    with pytest.raises(AssertionError, match="resumed"):
        training_laws.interrupted_and_resumed_is_unbroken(case)


def test_dropout_that_is_drawn_from_the_clock_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    case = toy("transformer")
    case.unbroken  # noqa: B018
    monkeypatch.setattr("core.train.trainer.torch.manual_seed", lambda seed: torch.seed())
    with pytest.raises(AssertionError, match="other bytes"):
        training_laws.a_seed_says_all(case)
