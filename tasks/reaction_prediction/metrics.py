"""Exact match among the first k answers, validity, the largest fragment alone, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.record import Prediction, Record
from core.task import Metric
from tasks.reaction_prediction.chemistry import canonical, largest_fragment, version
from tasks.reaction_prediction.round_trip import RoundTrip
from tasks.reaction_prediction.settings import ReactionConfig

RANKS = (1, 3, 5, 10)


def metrics(cfg: ReactionConfig) -> Sequence[Metric]:
    """top@1 picks checkpoints."""
    asked = f"{cfg.direction}|" + (f"reagents:{cfg.reagents}|" if cfg.direction == "forward" else "")
    asked += f"votes:{cfg.votes}" + (f"(alpha:{cfg.vote_alpha:g})" if cfg.votes > 1 else "")
    asked += f"|rule:{'yes' if cfg.rule else 'no'}" + ("" if cfg.direction == "reagents" else "|idle:last")
    found: list[Metric] = [TopK(k, asked, cfg.invalid) for k in RANKS]
    found += [Validity(1, asked), Validity(10, asked), LargestFragment(asked, cfg.invalid)]
    if cfg.direction == "retro":
        found.append(RoundTrip(cfg.forward_run, asked))
    return found


def ranking(prediction: Prediction, invalid: Literal["removed", "ranked"]) -> list[str | None]:
    """The different answers, canonical, in the order given; an invalid one (None) is passed over or takes its place."""
    forms = [canonical(one.output) for one in prediction.hypotheses]
    ranked: list[str | None] = []
    for form in forms:
        if form is None:
            if invalid == "ranked":
                ranked.append(None)
        elif form not in ranked:
            ranked.append(form)
    return ranked


def wanted(record: Record) -> set[str]:
    """Canonical references; one that RDKit cannot read can be met by nothing."""
    return {form for form in (canonical(str(one)) for one in record.references) if form is not None}


@dataclass(frozen=True, slots=True)
class Percent:
    """What the metrics here share: one number a record, and their mean in percent."""

    higher_is_better = True

    def score(self, rows: np.ndarray) -> float:
        """The mean, in percent."""
        return float(100 * rows.mean()) if len(rows) else float("nan")


def column(values: list[float]) -> np.ndarray:
    """[N, 1]"""
    return np.array(values, dtype=np.float64).reshape(-1, 1)


@dataclass(frozen=True, slots=True)
class TopK(Percent):
    """Percent of records with a reference among the first k different molecules, both sides canonical."""

    k: int
    asked: str
    invalid: Literal["removed", "ranked"] = "removed"

    @property
    def name(self) -> str:
        return f"top@{self.k}"

    @property
    def signature(self) -> str:
        return (
            f"top|k:{self.k}|{self.asked}|canonical:both|rdkit:{version()}|stereo:yes|maps:cleared"
            f"|duplicates:removed|invalid:{self.invalid}|ties:in-order-given|percent|v:1"
        )

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """1 for a hit, 0 for a miss."""
        return column(
            [float(not wanted(one.record).isdisjoint(ranking(one, self.invalid)[: self.k])) for one in predictions]
        )


@dataclass(frozen=True, slots=True)
class Validity(Percent):
    """Percent of the first k answers (as many as there are) that RDKit reads and sanitises; no answer is invalid."""

    k: int
    asked: str

    @property
    def name(self) -> str:
        return "validity" if self.k == 1 else f"validity@{self.k}"

    @property
    def signature(self) -> str:
        return f"validity|k:{self.k}|{self.asked}|rdkit:{version()}|sanitised:yes|percent|v:1"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """The share of each record's."""
        shares: list[float] = []
        for prediction in predictions:
            first = [canonical(one.output) is not None for one in prediction.hypotheses[: self.k]]
            shares.append(sum(first) / len(first) if first else 0.0)
        return column(shares)


@dataclass(frozen=True, slots=True)
class LargestFragment(Percent):
    """MaxFrag (Tetko et al., 2020): top@1 where only the largest molecule of each side counts."""

    asked: str
    invalid: Literal["removed", "ranked"] = "removed"
    name = "maxfrag@1"

    @property
    def signature(self) -> str:
        return (
            f"maxfrag|k:1|{self.asked}|canonical:both|rdkit:{version()}|stereo:yes|largest:heavy-atoms,text"
            f"|invalid:{self.invalid}|percent|v:1"
        )

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """1 for a hit, 0 for a miss."""
        return column([float(self.hit(one)) for one in predictions])

    def hit(self, prediction: Prediction) -> bool:
        """Of the first answer."""
        first = next(iter(ranking(prediction, self.invalid)), None)
        references = {largest_fragment(form) for form in wanted(prediction.record)}
        return first is not None and largest_fragment(first) in references
