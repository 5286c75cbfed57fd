"""Which differences are real: every pair of rows, tested over records and seeds at once, and again seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.leaderboard.boards import Row, resamples_of
from benchmarks.leaderboard.store import Result
from core.metrics.resampling import p_value

LEVEL = 0.05
FEWEST = 6
"""Groups of records without which nothing is tested: fewer swaps of sign than 32 cannot show a difference at 0.05."""


@dataclass(frozen=True, slots=True)
class SeedTest:
    """One training of the left row against one of the right."""

    difference: float
    """How much better the left one is."""
    adjusted: float
    """p of the paired bootstrap over records, by Holm over the seeds of the duel."""

    def shows(self, sign: float) -> bool:
        """Whether that side is better beyond the luck of the records."""
        return self.difference * sign > 0 and self.adjusted <= LEVEL


@dataclass(frozen=True, eq=False)
class Duel:
    """Two rows of one board, paired draw by draw."""

    left: Row
    right: Row
    difference: float
    """How much better the left one is."""
    p: float
    """Over records and seeds."""
    adjusted: float
    """By Holm, over all duels of the board."""
    seeds: tuple[SeedTest, ...]

    @property
    def winner(self) -> Row | None:
        """None where the difference may be chance: of records, or of a few trainings.

        Three seeds are few to draw from. So a win over all of them counts where, besides, most seeds show it by
        themselves and none shows the opposite.
        """
        if self.adjusted > LEVEL or self.difference == 0:
            return None
        sign = 1.0 if self.difference > 0 else -1.0
        if 2 * self.held <= len(self.seeds) or any(one.shows(-sign) for one in self.seeds):
            return None
        return self.left if sign > 0 else self.right

    @property
    def held(self) -> int:
        """Seeds that show the difference by themselves."""
        return sum(one.shows(1.0 if self.difference > 0 else -1.0) for one in self.seeds)


def difference_R(left: Row, right: Row) -> np.ndarray:
    """How much better the left one is, in every resample."""
    found = left.resamples_R - right.resamples_R
    return found if left.higher_is_better else -found


def duels_of(rows: Sequence[Row]) -> list[Duel]:
    """All pairs, by the paired bootstrap (Koehn, 2004; differences centred), corrected together (Holm, 1979)."""
    pairs = [(left, right) for at, left in enumerate(rows) for right in rows[at + 1 :]]
    observed = [(left.value - right.value) * sign_of(left) for left, right in pairs]
    chances = [chance(difference_R(*pair), value, pair[0].units) for pair, value in zip(pairs, observed, strict=True)]
    return [
        Duel(left, right, value, p, adjusted, seed_tests(left, right))
        for (left, right), value, p, adjusted in zip(pairs, observed, chances, holm(chances), strict=True)
    ]


def seed_tests(left: Row, right: Row) -> tuple[SeedTest, ...]:
    """Seed against the same seed, corrected over them."""
    differences: list[float] = []
    chances: list[float] = []
    for one, other in seed_pairs(left, right):
        values = [each["metrics"][left.metric]["value"] for each in (one, other)]
        drawn = (resamples_of(one, left.metric) - resamples_of(other, left.metric)) * sign_of(left)
        differences.append((values[0] - values[1]) * sign_of(left))
        chances.append(chance(drawn, differences[-1], left.units))
    return tuple(SeedTest(*each) for each in zip(differences, holm(chances), strict=True))


def seed_pairs(left: Row, right: Row) -> list[tuple[Result, Result]]:
    """The seeds that both have; what has one result only (a trivial system, a submission) meets every seed."""
    if len(left.results) == 1 or len(right.results) == 1:
        return [(one, other) for one in left.results for other in right.results]
    by_seed = {one["seed"]: one for one in right.results}
    shared = [(one, by_seed[one["seed"]]) for one in left.results if one["seed"] in by_seed]
    return shared or list(zip(left.results, right.results, strict=False))


def sign_of(row: Row) -> float:
    """1 where higher is better."""
    return 1.0 if row.higher_is_better else -1.0


def chance(drawn_R: np.ndarray, observed: float, units: int) -> float:
    """p of a difference: 1 where there is none, or too few groups of records to draw from."""
    if units < FEWEST:
        return 1.0
    finite = drawn_R[np.isfinite(drawn_R)]
    return p_value(finite - finite.mean(), observed) if len(finite) and observed else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p-values: the smallest times their number, the next times one less, never falling."""
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, at in enumerate(sorted(range(len(values)), key=lambda at: values[at])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[at]))
        adjusted[at] = highest
    return adjusted


def tally(rows: Sequence[Row], duels: Sequence[Duel]) -> dict[str, tuple[int, int, int]]:
    """System -> wins, ties, losses."""
    found: dict[str, tuple[int, int, int]] = {}
    for row in rows:
        own = [one for one in duels if row is one.left or row is one.right]
        wins = sum(one.winner is row for one in own)
        ties = sum(one.winner is None for one in own)
        found[row.system] = (wins, ties, len(own) - wins - ties)
    return found
