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
        values_SR = np.stack([resamples_of(one, self.metric) for one in self.results])
        seeds, count = values_SR.shape
        if seeds == 1:
            return values_SR[0]
        name = hashlib.sha256(f"{self.system} {self.budget}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(name[:8], "big"))
        drawn_SR = random.integers(seeds, size=(seeds, count))
        return values_SR[drawn_SR, np.arange(count)].mean(axis=0)

    @property
    def units(self) -> int:
        """Independent ones: groups of records, and records without a group."""
        groups = self.results[0].get("groups")
        if groups is None:
            return int(self.results[0]["data"]["n"])
        return int(groups["count"]) + int(np.count_nonzero(unpack(groups["of"]) < 0))

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


def resamples_of(result: Result, metric: str) -> np.ndarray:
    """The value of one training in each resample of records; R."""
    return unpack(result["metrics"][metric]["resamples"])


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


def ranks(values: Sequence[float]) -> list[float]:
    """1 for the highest; equals share the mean of their places."""
    return [
        1 + sum(other > one for other in values) + (sum(other == one for other in values) - 1) / 2 for one in values
    ]
