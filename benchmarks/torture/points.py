"""Named points in the life of a training at which its process dies: functions of the product, watched from outside.

The process is already forked and will not outlive the point, so wrapping a function there touches nobody else. `before` and `after` a
call are plain; `half` does a part of what the call would do first, as a power cut might. The product has no switch for any of this.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

When = str
"""before, after, half"""


@dataclass(frozen=True, slots=True)
class Point:
    """A call: `place` is module:attribute, `of` says which of its calls count."""

    name: str
    place: str
    when: When
    of: Callable[..., bool] = lambda *given, **named: True
    resuming: bool = False
    """Reached only where a run goes on."""


def named(name: str) -> Callable[..., bool]:
    """Calls whose first argument is a path of this name, or whose ending it is."""
    return lambda path, *given, **named: Path(path).name == name or Path(path).suffix == name


def written_into(name: str) -> Callable[..., bool]:
    """Calls of `write_checkpoint` for this folder."""
    return lambda path, *given, **named: Path(path).name == name


def left_over(path: Path, *given: Any, **named: Any) -> bool:
    """An old checkpoint that is there."""
    return Path(path).suffix == ".old" and Path(path).is_dir()


def renamed(*, to_old: bool) -> Callable[..., bool]:
    """One of the two renames of a save."""
    return lambda path, to, **named: (
        Path(path).parent.name == "checkpoints"
        and (Path(to).suffix == ".old") == to_old
        and Path(path).suffix != ".old"
    )


CHECKPOINT = "core.train.checkpoint"
POINTS = (
    Point("a checkpoint's file is half written", f"{CHECKPOINT}:write_synced", "half", named(".safetensors")),
    Point("the state's facts are half written", f"{CHECKPOINT}:write_synced", "half", named("trainer.json")),
    Point("the manifest is half written", f"{CHECKPOINT}:write_synced", "half", named("manifest.json")),
    Point("before a file is synced", "os:fsync", "before"),
    Point("after a file is synced", "os:fsync", "after"),
    Point("before a folder is synced", f"{CHECKPOINT}:sync_folder", "before"),
    Point("before the old checkpoint steps aside", "pathlib:Path.rename", "before", renamed(to_old=True)),
    Point("between the two renames", "pathlib:Path.rename", "before", renamed(to_old=False)),
    Point("after both renames", "pathlib:Path.rename", "after", renamed(to_old=False)),
    Point("the old checkpoint is half removed", f"{CHECKPOINT}:shutil.rmtree", "half", left_over),
    Point("the best is written, the last not yet", "core.run.saving:write_checkpoint", "after", written_into("best")),
    Point("between backward and the update", "core.train.finite:Watch.note", "before"),
    Point("between the update and the average", "core.train.average:Average.update", "before"),
    Point("within a step, between two batches", "core.train.gradients:Gradients.learned", "after"),
    Point("before an evaluation", "core.run.answering:Answerer.__call__", "before"),
    Point("within an evaluation", "core.decode.predict:answers", "after"),
    Point("an evaluation is over, its score not yet written", "core.train.log:Log.evaluation", "before"),
    Point("its score is written, nothing saved yet", "core.train.log:Log.evaluation", "after"),
    Point("a line of the log is half written", "core.train.log:Log.settle", "half"),
    Point("a line of the log is written", "core.train.log:Log.settle", "after"),
    Point("a new epoch begins", "core.data.stream:TrainBatches.drawn", "before", lambda self, epoch, window: epoch > 0),
    Point("a loader makes a batch", "core.data.stream:TrainBatches._made", "before"),
    Point("the last scores are counted", "core.run.ending:keep_temperature", "before"),
    Point("the run's facts are half written", "core.run.folder:write_synced", "half"),
    Point("a resume has swept", "core.run.training:sweep", "after", resuming=True),
    Point("a resume has read the checkpoint", "core.run.training:read_checkpoint", "after", resuming=True),
    Point("a resume puts the state back", "core.train.trainer:Trainer.restore", "after", resuming=True),
    Point("a resume cuts the log", "core.train.log:Log.kept", "after", resuming=True),
)


def place_of(point: Point) -> tuple[Any, str]:
    """The object that has the attribute, and its name."""
    module, _, path = point.place.partition(":")
    owner: Any = import_module(module)
    *inner, name = path.split(".")
    for one in inner:
        owner = getattr(owner, one)
    return owner, name


def watch(point: Point, happens: Callable[[Point], bool]) -> None:
    """Call `happens` at each hit; where it says so, the process dies there."""
    owner, name = place_of(point)
    real = getattr(owner, name)

    def call(*given: Any, **options: Any) -> Any:
        hit = point.of(*given, **options) and happens(point)
        if hit and point.when == "half":
            half(name, given)
        if hit and point.when != "after":
            die()
        found = real(*given, **options)
        if hit:
            die()
        return found

    setattr(owner, name, call)


def half(name: str, given: tuple[Any, ...]) -> None:
    """A part of what the call would have done."""
    match name:
        case "write_synced":
            path, content = given
            Path(path).write_bytes(content[: len(content) // 2])
        case "rmtree":
            sorted(Path(given[0]).iterdir())[0].unlink()
        case "settle":
            log = given[0]
            content = b"".join(log.waiting)
            log.file.write(content[: len(content) // 2])
        case _:
            raise ValueError(f"no half of {name}")


def die() -> None:
    """As by a power cut, for this process; from whichever thread."""
    os.kill(os.getpid(), signal.SIGKILL)


def count(into: Path) -> None:
    """Count the hits of every point, into a file, for a run that nothing happens to."""
    hits = dict.fromkeys((point.name for point in POINTS), 0)

    def happens(point: Point) -> bool:
        hits[point.name] += 1
        into.write_text(json.dumps(hits))
        return False

    for point in POINTS:
        watch(point, happens)


def kill_at(point: Point, hit: int) -> None:
    """Die at the hit of this number, from 0."""
    left = [hit]

    def happens(point: Point) -> bool:
        left[0] -= 1
        return left[0] < 0

    watch(point, happens)
