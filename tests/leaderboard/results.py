"""Results made of numbers, as `run` writes them: what the tests of boards and pages compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leaderboard.cost import EMPTY
from benchmarks.leaderboard.resamples import packed_groups, packed_score
from benchmarks.leaderboard.store import digest_of
from core.run.scoring import Score


class Percent:
    """The mean of one column."""

    name, signature, higher_is_better = "exact@1", "exact|k:1|v:1", True

    def statistics(self, predictions: Any) -> np.ndarray:
        return np.array([[float(one.output == one.record.target)] for one in predictions])

    def score(self, rows: np.ndarray) -> float:
        return 100 * float(rows[:, 0].mean())


class Errors(Percent):
    """The same, where fewer is better."""

    name, signature, higher_is_better = "wer", "wer|v:1", False


def result(
    system: str,
    right: np.ndarray,
    *,
    task: str = "roman",
    metric: Percent | None = None,
    groups: list[Any] | None = None,
    **changed: Any,
) -> dict[str, Any]:
    """Of a system that has those records right."""
    metric = metric or Percent()
    rows = right.astype(float)[:, None]
    score = Score(metric, rows, metric.score(rows), None)
    config = {"system": system}
    whole = {
        "kind": "trained",
        "task": task,
        "system": system,
        "budget": "smoke",
        "seed": 1,
        "date": "2026-01-02T03:04:05Z",
        "split": "test",
        "data": {"name": "numbers", "sha256": "ab" * 32, "n": len(rows)},
        "groups": packed_groups(groups),
        "primary": metric.name,
        "metrics": {metric.name: packed_score(score, groups, primary=True)},
        "skipped": {},
        "config": config,
        "config_sha256": digest_of(config),
        "git": "0123456789ab",
        "environment": {"hardware": "a machine", "device": "cpu", "precision": "fp32", "threads": 1},
        "cost": {**EMPTY, "training_minutes": 1.5, "parameters": 1000},
        **changed,
    }
    return {**whole, "digest": digest_of(whole)}


def answers(share: float, count: int = 200, seed: int = 0) -> np.ndarray:
    """So many right, anywhere."""
    return np.random.default_rng(seed).random(count) < share


def write(path: Path, text: str) -> Path:
    """And give the path back."""
    path.write_text(text, encoding="utf-8")
    return path
