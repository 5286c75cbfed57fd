"""How sure a score is: intervals and paired tests by resampling records, or groups of them that are not independent."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np


class Scored(Protocol):
    """The part of a metric that resampling needs."""

    def score(self, rows: np.ndarray) -> float: ...


def bootstrap_interval(
    metric: Scored,
    rows: np.ndarray,
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 1,
) -> tuple[float, float]:
    """Percentile bootstrap (Efron 1979); with `groups`, whole groups are drawn (a cluster bootstrap)."""
    values = np.array([metric.score(rows[chosen]) for chosen in draws(len(rows), groups, seed, resamples)])
    tail = 50 * (1 - level)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def paired_bootstrap(
    metric: Scored,
    rows_a: np.ndarray,
    rows_b: np.ndarray,
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    seed: int = 1,
) -> float:
    """Two-sided p-value of the difference between two systems on the same records.

    Koehn (2004), with the differences centred as sacreBLEU does.
    """
    same_length(rows_a, rows_b)
    observed = metric.score(rows_a) - metric.score(rows_b)
    found = np.array(
        [
            metric.score(rows_a[chosen]) - metric.score(rows_b[chosen])
            for chosen in draws(len(rows_a), groups, seed, resamples)
        ]
    )
    return p_value(found - found.mean(), observed)


def paired_randomisation(
    metric: Scored,
    rows_a: np.ndarray,
    rows_b: np.ndarray,
    *,
    groups: Sequence[Hashable] | None = None,
    trials: int = 1000,
    seed: int = 1,
) -> float:
    """The same by approximate randomisation (Noreen 1989): answers are swapped record by record, or group by group."""
    same_length(rows_a, rows_b)
    members = grouped(len(rows_a), groups)
    random = np.random.default_rng(seed)
    observed = metric.score(rows_a) - metric.score(rows_b)
    found = np.empty(trials)
    label = np.empty(len(rows_a), dtype=int)
    for number, member in enumerate(members):
        label[member] = number
    for at in range(trials):
        swap = (random.random(len(members)) < 0.5)[label][:, None]
        found[at] = metric.score(np.where(swap, rows_b, rows_a)) - metric.score(np.where(swap, rows_a, rows_b))
    return p_value(found, observed)


def grouped(count: int, groups: Sequence[Hashable] | None) -> list[np.ndarray]:
    """The rows of each group; a row whose group is None, and every row without groups, is alone."""
    if groups is None:
        return [np.array([row]) for row in range(count)]
    if len(groups) != count:
        raise ValueError(f"{len(groups)} groups for {count} rows; one each is right")
    members: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(("alone", row) if group is None else ("group", group), []).append(row)
    return [np.array(rows) for rows in members.values()]


KEPT = 10_000_000
"""Drawn rows that are kept for the next metric, which is resampled by the same ones: 80 MB."""


def draws(count: int, groups: Sequence[Hashable] | None, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """Rows drawn with replacement, as many as there are; with groups, as many groups as there are."""
    key = None if groups is None else tuple(groups)
    return (
        iter(kept_draws(count, key, seed, resamples))
        if count * resamples <= KEPT
        else drawn(count, key, seed, resamples)
    )


@lru_cache(maxsize=1)
def kept_draws(count: int, groups: tuple[Hashable, ...] | None, seed: int, resamples: int) -> list[np.ndarray]:
    """Of the latest records: each metric of a table, and each system in it, asks for the same."""
    return list(drawn(count, groups, seed, resamples))


def drawn(count: int, groups: tuple[Hashable, ...] | None, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """One by one."""
    random = np.random.default_rng(seed)
    members = grouped(count, groups)
    size_G = np.array([len(rows) for rows in members])
    begin_G = np.cumsum(size_G) - size_G
    row_N = np.concatenate(members) if members else np.empty(0, dtype=int)
    for _ in range(resamples):
        chosen_G = random.integers(len(members), size=len(members))
        size_C = size_G[chosen_G]
        # of each chosen group all places, one after another
        within_M = np.arange(size_C.sum()) - np.repeat(np.cumsum(size_C) - size_C, size_C)
        yield row_N[np.repeat(begin_G[chosen_G], size_C) + within_M]


def p_value(found: np.ndarray, observed: float) -> float:
    """Share of chance differences at least as large; the observed one counts, so that p is never 0."""
    return float((1 + np.count_nonzero(np.abs(found) >= abs(observed) - 1e-12)) / (1 + len(found)))


def same_length(rows_a: np.ndarray, rows_b: np.ndarray) -> None:
    """Paired tests need the same records."""
    if rows_a.shape != rows_b.shape:
        raise ValueError(f"rows of {len(rows_a)} and {len(rows_b)} records cannot be paired")
