"""Lengths that tell of faults: single records far out, and stretches in which the lines of two sides no longer belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# N records, in the order of their file

FAR = 8.0
"""Robust standard deviations of the logarithm; of a normal distribution one in 10^15 is farther."""
STRETCH = 200
"""Lines of which it is asked whether they fit better when shifted."""
SHIFTS = (-3, -2, -1, 1, 2, 3)
LOST, FOUND = 0.2, 0.5
"""Correlation of both sides' lengths: less than the first as they stand and more than the second when shifted is a shift."""


def outliers(length_N: Sequence[int]) -> list[int]:
    """Numbers of records whose length is far from the others'."""
    return far(np.log1p(np.asarray(length_N, dtype=np.float64)))


def uneven(source_N: Sequence[int], target_N: Sequence[int]) -> list[int]:
    """Numbers of records one side of which is far longer, for its other side, than elsewhere."""
    return far(np.log1p(np.asarray(target_N, dtype=np.float64)) - np.log1p(np.asarray(source_N, dtype=np.float64)))


def far(value_N: np.ndarray) -> list[int]:
    """By the median and the median distance from it; where most are equal, nothing is far."""
    if not len(value_N):
        return []
    distance_N = np.abs(value_N - np.median(value_N))
    usual = 1.4826 * float(np.median(distance_N))
    return np.flatnonzero(distance_N > FAR * usual).tolist() if usual > 0 else []


@dataclass(frozen=True, slots=True)
class Shifted:
    """A stretch of records whose targets belong to neighbours."""

    begin: int
    end: int
    by: int
    """Source n fits target n + by."""


def shifted(source_N: Sequence[int], target_N: Sequence[int]) -> list[Shifted]:
    """Stretches in which lengths agree only when one side is shifted; neighbouring ones with one shift are one."""
    one_N, other_N = (np.log1p(np.asarray(x, dtype=np.float64)) for x in (source_N, target_N))
    found: list[Shifted] = []
    for begin in range(0, len(one_N) - STRETCH + 1, STRETCH):
        end = begin + STRETCH
        if agreement(one_N, other_N, begin, end, 0) >= LOST:
            continue
        fits = {by: agreement(one_N, other_N, begin, end, by) for by in SHIFTS}
        by = max(fits, key=lambda one: (fits[one], -abs(one)))
        if fits[by] <= FOUND:
            continue
        if found and found[-1].end == begin and found[-1].by == by:
            found[-1] = Shifted(found[-1].begin, end, by)
        else:
            found.append(Shifted(begin, end, by))
    return found


def agreement(one_N: np.ndarray, other_N: np.ndarray, begin: int, end: int, by: int) -> float:
    """Correlation of a stretch with the other side's, shifted; 0 where a side is all of one length."""
    low, high = max(begin, -by, 0), min(end, len(other_N) - by, len(one_N))
    one, other = one_N[low:high], other_N[low + by : high + by]
    if len(one) < STRETCH // 2 or one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
