"""What every training run keeps: it can be broken off anywhere and goes on as if it had not been, and a seed says all."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from core.cli import TrainArguments
from core.config_toml import Loaded
from core.data.config import DataConfig
from core.errors import Interrupted
from core.record import Record, Split
from core.run.folder import RunFolder
from core.run.training import train
from core.settings import RunConfig
from core.task import Task
from core.testing.task_case import TaskCase
from core.testing.tiny import small, spread
from core.train.checkpoint import read_checkpoint

STEPS = 8
RECORDS: dict[Split, int] = {"train": 60, "dev": 6, "test": 6}
CLOCKED = ("second", "minute", "time", "per_s", "eta")
"""Parts of names in the log whose values a clock gave."""

Happening = Callable[[int], None]
"""Called before each training record is prepared, with the number of records before it."""


class Killed(BaseException):
    """Stands for a machine that goes down: nothing is saved."""


@dataclass(frozen=True)
class TrainingCase:
    """A task with few records and a config of few steps."""

    task: Task[Any]
    config: RunConfig

    @cached_property
    def unbroken(self) -> Remains:
        """What a run leaves that nothing happens to."""
        with tempfile.TemporaryDirectory() as place:
            return self.run(Path(place) / "run", self.config)

    def run(self, folder: Path, config: RunConfig | None, happening: Happening | None = None) -> Remains:
        """Train into a folder, or without a config go on there; what happens may break it off."""
        seen = Seen(happening)
        task = replace(self.task, augment=seen.of(self.task))
        going_on = config is None
        given = None if config is None else Loaded(config, {})
        train(task, TrainArguments(given, folder, resume=going_on, show=False, dry_run=False, config_path=None))
        return Remains(RunFolder(folder), seen.count)


class Seen:
    """Counts the training records as they are prepared, and lets something happen at one of them."""

    def __init__(self, happening: Happening | None) -> None:
        self.count, self.happening = 0, happening

    def of(self, task: Task[Any]) -> Callable[[Any], Callable[[Record, np.random.Generator], Record]]:
        """The task's own augmentation, or none, counted."""

        def counted(cfg: Any) -> Callable[[Record, np.random.Generator], Record]:
            vary = (task.augment(cfg) if task.augment else None) or (lambda record, random: record)

            def once(record: Record, random: np.random.Generator) -> Record:
                if self.happening is not None:
                    self.happening(self.count)
                self.count += 1
                return vary(record, random)

            return once

        return counted


class Remains:
    """What a run left, less what a clock wrote."""

    def __init__(self, folder: RunFolder, seen: int) -> None:
        self.seen = seen
        self.files = {
            str(path.relative_to(folder.path)): path.read_bytes()
            for path in sorted(folder.checkpoints.rglob("*"))
            if path.suffix == ".safetensors"
        }
        self.log = [timeless(json.loads(line)) for line in folder.log.read_text().splitlines()]
        self.metrics = timeless(json.loads(folder.metrics.read_text()))

    def must_equal(self, other: Remains, what: str) -> None:
        """Bit for bit."""
        assert self.files, f"{what}: no weights were saved"
        assert self.files.keys() == other.files.keys(), (
            f"{what}: files {sorted(self.files)}, expected {sorted(other.files)}"
        )
        for name, content in other.files.items():
            assert self.files[name] == content, f"{what}: {name} has other bytes"
        for number, (line, expected) in enumerate(zip(self.log, other.log, strict=False), start=1):
            assert line == expected, f"{what}: log line {number} is {line}, expected {expected}"
        assert len(self.log) == len(other.log), f"{what}: {len(self.log)} log lines, expected {len(other.log)}"
        assert self.metrics == other.metrics, f"{what}: metrics.json is {self.metrics}, expected {other.metrics}"


def timeless(tree: Any) -> Any:
    """Without what a clock gave."""
    if isinstance(tree, dict):
        items: Iterator[tuple[str, Any]] = iter(tree.items())  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return {key: timeless(value) for key, value in items if not any(part in key for part in CLOCKED)}
    return tree


def training_case(case: TaskCase) -> TrainingCase:
    """The shorter records, and a config that evaluates, saves and logs at steps that do not coincide."""
    few: dict[Split, list[Record]] = {}
    size = 1
    for split, n in RECORDS.items():
        lengths = {
            record.key: max(len(source.values), len(target))
            for record in spread(case.records[split], 5 * n)
            for source, target in case.pairs([record])
        }
        chosen = set(sorted(lengths, key=lambda key: lengths[key])[: max(n, len(lengths) // 2)])
        few[split] = spread([record for record in case.records[split] if record.key in chosen], n)
        size = max(size, *(lengths[record.key] for record in few[split]))

    def source(cfg: Any, data: DataConfig, split: Split) -> Iterator[Record]:
        return iter(few[split])

    task = replace(case.task, sources={"few": source}, codecs=lambda cfg, train: case.codecs)
    cfg = case.config
    return TrainingCase(
        task,
        replace(
            cfg,
            data=replace(cfg.data, source="few", path=(), train="", dev="", test="", limit=0),
            batch=replace(
                cfg.batch, tokens=10 * (size + 1), window=25, workers=0, longest=max(cfg.batch.longest, size + 1)
            ),
            model=replace(small(cfg.model), dropout=0.1),
            train=replace(
                cfg.train,
                steps=STEPS,
                warmup=3,
                evaluate_every=4,
                log_every=3,
                accumulate=2,
                evaluate_records=4,
                minutes=0.0,
                patience=0,
                device="cpu",
                precision="fp32",
                threads=0,
                tensorboard=False,
                report=False,
            ),
            search=replace(cfg.search, strategy="beam", beams=2, n_best=1, length_ratio=1.0, length_extra=5),
            save=replace(cfg.save, every=3),
        ),
    )


def interrupted_and_resumed_is_unbroken(case: TrainingCase) -> None:
    """A signal in the middle of a step: saved, resumed, and in the end the same weights, states and log, bit for bit."""
    middle = round(0.55 * case.unbroken.seen)

    def stop(n: int) -> None:
        if n == middle:
            handled = signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN, None)
            assert handled, "training does not listen to signals"
            signal.raise_signal(signal.SIGTERM)

    with tempfile.TemporaryDirectory() as place:
        folder, stopped = Path(place) / "run", False
        try:
            with silence():
                case.run(folder, case.config, stop)
        except Interrupted:
            stopped = True
        assert stopped, "a signal did not stop the run"
        at = saved_step(folder)
        assert 0 < at < STEPS, f"the run stopped at step {at}, not between"
        case.run(folder, None).must_equal(case.unbroken, f"stopped at step {at} and resumed")


def killed_and_resumed_is_unbroken(case: TrainingCase) -> None:
    """The same where nothing could be saved any more: it goes on from the last save, and the log forgets what came after."""
    for share in (0.2, 0.7):
        end = round(share * case.unbroken.seen)

        def die(n: int, end: int = end) -> None:
            if n == end:
                raise Killed

        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "run"
            with suppress(Killed):
                case.run(folder, case.config, die)
            assert not RunFolder(folder).finished, "a killed run says that it finished"
            case.run(folder, None).must_equal(case.unbroken, f"killed after {100 * share:.0f} % and resumed")


def a_seed_says_all(case: TrainingCase) -> None:
    """The same seed again gives the same bytes; another seed gives others."""
    with tempfile.TemporaryDirectory() as place:
        case.run(Path(place) / "again", case.config).must_equal(case.unbroken, "the same seed again")
        other = case.run(Path(place) / "other", replace(case.config, seed=case.config.seed + 1))
        assert other.files != case.unbroken.files, "another seed gives the same weights"


def helpers_change_nothing(case: TrainingCase) -> None:
    """Batches that threads prepare ahead are those that the loop prepares itself."""
    with tempfile.TemporaryDirectory() as place:
        config = replace(case.config, batch=replace(case.config.batch, workers=2))
        case.run(Path(place) / "run", config).must_equal(case.unbroken, "with two workers")


@contextmanager
def silence() -> Generator[None, None, None]:
    """Standard error to nowhere, for what a signal handler writes there behind Python's back."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def saved_step(folder: Path) -> int:
    """Of the last checkpoint; 0 if there is none."""
    checkpoint = read_checkpoint(RunFolder(folder).last)
    return checkpoint.step if checkpoint is not None else 0


TRAINING_LAWS: tuple[Callable[[TrainingCase], None], ...] = (
    interrupted_and_resumed_is_unbroken,
    killed_and_resumed_is_unbroken,
    a_seed_says_all,
    helpers_change_nothing,
)
