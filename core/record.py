"""What flows through the whole system: raw records in, hypotheses and predictions out. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
Finish = Literal["end", "length", "rule"]


@dataclass(frozen=True, slots=True)
class Record:
    """One raw example, before any codec has seen it."""

    key: str
    """Stable and unique: splits, caches and predictions join on it."""
    source: Any
    """What the task reads: a string, a pair of proteins, the path of a recording."""
    target: Any = None
    """The reference; None for an input whose answer is asked for."""
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """`references` (more of them), `group` (records that are not independent), `place` ("file:line") and the task's own."""

    @property
    def references(self) -> tuple[Any, ...]:
        """The target, then the further references."""
        return (self.target, *self.meta.get("references", ()))


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One answer of the search, best first in `Prediction.hypotheses`."""

    output: str
    score: float
    """The sum of `logp` divided by the length penalty: what hypotheses are ranked by."""
    tokens: tuple[int, ...] = ()
    """Without the end symbol; ids from the size of the vocabulary on are copied words."""
    logp: tuple[float, ...] = ()
    """One per token, the end symbol's last where the hypothesis ended by itself."""
    finish: Finish = "end"
    frames: tuple[tuple[int, int], ...] = ()
    """Where each token was heard, as frames [begin, end) of the source; with `search.align` only."""
    probabilities: tuple[float, ...] = ()
    """Of the tokens of `logp`, at the temperature that was fitted on dev; empty where none was, or nobody asked."""

    @property
    def confidence(self) -> float | None:
        """How probable the whole answer is, by those."""
        return math.prod(self.probabilities) if self.probabilities else None

    @property
    def total(self) -> float:
        """Log-probability of the whole hypothesis."""
        return sum(self.logp)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A record with the system's answers."""

    record: Record
    hypotheses: tuple[Hypothesis, ...]

    @property
    def output(self) -> str:
        """The best answer; empty if there is none."""
        return self.hypotheses[0].output if self.hypotheses else ""

    def lines(self, count: int) -> tuple[str, ...]:
        """The best answers, each on one line, and blank lines up to `count`: who counts lines knows whose each is."""
        answers = tuple(" ".join(one.output.splitlines()) for one in self.hypotheses[:count])
        return answers + ("",) * (count - len(answers))
