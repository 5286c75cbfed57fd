"""What goes into a checkpoint, from the parts of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from core.codec.store import dump_codecs
from core.codec.types import Codecs
from core.config_toml import to_tree
from core.settings import RunConfig
from core.train.checkpoint import write_checkpoint
from core.train.trainer import Trainer


def save(
    path: Path,
    *,
    task: str,
    config: RunConfig,
    codecs: Codecs,
    model: nn.Module,
    trainer: Trainer,
    environment: dict[str, Any],
    data: dict[str, Any],
    score: dict[str, float] | None,
) -> None:
    """The weights are the model's as it stands now: averaged ones where the caller has swapped them in."""
    raise NotImplementedError
