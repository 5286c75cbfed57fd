"""`batch.tokens = "auto"`: the largest budget whose largest batches are learned from in the memory there is, by bisection.

Each trial is a whole step (forward, backward, update, average) on the largest batches that the sampler can emit with that budget, by a
model that is thrown away. Processes of one training try together, each its part, and what any has no room for counts for all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from core.data.batch import Batch
from core.data.stream import TrainBatches
from core.train.memory import Left, fenced
from core.train.ranks import Ranks
from core.train.room import NoRoom, ran_out
from core.train.trainer import Trainer

FINE = 16
"""It ends where what has room and what has none are this part of it apart."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What was found."""

    tokens: int
    records: int
    """Of the longest, in a batch."""
    all_fit: bool
    """No larger batch can come."""
    trials: int
    left: Left

    def tree(self) -> dict[str, Any]:
        """For run.json."""
        facts = {"tokens": self.tokens, "records": self.records, "all_fit": self.all_fit, "trials": self.trials}
        return facts | {"bytes": self.left.size, "by": self.left.by}

    def __str__(self) -> str:
        why = "as large as batches can be" if self.all_fit else "the largest that has room"
        return (
            f"batch.tokens = {self.tokens}: found, {why} in {self.left.size / 2**20:,.0f} MiB ({self.left.by});"
            f" {self.records:,} of the longest records at once, {self.trials} trials"
        )


def bisected(fits: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to `most` that fits, to one part in sixteen; 0 where none does."""
    good, bad, tried = 0, most + 1, 1
    while bad - good > max(1, good // FINE):
        if fits(tried):
            good = tried
        else:
            bad = tried
        tried = min(2 * good, most) if bad > most else (good + bad) // 2
    return good


def found_budget(trainer: Trainer, batches: Callable[[int], TrainBatches], ranks: Ranks) -> Budget:
    """`trainer` is of this process alone, and is no good afterwards; `batches` makes this process's part of a budget."""
    trainer.gradients.divides = False
    smallest = batches(1)
    longest, most = int(smallest.size_N.max(initial=1)), smallest.most
    here = ranks.told(socket.gethostname())
    spare = sum(one.numel() * one.element_size() for one in trainer.model.parameters()) if ranks.world > 1 else 0
    trials = 0

    def fits(records: int) -> bool:
        nonlocal trials
        trials += 1
        largest = batches(records * longest).largest()
        return not ranks.greatest(any(short(trainer, one) for one in largest))

    with fenced(trainer.device, processes=here.count(here[ranks.rank]), spare=spare) as there:
        records = bisected(fits, most)
    if not records:
        raise NoRoom(
            f'batch.tokens = "auto": one record of {longest:,} tokens has no room in {there.size / 2**20:,.0f} MiB'
            f" ({there.by}): lower batch.longest, or the model's size"
        )
    return Budget(records * longest, records, records == most, trials, there)


def short(trainer: Trainer, batch: Batch) -> bool:
    """Whether memory runs out in a step that learns from this batch."""
    try:
        trainer.train_step([batch] * trainer.cfg.accumulate)
        trainer.settle()
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
    else:
        return False
    trainer.gradients.forget()
    if trainer.device.type == "cuda":
        torch.cuda.empty_cache()
    return True
