"""What a change does: how much better it is than the base, domain by domain and overall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.leaderboard.boards import Board, Row
from benchmarks.leaderboard.duels import FEWEST, chance, difference_R, holm, seed_tests
from core.run.scoring import UNIT

BASE = "base"
OVERALL = "all"


@dataclass(frozen=True, slots=True)
class Effect:
    """How much better a change is than the base, in points of 100."""

    change: str
    task: str
    """Or `all`: the mean over tasks."""
    metric: str
    base: float | None
    value: float | None
    points: float
    low: float
    high: float
    p: float
    held: int = 0
    """Seeds that show it by themselves, after Holm's correction over them."""
    seeds: int = 0


def effects_of(boards: Sequence[Board], changes: Sequence[str], budget: str) -> list[Effect]:
    """Task by task, then overall; p-values are corrected together (Holm, 1979)."""
    found: list[Effect] = []
    for change in changes:
        drawn: list[np.ndarray] = []
        for board in boards:
            rows = {row.system: row for row in board.rows if row.budget == budget}
            if BASE not in rows or change not in rows:
                continue
            effect, points_R = effect_of(rows[BASE], rows[change], change)
            found.append(effect)
            drawn.append(points_R)
        if len(drawn) > 1:
            found.append(overall(change, [one for one in found if one.change == change], drawn))
    return [replace(one, p=p) for one, p in zip(found, holm([one.p for one in found]), strict=True)]


def effect_of(base: Row, changed: Row, change: str) -> tuple[Effect, np.ndarray]:
    """One task; and its resamples. R: resamples."""
    scale = 100 if base.metric.partition("-")[0] in UNIT else 1
    points_R = scale * difference_R(changed, base)
    points = scale * (changed.value - base.value) * (1 if base.higher_is_better else -1)
    tests = seed_tests(changed, base)
    held = sum(one.shows(1.0 if points > 0 else -1.0) for one in tests)
    measured = (base.task, base.metric, base.value, changed.value, points)
    return Effect(change, *measured, *spread(points_R, points, base.units), held, len(tests)), points_R


def overall(change: str, own: Sequence[Effect], drawn: Sequence[np.ndarray]) -> Effect:
    """The mean over tasks; their resamples are independent of each other."""
    random = np.random.default_rng(1)
    mean_R = np.mean([random.permutation(points_R) for points_R in drawn], axis=0)
    points = float(np.mean([one.points for one in own]))
    return Effect(change, OVERALL, f"mean of {len(own)}", None, None, points, *spread(mean_R, points, FEWEST))


def spread(points_R: np.ndarray, points: float, units: int) -> tuple[float, float, float]:
    """95 % interval and p-value of the paired bootstrap."""
    finite = points_R[np.isfinite(points_R)]
    if not len(finite) or not np.any(finite):
        return points, points, 1.0
    low, high = (float(edge) for edge in np.percentile(finite, [2.5, 97.5]))
    return low, high, chance(finite, points, units)
