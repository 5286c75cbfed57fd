"""Predictions -> numbers with intervals, the model's and the trivial systems' side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import DataError, MetricSkipped
from core.metrics.resampling import bootstrap_interval, paired_bootstrap
from core.record import Hypothesis, Prediction, Record
from core.task import Baseline, Metric, OfOne

GIVEN = "these outputs"
"""What a table calls answers that no run of ours gave."""


@dataclass(frozen=True, slots=True)
class Score:
    """One metric's value over a set of records."""

    metric: Metric
    rows: np.ndarray
    value: float
    interval: tuple[float, float] | None

    def tree(self) -> dict[str, Any]:
        """As results files hold it."""
        return {
            "value": self.value,
            "interval": list(self.interval) if self.interval else None,
            "signature": self.metric.signature,
            "higher_is_better": self.metric.higher_is_better,
        }


def score(
    predictions: Sequence[Prediction],
    metrics: Sequence[Metric],
    *,
    intervals: bool = True,
    skipped: dict[str, str] | None = None,
) -> dict[str, Score]:
    """By metric name, in the task's order. Records of one `meta.group` are resampled together.

    A metric that cannot be computed here is noted in `skipped` with its reason; one at least must be left.
    """
    reasons: dict[str, str] = {} if skipped is None else skipped
    groups = [prediction.record.meta.get("group") for prediction in predictions]
    grouped = groups if any(group is not None for group in groups) else None
    scores: dict[str, Score] = {}
    for metric in metrics:
        try:
            rows = metric.statistics(predictions)
        except MetricSkipped as reason:
            reasons[metric.name] = str(reason)
            continue
        interval = bootstrap_interval(metric, rows, groups=grouped) if intervals and len(rows) > 1 else None
        scores[metric.name] = Score(metric, rows, metric.score(rows), interval)
    if not scores:
        raise DataError("no metric can be computed: " + "; ".join(f"{name}: {why}" for name, why in reasons.items()))
    return scores


def alone(one: Score) -> list[float]:
    """The metric of each record by itself; what a corpus metric says of one record is its own affair (core.task.OfOne)."""
    metric = one.metric
    if isinstance(metric, OfOne):
        return [metric.alone(row) for row in one.rows]
    return [metric.score(one.rows[row : row + 1]) for row in range(len(one.rows))]


def by_bin(
    bin_of: Callable[[Record], str],
    predictions: Sequence[Prediction],
    scores: Mapping[str, Score],
    trivial: Mapping[str, Mapping[str, Floor]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Bin -> how many records it holds, and each metric's value over them; bins in the order of their names.

    Then the first metric of each trivial system, by the system's name.
    """
    beside = {name: next(iter(own.values())).score for name, own in (trivial or {}).items() if own}
    names = np.array([bin_of(prediction.record) for prediction in predictions])
    return {
        str(name): {
            "n": int((names == name).sum()),
            **{metric: one.metric.score(one.rows[names == name]) for metric, one in {**scores, **beside}.items()},
        }
        for name in np.unique(names)
    }


def bin_table(what: str, bins: Mapping[str, Mapping[str, Any]]) -> str:
    """What a person reads."""
    columns = list(next(iter(bins.values())))
    width = max(len(what), *(len(name) for name in bins))
    lines = [f"{what:<{width}}" + "".join(f"  {name:>12}" for name in columns)]
    for name, row in bins.items():
        cells = [f"{row['n']:>12,}", *(f"{row[column]:>{max(12, len(column))}.3f}" for column in columns[1:])]
        lines.append(f"{name:<{width}}" + "".join(f"  {text}" for text in cells))
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Floor:
    """A trivial system's score on the first metric, and how sure it is that the model is better."""

    score: Score
    p_value: float


def floors(
    baselines: Mapping[str, Baseline],
    train: Sequence[Record],
    predictions: Sequence[Prediction],
    metrics: Sequence[Metric],
    model_scores: Mapping[str, Score],
) -> dict[str, dict[str, Floor]]:
    """Baseline -> metric -> its score on the same records, with the p-value of a paired bootstrap against the model."""
    records = [prediction.record for prediction in predictions]
    groups = [record.meta.get("group") for record in records]
    grouped = groups if any(group is not None for group in groups) else None
    found: dict[str, dict[str, Floor]] = {}
    for name, baseline in baselines.items():
        outputs = baseline(train, records)
        answers = [
            Prediction(record, (Hypothesis(output, 0.0),)) for record, output in zip(records, outputs, strict=True)
        ]
        own = score(answers, [metric for metric in metrics if metric.name in model_scores])
        found[name] = {
            metric.name: Floor(
                own[metric.name],
                paired_bootstrap(metric, model_scores[metric.name].rows, own[metric.name].rows, groups=grouped),
            )
            for metric in metrics
            if metric.name in own
        }
    return found


def table(
    scores: Mapping[str, Score], trivial: Mapping[str, Mapping[str, Floor]] | None = None, *, row: str = "the model"
) -> str:
    """What a person reads; `row` names whose scores they are."""
    width = max([len(row), *(len(name) for name in trivial or {})])
    lines = [" " * width + "".join(f"  {name:>24}" for name in scores)]
    lines.append(f"{row:<{width}}" + "".join(f"  {cell(one):>24}" for one in scores.values()))
    for name, own in (trivial or {}).items():
        cells = (f"{cell(floor.score)} p={floor.p_value:.3f}" for floor in own.values())
        lines.append(f"{name:<{width}}" + "".join(f"  {text:>24}" for text in cells))
    return "\n".join(lines)


def cell(one: Score) -> str:
    """12.3 [11.0, 13.5]"""
    digits = 3 if abs(one.value) <= 1 and in_unit(one) else 1
    text = f"{one.value:.{digits}f}"
    return text + (f" [{one.interval[0]:.{digits}f}, {one.interval[1]:.{digits}f}]" if one.interval else "")


def in_unit(one: Score) -> bool:
    """Whether the metric goes from 0 to 1."""
    return "percent" not in one.metric.signature and one.metric.name.partition("-")[0] in UNIT


def points(one: Score) -> float:
    """The value on a scale of a hundred."""
    return 100 * one.value if in_unit(one) else one.value


UNIT = ("sp", "modeler", "column")
"""Metrics that are given between 0 and 1 (`modeler-all` is one too); all others are percentages."""
