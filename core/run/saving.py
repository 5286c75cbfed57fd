"""What goes into a checkpoint, from the parts of a run; and what is done where the disk is full or a weight is no number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.codec.store import dump_codecs
from core.codec.types import Codecs
from core.config_text import to_tree
from core.errors import Diverged
from core.settings import RunConfig
from core.train.checkpoint import Checkpoint, weights_of, write_checkpoint
from core.train.durable import NotSaved
from core.train.trainer import Trainer


def checkpoint_of(
    *,
    task: str,
    config: RunConfig,
    codecs: Codecs,
    model: nn.Module,
    trainer: Trainer,
    score: dict[str, float] | None,
    **facts: Any,
) -> Checkpoint:
    """The weights are the model's as it stands now: averaged ones where the caller has swapped them in."""
    tensors, own = trainer.state()
    return Checkpoint(
        config={"task_name": task, **to_tree(config)},
        codecs=dump_codecs(codecs),
        weights=weights_of(model),
        trainer=tensors,
        facts={**own, **facts, "score": score},
    )


class Saver:
    """Writes checkpoints. What finds no room is due: it is held, said, and written before anything that is younger."""

    def __init__(self, say: Callable[[str], None], shard_mib: int) -> None:
        self.say, self.shard_mib = say, shard_mib
        self.due: dict[Path, Checkpoint] = {}
        self.missed: NotSaved | None = None
        """Why the last save failed; None where it did not."""

    def hold(self, path: Path, checkpoint: Checkpoint) -> None:
        """Write it now, or with the next `save`: until then nobody else may have its tensors."""
        refuse_poison(path, checkpoint)
        self.due[path] = checkpoint
        try:
            self.write_due()
        except NotSaved:  # which `save` will say
            self.due[path] = replace(
                checkpoint, trainer={name: one.clone() for name, one in checkpoint.trainer.items()}
            )

    def save(self, path: Path, checkpoint: Checkpoint, *, before: Callable[[], None]) -> bool:
        """Whether it, and all that is due, has been written; `before` writes what must not be younger than it."""
        refuse_poison(path, checkpoint)
        try:
            before()
            self.write_due()
            write_checkpoint(path, checkpoint, shard_mib=self.shard_mib)
        except NotSaved as error:
            self.missed = error
            self.say(f"warning: {error}; training goes on and tries again")
            return False
        self.missed = None
        return True

    def write_due(self) -> None:
        """In the order in which it came."""
        for path in list(self.due):
            write_checkpoint(path, self.due[path], shard_mib=self.shard_mib)
            del self.due[path]


def refuse_poison(path: Path, checkpoint: Checkpoint) -> None:
    """A checkpoint with a weight or a moment that is no number is never written, whatever the last loss was."""
    for name, one in (*checkpoint.weights.items(), *checkpoint.trainer.items()):
        if not finite(one):
            raise Diverged(f"step {checkpoint.step}: {name} is no number any more; {path} is left as it was")


def finite(tensor: Tensor) -> bool:
    """Whether all of it is."""
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
