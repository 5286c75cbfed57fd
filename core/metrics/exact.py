"""Exact match among the first k answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.record import Prediction


@dataclass(frozen=True, slots=True)
class ExactMatch:
    """Percent of records whose reference (any of several) is among the first k different answers."""

    k: int = 1
    canonical: Callable[[str], str | None] | None = None
    """When two answers are the same; None for an invalid one, which still takes its place in the ranking."""
    canonical_name: str = ""
    """For the signature; needed with `canonical`."""
    label: str = "exact"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; at least 1 is right")
        if self.canonical is not None and not self.canonical_name:
            raise ValueError("a canonical form needs a canonical_name for the signature")

    @property
    def name(self) -> str:
        return f"{self.label}@{self.k}"

    @property
    def signature(self) -> str:
        return f"{self.label}|k:{self.k}|case:yes|canonical:{self.canonical_name or 'no'}|percent|v:1"

    @property
    def higher_is_better(self) -> bool:
        return True

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """1 for a hit, 0 for a miss."""
        return np.array([[float(self.hit(prediction))] for prediction in predictions]).reshape(-1, 1)

    def hit(self, prediction: Prediction) -> bool:
        """Answers that are the same count once, at their better rank."""
        wanted = {self.form(str(reference)) or str(reference) for reference in prediction.record.references}
        ranked = dict.fromkeys(self.form(one.output) for one in prediction.hypotheses)
        return not wanted.isdisjoint(list(ranked)[: self.k])

    def form(self, text: str) -> str | None:
        """The text, or its canonical form."""
        return text if self.canonical is None else self.canonical(text)

    def score(self, rows: np.ndarray) -> float:
        """The mean, in percent."""
        return float(100 * rows.mean()) if len(rows) else float("nan")
