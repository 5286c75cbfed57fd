"""The ladder: six models, each the one before it with one idea more, as keys over one base config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config_toml import load
from core.settings import RunConfig, run_config
from core.task import Task

BASE = Path(__file__).with_name("base.toml")
TASK = "translation"
BINS = ((1, 3), (4, 7), (8, 12), (13, 20), (21, None))
"""Words of the source, by which scores are told apart."""
RECURRENT = ("model.kind=rnn", "model.cell=gru")
TRANSFORMER = (
    "model.kind=transformer",
    "model.width=128",
    "model.heads=4",
    "model.encoder_layers=2",
    "model.decoder_layers=2",
    "model.inner=512",
    "train.optimizer=muon",
)


@dataclass(frozen=True, slots=True)
class Rung:
    """One model of the ladder."""

    name: str
    """Of its run folder and its result."""
    title: str
    """In tables and pictures."""
    keys: tuple[str, ...]
    """Over the base config."""
    papers: str
    share: float
    """Of the time of all rungs, about, since an update costs more on some: where the clock ends a ladder, it ends all rungs alike."""


LADDER = (
    Rung(
        "context-vector",
        "context vector",
        (*RECURRENT, "model.bidirectional=false", "model.attention=none", "model.bridge=last"),
        "Cho et al., 2014; Sutskever et al., 2014",
        0.11,
    ),
    Rung(
        "bidirectional",
        "bidirectional",
        (*RECURRENT, "model.attention=none", "model.bridge=last"),
        "Schuster & Paliwal, 1997",
        0.11,
    ),
    Rung(
        "additive",
        "additive attention",
        (*RECURRENT, "model.attention=additive", "model.bridge=last"),
        "Bahdanau et al., 2015",
        0.17,
    ),
    Rung(
        "multi-head",
        "multi-head attention",
        (*RECURRENT, "model.attention=multi_head", "model.bridge=last"),
        "Vaswani et al., 2017, in a recurrent decoder as Chen et al., 2018",
        0.14,
    ),
    Rung("transformer", "Transformer", TRANSFORMER, "Vaswani et al., 2017", 0.23),
    Rung(
        "copy",
        "copying Transformer",
        (*TRANSFORMER, "model.copy=true"),
        "Gu et al., 2016; See et al., 2017",
        0.24,
    ),
)
SMOKE = (
    "task.source_language=en",
    "task.target_language=de",
    "task.vocabulary=450",
    "data.source=phrases",
    "data.limit=200",
    "batch.tokens=400",
    "model.width=16",
    "train.steps=4",
    "train.warmup=2",
    "train.evaluate_every=2",
    "train.evaluate_records=4",
    "train.final_records=4",
    "train.log_every=2",
    "search.length_ratio=1.0",
    "search.length_extra=4",
)
"""Over the base config: the same ladder within seconds, offline, to see that it stands; its scores mean nothing."""
SMOKE_TRANSFORMER = ("model.heads=2", "model.encoder_layers=1", "model.decoder_layers=1", "model.inner=32")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a rung may cost; the same for all."""

    steps: int | None = None
    """None: the base config's."""
    minutes: float = 0.0
    """Of training by one core, for all rungs: each ends at its share of them, whatever its step; 0: none."""
    smoke: bool = False


def overrides(rung: Rung, budget: Budget) -> list[str]:
    """All keys of a rung over the base config."""
    keys = [*rung.keys]
    if budget.smoke:
        keys += [*SMOKE, *(SMOKE_TRANSFORMER if "model.kind=transformer" in rung.keys else ())]
    if budget.steps is not None:
        base = config_at(rung, keys)
        every = max(1, budget.steps * base.train.evaluate_every // base.train.steps)
        warmup = budget.steps * base.train.warmup // base.train.steps
        keys += [f"train.steps={budget.steps}", f"train.evaluate_every={every}", f"train.warmup={warmup}"]
    if budget.minutes:
        keys.append(f"train.minutes={budget.minutes * rung.share:.4g}")
    return keys


def config_at(rung: Rung, keys: list[str]) -> Any:
    """The base config with these keys."""
    from tasks import TASKS

    task: Task[Any] = TASKS[TASK]
    return load(run_config(task.config), BASE, keys).config


def config_of(rung: Rung, budget: Budget) -> RunConfig:
    """What a rung is trained with."""
    return config_at(rung, overrides(rung, budget))
