"""The whole config of a run: one frozen tree."""

from __future__ import annotations

from dataclasses import MISSING, fields, make_dataclass
from functools import cache
from typing import Any

from core.config import AtLeast0, config
from core.data.config import BatchConfig, DataConfig
from core.decode.config import SearchConfig
from core.model.config import ModelConfig, TransformerConfig
from core.train.config import SaveConfig, TrainConfig


@config
class RunConfig:
    """The type of `task` is the task's own; `run_config(TaskConfig)` puts it in place for the loader."""

    seed: AtLeast0 = 1
    """Of initial weights, data order, dropout and sampling."""
    task: Any
    data: DataConfig = DataConfig()
    batch: BatchConfig = BatchConfig()
    model: ModelConfig = TransformerConfig()
    train: TrainConfig = TrainConfig()
    search: SearchConfig = SearchConfig()
    save: SaveConfig = SaveConfig()


@cache
def run_config(task: type[Any]) -> type[RunConfig]:
    """RunConfig whose `task` table is the task's own; the same class for the same task, so that configs compare."""
    complete = all(one.default is not MISSING or one.default_factory is not MISSING for one in fields(task))
    field = ("task", task, task()) if complete else ("task", task)
    made = make_dataclass("RunConfig", [field], bases=(RunConfig,), frozen=True, kw_only=True, slots=True)
    made.__doc__ = RunConfig.__doc__
    return made
