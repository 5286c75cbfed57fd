"""Small trainings of every task, to be broken off: {Transformer, GRU with attention} x {0, 2 loader workers} x {1, 4 batches an update}.

A training runs in a process of its own that is forked to run it, by the words that a user would type (`core.cli.dispatch`), so that
its exit codes, locks, signals and files are the real ones. Two of them are the same where every byte of weights, optimizer and
averages, every fact of the state (cursor, scores, tallies, what was left out) and every line of the log is, less what a clock wrote.
Randomness needs no state: everything drawn is keyed by seed, step and record.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.torture.points import count
from benchmarks.torture.rows import Trial, hold
from core.cli import dispatch
from core.config_text import to_toml
from core.config_toml import load
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.run.folder import RunFolder
from core.settings import RunConfig, run_config
from core.task import Task
from core.testing.task_case import task_case
from core.testing.tiny import small
from core.testing.training_laws import Remains, timeless, training_case
from tasks import TASKS

import_module("torch._dynamo")  # every optimizer does, which takes seconds: here it is done once, before the forks
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MODELS = ("transformer", "gru")
WORKERS = (0, 2)
ACCUMULATE = (1, 4)
KILLED = -signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Ordeal:
    """A task's tiny config, made smaller still, in one of eight ways."""

    task: str
    model: str
    workers: int
    accumulate: int

    def __str__(self) -> str:
        return f"{self.task}-{self.model}-{self.workers}-{self.accumulate}"


def ordeals(names: Sequence[str] = ()) -> list[Ordeal]:
    """The whole product; neighbours differ in everything, and every eight have all ways."""
    names = names or sorted(TASKS.names())
    ways = list(product(MODELS, WORKERS, ACCUMULATE))
    return [
        Ordeal(names[(number + turn) % len(names)], *ways[number])
        for turn in range(len(names))
        for number in range(len(ways))
    ]


QUICK = (Ordeal("roman", "transformer", 2, 4), Ordeal("roman", "gru", 0, 1))
"""For every check: of the task that is read the quickest, two that differ in all three."""


def ordeal_of(trial: Trial, further: int = 0) -> Ordeal:
    """This trial's."""
    every = QUICK if trial.quick else ordeals()
    return every[(trial.number + further) % len(every)]


@cache
def case_of(name: str) -> tuple[Task[Any], RunConfig]:
    """A task that has few records, read once, and a config of few steps."""
    task = TASKS[name]
    cfg = load(run_config(task.config), CONFIGS / name / "tiny.toml").config
    case = training_case(task_case(task, cfg))
    return case.task, case.config


def ready(numbers: Sequence[int]) -> None:
    """Read all data, so that it is there in every process forked from this one; few trials read what they need."""
    if len(numbers) > 10:
        for name in sorted(TASKS.names()):
            case_of(name)


def config_of(ordeal: Ordeal) -> RunConfig:
    """What the run folder will say."""
    _, cfg = case_of(ordeal.task)
    return replace(
        cfg,
        model=model_of(ordeal.model, cfg.model),
        batch=replace(cfg.batch, workers=ordeal.workers),
        train=replace(cfg.train, accumulate=ordeal.accumulate, threads=1),
    )


def model_of(name: str, own: ModelConfig) -> ModelConfig:
    """The task's own Transformer, or recurrent cells in its place."""
    if name == "transformer" and own.kind == "transformer":
        return own
    front: dict[str, Any] = {"copy": own.copy, "ctc": own.ctc, "subsample": own.subsample, "dropout": own.dropout}
    if name == "transformer":
        return small(TransformerConfig(**front))
    return small(RNNConfig(cell="gru", **front))


@dataclass(slots=True)
class Life:
    """A training process, alive or not."""

    process: int
    said: Path
    begun: float

    def over(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it lives."""
        process, status = os.waitpid(self.process, os.WNOHANG)
        return None if process == 0 else os.waitstatus_to_exitcode(status)

    def wait(self) -> int:
        """Until it is over."""
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def words(self) -> str:
        """What it said last."""
        return " | ".join(self.said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:])


def train(
    ordeal: Ordeal,
    folder: Path,
    *,
    before: Callable[[], None] | None = None,
    words: Sequence[str] = (),
    said: Path | None = None,
) -> Life:
    """Begin a training in a folder, or go on with what is there; `before` is called in its process first."""
    task, _ = case_of(ordeal.task)
    config = folder.with_name(f"{folder.name}.toml")
    if not config.exists():
        config.write_text(to_toml(config_of(ordeal)))
    said = said or folder.with_name(f"{folder.name}.said")
    return forked(lambda: dispatch("train", lambda: task, task.name, [*typed(config, folder), *words]), said, before)


def typed(config: Path, folder: Path) -> list[str]:
    """Begin, or go on: a batch system that repeats its command types both."""
    return [str(config), "--run", str(folder), "--resume"]


def forked(verb: Callable[[], int], said: Path, before: Callable[[], None] | None = None) -> Life:
    """In a process of its own, its words into a file."""
    begun = time.monotonic()
    process = os.fork()
    if process:
        return Life(process, said, begun)
    code = 70
    try:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(one, signal.SIG_DFL)
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = (os.fdopen(one, "w", closefd=False) for one in (1, 2))
        if before is not None:
            before()
        code = verb()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def remains(folder: Path) -> dict[str, Any]:
    """All that has to be equal: bytes by name as hex digests, facts and lines as trees."""
    left = Remains(RunFolder(folder), 0)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in left.files.items()}
    facts = {
        path.parent.name: timeless(
            {key: value for key, value in json.loads(path.read_text()).items() if key not in PASSING}
        )
        for path in sorted(RunFolder(folder).checkpoints.glob("*/trainer.json"))
    }
    return json.loads(json.dumps({"files": files, "facts": facts, "log": left.log, "metrics": left.metrics}))


PASSING = ("environment", "spent")
"""Parts of the facts that are of the machine and of the clock."""


def unbroken(trial: Trial, ordeal: Ordeal) -> dict[str, Any]:
    """What is left of an ordeal that nothing happens to, its seconds, and how often it came by each point; found out once for all."""
    kept = trial.shared / f"{ordeal}.json"
    if not kept.is_file():
        folder = trial.place / "unbroken"
        begun = time.monotonic()
        hits = trial.place / "hits.json"
        life = train(ordeal, folder, before=lambda: count(hits))
        code = life.wait()
        hold(code == 0, f"{ordeal}: the unbroken run ended with {code}: {life.words()}")
        found = {"remains": remains(folder), "seconds": time.monotonic() - begun, "hits": json.loads(hits.read_text())}
        shutil.copytree(folder, trial.shared / f"{ordeal}.{os.getpid()}")
        with suppress(OSError):  # another trial was quicker
            (trial.shared / f"{ordeal}.{os.getpid()}").rename(trial.shared / str(ordeal))
        beside = kept.with_name(f"{kept.name}.{os.getpid()}")
        beside.write_text(json.dumps(found))
        beside.replace(kept)
    return json.loads(kept.read_text())


def finished_run(trial: Trial, ordeal: Ordeal, into: Path) -> Path:
    """A copy of what the unbroken run left."""
    unbroken(trial, ordeal)
    return Path(shutil.copytree(trial.shared / str(ordeal), into))


def must_end_alike(
    trial: Trial, ordeal: Ordeal, folder: Path, what: str, *, said: Path | None = None, words: Sequence[str] = ()
) -> None:
    """Resume to the end, and compare with the unbroken run, bit for bit."""
    life = train(ordeal, folder, said=said, words=words)
    code = life.wait()
    hold(code == 0, f"{ordeal}, {what}: the resume ended with {code}: {life.words()}")
    trial.count("resumes")
    found, expected = remains(folder), unbroken(trial, ordeal)["remains"]
    for part in expected:
        if found[part] != expected[part]:
            hold(False, f"{ordeal}, {what}: {part} differ: {difference(found[part], expected[part])}")
    trial.count("bit-identical runs")


def difference(found: Any, expected: Any) -> str:
    """The first, in short."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in sorted({*found, *expected}):
            if found.get(name) != expected.get(name):
                return f"{name}: {difference(found.get(name), expected.get(name))}"
    if isinstance(found, list) and isinstance(expected, list):
        for number, (one, other) in enumerate(zip(found, expected, strict=False)):
            if one != other:
                return f"[{number}]: {difference(one, other)}"
        return f"{len(found)} of {len(expected)}"
    return f"{str(found)[:80]}, expected {str(expected)[:80]}"
