"""`train.nonfinite = "rollback"`: the weights to go back to, on the disk or, where it had no room for them, in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from core.errors import DataError
from core.run.saving import Saver
from core.train.checkpoint import Checkpoint, put_weights, read_checkpoint
from core.train.ranks import Ranks
from core.train.trainer import Trainer


class Fallback:
    """Of all processes of a training: the first writes, all go back to the same."""

    def __init__(
        self, path: Path, model: nn.Module, checkpoint: Callable[[], Checkpoint], saver: Saver | None, ranks: Ranks
    ) -> None:
        """`saver`: None in all processes but the first."""
        self.path, self.model, self.checkpoint, self.saver, self.ranks = path, model, checkpoint, saver, ranks
        self.unwritten: Checkpoint | None = None
        """What the first process found no room for: the others cannot read it either."""

    def keep(self, trainer: Trainer) -> None:
        """Weights to go back to."""
        good = self.checkpoint()
        if self.saver is not None:
            self.saver.hold(self.path, good)
        due = self.ranks.told(self.saver is not None and self.path in self.saver.due)[0]
        self.unwritten = good if due and self.saver is None else None

    def back(self, trainer: Trainer) -> int:
        """Go back to them."""
        due = self.unwritten if self.saver is None else self.saver.due.get(self.path)
        good = due or read_checkpoint(self.path)
        if good is None:
            raise DataError(f"{self.path}: is gone; nothing to go back to")
        put_weights(self.model, good.weights, str(self.path))
        trainer.relearn(good.trainer)
        return good.step
