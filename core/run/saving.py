"""What goes into a checkpoint, from the parts of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from core.codec.store import dump_codecs
from core.codec.types import Codecs
from core.config_text import to_tree
from core.settings import RunConfig
from core.train.checkpoint import Checkpoint, weights_of, write_checkpoint
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
    begun: dict[str, Any] | None,
    score: dict[str, float] | None,
) -> None:
    """The weights are the model's as it stands now: averaged ones where the caller has swapped them in.

    `begun` tells of the run that it began from, if it did.
    """
    tensors, facts = trainer.state()
    write_checkpoint(
        path,
        Checkpoint(
            config={"task_name": task, **to_tree(config)},
            codecs=dump_codecs(codecs),
            weights=weights_of(model),
            trainer=tensors,
            facts={**facts, "environment": environment, "data": data, "begun": begun, "score": score},
        ),
        shard_mib=config.save.shard_mib,
    )
