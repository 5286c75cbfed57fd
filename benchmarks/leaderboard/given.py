"""`submit` and `score`: anyone's outputs, by the same metrics and signatures."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.cell import result_of
from benchmarks.leaderboard.cost import EMPTY
from benchmarks.leaderboard.store import RESULTS, Result, digest_of, write_result
from benchmarks.leaderboard.systems import Budget, base_path, table
from core.config_toml import load
from core.errors import ConfigError
from core.run.evaluation import with_data, with_targets
from core.run.outputs import read_outputs
from core.run.prepared import read_split
from core.run.scoring import GIVEN, score
from core.run.scoring import table as score_table
from core.settings import run_config
from core.task import Task

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def scored(
    task: Task[Any],
    system: str,
    predictions: Path,
    budget: Budget,
    *,
    data: Path | None = None,
    config: Path | None = None,
) -> Result:
    """On the test split of the budget's config, of CONFIG, or of DATA. Wrong counts, ids and lines are refused."""
    if not NAME.fullmatch(system):
        raise ConfigError(f"--system {system!r}: letters, digits and . _ + - are right")
    if system in table()[1] or system.startswith("floor-"):
        raise ConfigError(f"--system {system}: the name of a system of ours; choose another")
    cfg = load(run_config(task.config), config or base_path(task, budget.config)).config
    cfg = with_data(task, cfg, data, "test")
    found = with_targets(read_split(task, cfg, "test"))
    answers = read_outputs(task, cfg.task, predictions, found.records)
    said = {"outputs_sha256": hashlib.sha256(predictions.read_bytes()).hexdigest()}
    if data is not None:  # where it lies is nobody's business
        cfg = replace(cfg, data=replace(cfg.data, path=(), test=data.name))
    result = result_of(task, cfg, found, answers, kind="submitted", system=system, budget=budget.name, cost=dict(EMPTY))
    tree = {**result["config"], **said}
    print(score_table(score(answers, task.metrics(cfg.task), skipped={}), row=GIVEN))
    for one in result["metrics"].values():
        print(f"  {one['signature']}")
    return {**result, "config": tree, "config_sha256": digest_of(tree)}


def submit(result: Result, results: Path = RESULTS) -> Path:
    """A row of the board."""
    return write_result(result, results)
