"""One cell of the matrix: a system trained on a task and scored on its test split; or a trivial system; or anyone's outputs."""

from __future__ import annotations

import datetime
import fcntl
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.cost import EMPTY, EnergyMeter, latency, peak_memory, training_cost
from benchmarks.leaderboard.resamples import groups_of, packed_groups, packed_scores
from benchmarks.leaderboard.store import RESULTS, Result, digest_of, write_result
from benchmarks.leaderboard.systems import comparable
from core.cli import dispatch
from core.config_toml import to_toml, to_tree
from core.errors import ConfigError
from core.record import Hypothesis, Prediction, Record
from core.run.evaluation import with_targets
from core.run.prepared import SplitRecords, choose_device, read_split, source_name
from core.run.scoring import score
from core.settings import RunConfig
from core.task import Task

RUNS = Path("runs") / "leaderboard"
TAKEN = 75
"""Exit code of a cell that another process is at."""


class CellFailed(Exception):
    """Training ended otherwise than well; what was wrong has been said."""

    def __init__(self, code: int) -> None:
        super().__init__(f"training ended with exit code {code}")
        self.code = code


class CellTaken(Exception):
    """Another process is at this cell."""


def train_cell(
    task: Task[Any], cfg: RunConfig, *, system: str, budget: str, runs: Path = RUNS, results: Path = RESULTS
) -> Path:
    """Train, or go on where it was broken off; score; write. The run folder stays."""
    name = f"{budget}-{system}-seed{cfg.seed}-{config_digest(cfg)[:8]}"
    folder = runs / task.name / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with only_one(folder.parent / f".{name}.lock"):
        meter = EnergyMeter()
        if folder.is_dir() and not (folder / "config.toml").is_file():
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        resumed, begun = (folder / "config.toml").is_file(), time.process_time()
        config = folder.parent / f"{name}.toml"
        config.write_text(to_toml(cfg), encoding="utf-8")
        code = dispatch("train", lambda: task, task.name, [str(config), "--run", str(folder), "--resume"])
        if code:
            raise CellFailed(code)
        minutes = None if resumed else (time.process_time() - begun) / 60
        result = measured(task, folder, system=system, budget=budget)
        result["cost"]["training_cpu_minutes"] = minutes
        result["cost"]["energy_joules"] = meter.joules()
        return write_result(result, results)


def measured(task: Task[Any], folder: Path, *, system: str, budget: str) -> Result:
    """A finished run on its test split."""
    from core.run.answering import Answerer
    from core.run.folder import existing_run
    from core.run.stored import load_run

    run = load_run(task, existing_run(folder))
    found = with_targets(read_split(task, run.config, "test"))
    answer = Answerer(task, run.config, run.codecs, run.model, run.rule)
    begun, used = time.perf_counter(), time.process_time()
    predictions = answer(found.records, lambda done: None)
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    cost = {
        **EMPTY,
        **training_cost(folder),
        "decode_seconds": seconds,
        "decode_cpu_seconds": used,
        **latency(lambda records: answer(records, lambda done: None), found.records),
        **peak_memory(),
    }
    return result_of(task, run.config, found, predictions, kind="trained", system=system, budget=budget, cost=cost)


def floor_cells(task: Task[Any], cfg: RunConfig, *, budget: str, results: Path = RESULTS) -> list[Path]:
    """Every trivial system of the task."""
    if not task.baselines:
        return []
    found = with_targets(read_split(task, cfg, "test"))
    known = read_split(task, cfg, "train").records if task.baselines_learn else []
    written: list[Path] = []
    for name, baseline in task.baselines.items():
        begun = time.perf_counter()
        outputs = baseline(known, found.records)
        cost = {**EMPTY, "decode_seconds": time.perf_counter() - begun}
        answers = answered(found.records, outputs)
        result = result_of(task, cfg, found, answers, kind="floor", system=f"floor-{name}", budget=budget, cost=cost)
        written.append(write_result({**result, "seed": None}, results))
    return written


def answered(records: Sequence[Record], outputs: Sequence[str]) -> list[Prediction]:
    """One answer each, without scores."""
    return [Prediction(record, (Hypothesis(output, 0.0),)) for record, output in zip(records, outputs, strict=True)]


def result_of(
    task: Task[Any],
    cfg: RunConfig,
    found: SplitRecords,
    predictions: Sequence[Prediction],
    *,
    kind: str,
    system: str,
    budget: str,
    cost: dict[str, Any],
) -> Result:
    """Everything that a row of the board is made of."""
    from core.train.environment import describe
    from core.train.trainer import choose_precision

    skipped: dict[str, str] = {}
    scores = score(predictions, task.metrics(cfg.task), intervals=False, skipped=skipped)
    device = choose_device(cfg.train.device)
    facts = describe(device, choose_precision(cfg.train.precision, device))
    trained = kind == "trained"
    tree = comparable(cfg) if trained else {name: to_tree(cfg)[name] for name in ("task", "data")}
    return {
        "kind": kind,
        "task": task.name,
        "system": system,
        "budget": budget,
        "seed": cfg.seed if trained else None,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "split": found.split,
        "data": {"name": source_name(task, cfg), "sha256": found.sha256, "n": len(found.records)},
        "groups": packed_groups(groups_of(predictions)),
        "primary": next(iter(scores)),
        "metrics": packed_scores(scores, predictions),
        "skipped": skipped,
        "config": tree,
        "config_sha256": digest_of(tree),
        "git": facts["git"],
        "environment": {name: value for name, value in facts.items() if name != "git"},
        "cost": cost,
    }


def config_digest(cfg: RunConfig) -> str:
    """Equal for cells that differ in seed or machine alone."""
    return digest_of(comparable(cfg))


@contextmanager
def only_one(path: Path) -> Generator[None, None, None]:
    """The kernel gives the lock back when its holder ends, however that comes."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CellTaken(f"{path.name}: another process is at it") from None
        yield


def done_already(results: Sequence[Result], task: str, system: str, budget: str, cfg: RunConfig, data: str) -> bool:
    """Whether a result of this cell is there, of whatever revision."""
    wanted = (task, system, budget, cfg.seed, config_digest(cfg), data)
    return any(
        (one["task"], one["system"], one["budget"], one["seed"], one["config_sha256"], one["data"]["sha256"]) == wanted
        for one in results
    )


def digest_of_test(task: Task[Any], cfg: RunConfig) -> str:
    """Of the data as it is now."""
    if not task.metrics(cfg.task):
        raise ConfigError(f"{task.name}: has no metric")
    return read_split(task, cfg, "test").sha256
