"""Climbing the ladder: each rung is trained as anyone would, into an ordinary run folder, and one that is finished is left alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.story.rungs import BASE, Budget, Rung, config_of, overrides
from core.cli import dispatch
from core.config_toml import load
from core.config_tree import differences
from core.errors import ConfigError
from core.run.folder import RunFolder, write_text
from core.settings import run_config
from core.task import Task

SPENT, BEGUN = "processor-minutes", "begun"
"""Beside each run folder."""


def trained(task: Task[Any], rung: Rung, budget: Budget, folder: RunFolder) -> int:
    """Train, or go on where it was broken off; the exit code of `train`."""
    if folder.finished:
        same_config(task, rung, budget, folder)
        print(f"{rung.name}: trained already, {folder.path}", file=sys.stderr)
        return 0
    forget_a_false_start(folder)
    folder.path.parent.mkdir(parents=True, exist_ok=True)
    words = [str(BASE), *overrides(rung, budget), "--run", str(folder.path), "--resume"]
    if not beside(folder, BEGUN).is_file():
        write_text(beside(folder, BEGUN), f"{time.time():.0f}\n")
    with counted(folder):
        return dispatch("train", lambda: task, task.name, words)


@contextmanager
def counted(folder: RunFolder) -> Generator[None, None, None]:
    """What the processor spends inside is added up beside the run folder: on a shared machine the clock says little."""
    before, begun = noted(folder, SPENT), time.process_time()
    try:
        yield
    finally:
        write_text(beside(folder, SPENT), f"{before + (time.process_time() - begun) / 60:.4f}\n")


def processor_minutes(folder: RunFolder) -> float:
    """Of a rung's training so far, reading data and evaluating included; a killed process takes its own along."""
    return noted(folder, SPENT)


def begun_at(folder: RunFolder) -> float:
    """Seconds since the epoch, when a rung was first begun."""
    return noted(folder, BEGUN)


def noted(folder: RunFolder, name: str) -> float:
    """A number beside a run folder; 0 where there is none."""
    path = beside(folder, name)
    return float(path.read_text(encoding="utf-8")) if path.is_file() else 0.0


def beside(folder: RunFolder, name: str) -> Path:
    """Not inside, for that is the run's own."""
    return folder.path.with_name(f"{folder.path.name}.{name}")


def same_config(task: Task[Any], rung: Rung, budget: Budget, folder: RunFolder) -> None:
    """A run of another ladder is no rung of this one."""
    stored = load(run_config(task.config), folder.config, ()).config
    if changed := differences(stored, config_of(rung, budget)):
        said = "; ".join(f"{key}: {old!r} -> {new!r}" for key, old, new in changed)
        raise ConfigError(
            f"{folder.path}: trained with another config ({said}); name another folder with --runs, or remove it"
        )


def forget_a_false_start(folder: RunFolder) -> None:
    """Killed before its config was written, a run leaves an empty folder of checkpoints."""
    if not folder.config.exists():
        with suppress(OSError):
            folder.checkpoints.rmdir()
