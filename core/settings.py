"""The whole config of a run: one frozen tree."""

from __future__ import annotations

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
    task: Any
    data: DataConfig = DataConfig()
    batch: BatchConfig = BatchConfig()
    model: ModelConfig = TransformerConfig()
    train: TrainConfig = TrainConfig()
    search: SearchConfig = SearchConfig()
    save: SaveConfig = SaveConfig()
