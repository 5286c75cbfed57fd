"""A row of the matrix of threats: what is promised, and one trial of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class Breach(AssertionError):
    """A promise that was not kept: what happened, in one line."""


@dataclass(slots=True)
class Trial:
    """One trial: everything it draws follows from the row, the seed and its number."""

    row: str
    number: int
    seed: int
    quick: bool
    place: Path
    """An empty folder of its own, gone afterwards."""
    shared: Path
    """A folder that all trials of this invocation see: what one has found out may save others the time."""
    counts: Counter[str] = field(default_factory=Counter[str])
    figures: dict[str, float] = field(default_factory=dict[str, float])
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.row} {self.seed} {self.number}")

    def count(self, what: str, n: int = 1) -> None:
        """So many more of these were done."""
        self.counts[what] += n

    def measure(self, what: str, value: float) -> None:
        """The largest value of this trial is kept."""
        self.figures[what] = max(value, self.figures.get(what, value))


def hold(promise: object, otherwise: str) -> None:
    """A breach where it is not kept (false, empty, None)."""
    if not promise:
        raise Breach(otherwise)


@dataclass(frozen=True, slots=True)
class Row:
    """See the package's docstring."""

    name: str
    """As in the matrix: R1, S3, F2."""
    threat: str
    promise: str
    trial: Callable[[Trial], None]
    unit: str
    """What is counted towards the goal: a name that trials `count`."""
    goal: int
    """So many at least, in the full form."""
    full: int
    """Trials of the full form."""
    quick: int
    """Trials of the quick form; 0: none."""
    seconds: float = 1.0
    """About so much of a core's time for a trial: how a limited time is shared among rows."""
    limit: float = 1200.0
    """A trial that takes longer hangs, which is a breach: seconds by the clock, and machines may be busy with much else."""
    warm: Callable[[Sequence[int]], None] | None = None
    """Called once before the first trial, in the process that trials are forked from, with the numbers of those to come."""
    alone: bool = False
    """Its trials must have the machine for themselves: no two at a time."""

    def trials(self, *, quick: bool) -> int:
        """Of this form."""
        return self.quick if quick else self.full


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial."""

    number: int
    counts: dict[str, int]
    figures: dict[str, float]
    breach: str
    """Empty where the promise was kept."""
    seconds: float
    cpu_seconds: float
