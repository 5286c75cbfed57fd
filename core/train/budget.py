"""`batch.tokens = "auto"`: the largest budget whose largest batches are learned from in the memory there is, by bisection.

Each trial is a whole step (forward, backward, update, average) on the largest batches that the sampler can emit with that budget, by a
model that is thrown away. Processes of one training try together, each its part, and what any has no room for counts for all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.data.batch import Batch
from core.data.stream import TrainBatches
from core.train.memory import Left, fenced, given_back
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


def found_budget(make: Callable[[], Trainer], batches: Callable[[int], TrainBatches], ranks: Ranks) -> Budget:
    """`make` gives a trainer of this process alone, to be thrown away; `batches` makes this process's part of a budget.

    What was found is tried again by a second trainer, as the run will after what the trials left behind.
    """
    first, smallest = made(make), batches(1)
    longest, most = int(smallest.size_N.max(initial=1)), smallest.most
    here = ranks.told(socket.gethostname())
    spare = sum(one.numel() * one.element_size() for one in first.model.parameters()) if ranks.world > 1 else 0
    device, trials = first.device, 0

    def fits(trainer: Trainer, records: int) -> bool:
        nonlocal trials
        trials += 1
        largest = batches(records * longest).largest()
        return not ranks.greatest(any(short(trainer, one) for one in largest))

    with fenced(device, processes=here.count(here[ranks.rank]), spare=spare) as there:
        records = bisected(partial(fits, first), most)
        del first
        given_back(device)
        second = made(make)
        while records and not fits(second, records):
            records -= max(1, records // FINE)
    del second
    given_back(device)
    if not records:
        raise NoRoom(
            f'batch.tokens = "auto": one record of {longest:,} tokens has no room in {there.size / 2**20:,.0f} MiB'
            f" ({there.by}): lower batch.longest, or the model's size"
        )
    return Budget(records * longest, records, records == most, trials, there)


def made(make: Callable[[], Trainer]) -> Trainer:
    """Raises NoRoom where not even the model has any."""
    try:
        return make()
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
    raise NoRoom("out of memory with the model alone: lower its size")


def short(trainer: Trainer, batch: Batch) -> bool:
    """Whether memory runs out in a step that learns from this batch."""
    trainer.gradients.divides = False
    try:
        trainer.train_step([batch] * trainer.cfg.accumulate)
        trainer.settle()
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
    else:
        return False
    trainer.gradients.forget()
    given_back(trainer.device)
    return True
