"""The bootstrap of a result, stored with it: the same draws for every system on the same records.

Draws depend on the number of records, their groups and a seed alone. So two results on the same data pair draw by draw
(Koehn, 2004), and comparing them needs neither the benchmark, nor its metric, nor the library that computes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.leaderboard.arrays import pack
from core.metrics.resampling import draws
from core.record import Prediction
from core.run.scoring import Score

PRIMARY, OTHERS = 2000, 1000
"""Resamples of the metric that ranks, and of the rest: 2,000 leave Holm's correction room for a hundred comparisons."""
SEED = 1


def groups_of(predictions: Sequence[Prediction]) -> list[Any] | None:
    """Which records are not independent; None where all are."""
    groups = [one.record.meta.get("group") for one in predictions]
    return groups if any(group is not None for group in groups) else None


def packed_groups(groups: Sequence[Any] | None) -> dict[str, Any] | None:
    """Numbers in order of first appearance (a record alone has -1), and a digest of the names."""
    if groups is None:
        return None
    number: dict[Any, int] = {}
    of = [-1 if group is None else number.setdefault(group, len(number)) for group in groups]
    names = hashlib.sha256("\n".join(map(str, groups)).encode("utf-8", "surrogatepass")).hexdigest()
    return {"count": len(number), "sha256": names, "of": pack(np.array(of))}


def packed_score(one: Score, groups: Sequence[Any] | None, *, primary: bool) -> dict[str, Any]:
    """Value, 95 % interval, signature, a row of statistics a record; of the primary metric every resample's value too."""
    count = PRIMARY if primary else OTHERS
    values = np.array([one.metric.score(one.rows[at]) for at in draws(len(one.rows), groups, SEED, count)])
    low, high = (float(edge) for edge in np.nanpercentile(values, [2.5, 97.5]))
    return {
        "value": one.value,
        "interval": [low, high],
        "signature": one.metric.signature,
        "higher_is_better": one.metric.higher_is_better,
        "rows": pack(one.rows),
        **({"resamples": pack(values.astype(np.float32))} if primary else {}),
    }


def packed_scores(scores: dict[str, Score], predictions: Sequence[Prediction]) -> dict[str, Any]:
    """All metrics; the first is the primary one."""
    groups, first = groups_of(predictions), next(iter(scores))
    return {name: packed_score(one, groups, primary=name == first) for name, one in scores.items()}
