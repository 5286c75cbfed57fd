"""The scores of a recipe's seeds: each with its resamples, all together with one interval, and the verdict beside a record."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any, Literal

import numpy as np

from core.metrics.resampling import draws
from core.record import Prediction
from core.run.scoring import UNIT, Score

Verdict = Literal["inside", "above", "below"]
RESAMPLES = 1000
SEED = 1
FEWEST = 3.0
"""Of N records none of which differed from the others, at most 3 / N do, in 95 of 100 cases (the rule of three; Hanley, 1983)."""


def resampled(score: Score, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """One seed's score on these records; groups of them are drawn whole."""
    groups: list[Hashable] = [one.record.meta.get("group") for one in predictions]
    known = groups if any(group is not None for group in groups) else None
    values = [float(score.metric.score(score.rows[at])) for at in draws(len(score.rows), known, SEED, RESAMPLES)]
    return {
        "value": score.value,
        "n": len(predictions),
        "signature": score.metric.signature,
        "higher_is_better": score.metric.higher_is_better,
        "sums": [float(one) for one in score.rows.sum(0)],
        "resamples": values,
    }


def together(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All seeds' scores by one metric: their mean, and where another run may be expected.

    The 95 % of what is found by drawing a seed, then records: chance in training and chance in the records that are asked.
    Where all records scored alike no draw differs from another, and the rule of three takes the interval's place.
    """
    first = seeds[0]
    values = [float(one["value"]) for one in seeds]
    drawn = np.concatenate([np.asarray(one["resamples"], dtype=float) for one in seeds])
    low, high = (float(edge) for edge in np.nanpercentile(drawn, [2.5, 97.5]))
    if low == high:
        top = 1.0 if unit_of(first) else 100.0
        room = FEWEST / first["n"] * top
        low, high = max(low - room, 0.0), min(high + room, max(high, top))
    return {
        "value": mean(values),
        "deviation": stdev(values) if len(values) > 1 else None,
        "interval": [low, high],
        "n": first["n"],
        "signature": first["signature"],
        "higher_is_better": first["higher_is_better"],
    }


def unit_of(one: Mapping[str, Any]) -> bool:
    """Whether it goes from 0 to 1."""
    name = str(one["signature"]).partition("|")[0]
    return "percent" not in one["signature"] and name.partition("-")[0] in UNIT


def beside(value: float, recorded: Mapping[str, Any]) -> Verdict:
    """Where a value lies, seen from a recorded interval."""
    low, high = recorded["interval"]
    return "below" if value < low else "above" if value > high else "inside"


def reached(value: float, goal: float, *, higher_is_better: bool) -> bool:
    """Whether a goal is met."""
    return value >= goal if higher_is_better else value <= goal
