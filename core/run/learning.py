"""What learns: a model with its data, its rule and what its loss asks for, for the whole of a run or to see what has room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from core.config import Impossible
from core.data.encode import place
from core.data.stream import TrainBatches
from core.decode.rules import Rule
from core.model.seq2seq import Seq2Seq
from core.run.costs import cost_of
from core.run.prepared import TrainingData, make_model, make_rule
from core.run.stored import teacher_of
from core.settings import RunConfig
from core.task import Metric, Task
from core.train.budget import Budget, found_budget
from core.train.ranks import ALONE, Ranks
from core.train.risk import Risk
from core.train.trainer import Trainer

UNLEARNED = 1e-12
"""A learning rate that changes next to nothing."""


def make_batches(cfg: RunConfig, data: TrainingData, ranks: Ranks) -> TrainBatches:
    """This process's part of each batch."""
    return TrainBatches(
        data.encoded.examples,
        cfg.batch,
        cfg.seed,
        encode=data.augmented,
        mixture=data.mixture,
        rank=ranks.rank,
        world=ranks.world,
    )


def make_trainer(
    task: Task[Any],
    cfg: RunConfig,
    data: TrainingData,
    model: Seq2Seq,
    rule: Rule | None,
    batches: TrainBatches,
    metrics: Sequence[Metric],
    *,
    device: torch.device,
    ranks: Ranks,
) -> Trainer:
    """At its first step."""
    risk = None
    if cfg.train.risk:
        cost = cost_of(metrics[0], data.encoded.records, data.codecs)
        risk = Risk(cost, cfg.search, cfg.train.risk_samples, rule)
    return Trainer(
        model,
        batches,
        cfg.train,
        seed=cfg.seed,
        device=device,
        rule=rule,
        teacher=teacher_of(task, cfg.train.teacher, data.codecs, device),
        risk=risk,
        name=lambda row: place(data.encoded.records[row]),
        ranks=ranks,
    )


def with_budget(
    task: Task[Any], cfg: RunConfig, data: TrainingData, device: torch.device, ranks: Ranks = ALONE
) -> tuple[RunConfig, Budget | None]:
    """The config with a number for `batch.tokens`, and what was found if none was given."""
    if cfg.batch.tokens != "auto":
        return cfg, None
    if ranks.world > 1 and cfg.train.parallel == "fsdp":
        reason = 'a process that runs out of memory under train.parallel = "fsdp" cannot begin anew: give a number'
        raise Impossible("batch.tokens", reason)

    def batches(tokens: int) -> TrainBatches:
        return make_batches(replace(cfg, batch=replace(cfg.batch, tokens=tokens)), data, ranks)

    trial = replace(cfg, train=replace(cfg.train, lr=UNLEARNED, parallel="ddp"))
    rule, metrics = make_rule(task, cfg, data.codecs), task.metrics(cfg.task)

    def trainer() -> Trainer:
        model = make_model(task, cfg, data.codecs).to(device)
        return make_trainer(task, trial, data, model, rule, batches(1), metrics, device=device, ranks=ALONE)

    found = found_budget(trainer, batches, ranks)
    return replace(cfg, batch=replace(cfg.batch, tokens=found.tokens)), found
