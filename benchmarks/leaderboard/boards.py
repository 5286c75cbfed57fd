"""Results -> boards: rows compare only where they answered the same records and were scored by the same signature."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.leaderboard.arrays import unpack
from benchmarks.leaderboard.store import Result
from core.metrics.resampling import p_value

LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Row:
    """One system on one board: its newest config, a result a seed."""

    task: str
    system: str
    kind: str
    budget: str
    results: tuple[Result, ...]
    """By seed, the newest of each."""
    history: tuple[Result, ...]
    """All results of this system and budget on this board, oldest first."""

    @property
    def metric(self) -> str:
        return str(self.results[0]["primary"])

    @property
    def higher_is_better(self) -> bool:
        return bool(self.first["higher_is_better"])

    @property
    def first(self) -> dict[str, Any]:
        """The primary metric of the first seed."""
        return self.results[0]["metrics"][self.metric]

    @property
    def value(self) -> float:
        """Mean over seeds."""
        return float(np.mean([one["metrics"][self.metric]["value"] for one in self.results]))

    @cached_property
    def resamples_R(self) -> np.ndarray:
        """The value in each resample of records and, at once, of seeds (a two-level bootstrap); R: resamples."""
        values_SR = np.stack([unpack(one["metrics"][self.metric]["resamples"]) for one in self.results])
        seeds, count = values_SR.shape
        if seeds == 1:
            return values_SR[0]
        name = hashlib.sha256(f"{self.system} {self.budget}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(name[:8], "big"))
        drawn_SR = random.integers(seeds, size=(seeds, count))
        return values_SR[drawn_SR, np.arange(count)].mean(axis=0)

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, over records and seeds."""
        low, high = np.nanpercentile(self.resamples_R, [2.5, 97.5])
        return float(low), float(high)

    def mean(self, what: str) -> float | None:
        """Of a cost over seeds; None where it was not measured."""
        found = [one["cost"].get(what) for one in self.results]
        return None if any(one is None for one in found) else float(np.mean(found))


@dataclass(frozen=True, eq=False)
class Board:
    """One data set under one signature."""

    task: str
    data: str
    sha256: str
    n: int
    metric: str
    signature: str
    rows: tuple[Row, ...]
    """Best first."""

    @property
    def name(self) -> str:
        return f"{self.task}, {self.data}"

    @property
    def newest(self) -> str:
        """The date of its newest result."""
        return max(one["date"] for row in self.rows for one in row.history)


@dataclass(frozen=True, eq=False)
class Duel:
    """Two rows of one board, paired draw by draw."""

    left: Row
    right: Row
    difference: float
    """How much better the left one is."""
    p: float
    adjusted: float
    """By Holm, over all duels of the board."""

    @property
    def winner(self) -> Row | None:
        """None where the difference may be chance."""
        if self.adjusted > LEVEL or self.difference == 0:
            return None
        return self.left if self.difference > 0 else self.right


def boards_of(results: Sequence[Result]) -> list[Board]:
    """By task, then data; a changed data set, split or signature is another board."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for one in results:
        signature = one["metrics"][one["primary"]]["signature"]
        key = (one["task"], one["data"]["name"], one["split"], one["data"]["sha256"], one["primary"], signature)
        groups.setdefault(key, []).append(one)
    return [
        Board(task, data, sha256, found[0]["data"]["n"], metric, signature, tuple(rows_of(found)))
        for (task, data, _, sha256, metric, signature), found in sorted(groups.items())
    ]


def rows_of(results: Sequence[Result]) -> list[Row]:
    """Systems under a budget, best first."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for one in sorted(results, key=lambda one: (one["date"], str(one["git"]), one["digest"])):
        groups.setdefault((one["budget"], one["system"]), []).append(one)
    rows: list[Row] = []
    for (budget, system), history in groups.items():
        newest = history[-1]["config_sha256"]
        by_seed = {one["seed"]: one for one in history if one["config_sha256"] == newest}
        kept = tuple(by_seed[seed] for seed in sorted(by_seed, key=lambda seed: -1 if seed is None else seed))
        rows.append(Row(history[-1]["task"], system, history[-1]["kind"], budget, kept, tuple(history)))
    return sorted(rows, key=lambda row: (-row.value if row.higher_is_better else row.value, row.system, row.budget))


def difference_R(left: Row, right: Row) -> np.ndarray:
    """How much better the left one is, in every resample."""
    found = left.resamples_R - right.resamples_R
    return found if left.higher_is_better else -found


def duels_of(rows: Sequence[Row]) -> list[Duel]:
    """All pairs, by the paired bootstrap (Koehn, 2004; differences centred), corrected together (Holm, 1979)."""
    pairs = [(left, right) for at, left in enumerate(rows) for right in rows[at + 1 :]]
    found: list[tuple[Row, Row, float, float]] = []
    for left, right in pairs:
        observed = (left.value - right.value) * (1 if left.higher_is_better else -1)
        drawn = difference_R(left, right)
        drawn = drawn[np.isfinite(drawn)]
        chance = p_value(drawn - drawn.mean(), observed) if len(drawn) and observed else 1.0
        found.append((left, right, observed, chance))
    adjusted = holm([one[3] for one in found])
    return [Duel(*one, holds) for one, holds in zip(found, adjusted, strict=True)]


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


def ranks(values: Sequence[float]) -> list[float]:
    """1 for the highest; equals share the mean of their places."""
    return [
        1 + sum(other > one for other in values) + (sum(other == one for other in values) - 1) / 2 for one in values
    ]
