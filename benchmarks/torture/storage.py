"""R5 and R6: disks that fill up at any write, and checkpoints that rot."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.torture.ordeals import (
    Ordeal,
    case_of,
    config_of,
    finished_run,
    forked,
    must_end_alike,
    ordeal_of,
    ready,
    train,
)
from benchmarks.torture.points import Point, place_of
from benchmarks.torture.rows import Row, Trial, hold
from core.cli import dispatch
from core.config_text import to_toml
from core.errors import DataError
from core.run.folder import RunFolder
from core.train.checkpoint import read_checkpoint

WRITES = (
    Point("a checkpoint's file", "core.train.checkpoint:write_synced", "half"),
    Point("a checkpoint's folder", "core.train.checkpoint:sync_folder", "before"),
    Point("a name in the folder of checkpoints", "pathlib:Path.rename", "before"),
    Point("a folder", "pathlib:Path.mkdir", "before", lambda path, *given, **named: Path(path).suffix == ".new"),
    Point("the log", "core.train.log:Log.settle", "before", lambda log: bool(log.waiting)),
    Point("a file of the run", "core.run.folder:write_synced", "half"),
)
"""Where the product writes while it trains."""
SAID = re.compile(r"/run\S*: not saved: No space left on device; [\d,]+ bytes needed, [\d,]+ free")
AT_A_TIME = 50
"""Corruptions of a trial."""


def fills_up(first: int, last: int) -> None:
    """In this process the disk is full from its write number `first` to `last`, counted from 0."""
    calls = [0]

    def wrap(point: Point) -> None:
        owner, name = place_of(point)
        real = getattr(owner, name)

        def call(*given: Any, **options: Any) -> Any:
            if not point.of(*given, **options):
                return real(*given, **options)
            number, calls[0] = calls[0], calls[0] + 1
            if not first <= number <= last:
                return real(*given, **options)
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if name == "write_synced":
                Path(given[0]).write_bytes(given[1][: len(given[1]) // 2])
            elif name == "settle":
                return settle_full(given[0], real, full)
            raise full

        setattr(owner, name, call)

    for point in WRITES:
        wrap(point)


class HalfFull:
    """A log's file that takes half of what it is given, and then nothing."""

    def __init__(self, file: Any, full: OSError) -> None:
        self.file, self.full, self.took = file, full, False

    def write(self, content: memoryview) -> int:
        """Half, then ENOSPC."""
        if self.took:
            raise self.full
        self.took = True
        return self.file.write(content[: len(content) // 2])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def settle_full(log: Any, real: Callable[[Any], None], full: OSError) -> None:
    """The log's own handling, on a full disk."""
    file, log.file = log.file, HalfFull(log.file, full)
    try:
        real(log)
    finally:
        log.file = file


def full_for_a_while(trial: Trial) -> None:
    """R5: ENOSPC at some of the writes of a run."""
    ordeal = ordeal_of(trial)
    folder = trial.place / "run"
    first = trial.number * 3 % 120 if not trial.quick else trial.random.randrange(8, 60)
    last = first + trial.random.choice((0, 0, 1, 3, 8, 1000))
    life = train(ordeal, folder, before=partial(fills_up, first, last))
    code = life.wait()
    said = life.said.read_text()
    trial.count("disks that filled up")
    hold(code in (0, 3), f"{ordeal}: full from write {first} to {last}: ended with {code}: {life.words()}")
    hold("Traceback" not in said, f"{ordeal}: a traceback: {life.words()}")
    if code == 3:
        (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
        hold(SAID.search(error), f"{ordeal}: it said: {error}")
        trial.count("runs that ended with exit code 3")
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    elif "warning: " in said:
        hold(SAID.search(said), f"{ordeal}: it said: {said}")
        trial.count("runs that went on and saved later")
    if folder.exists():
        sound(folder)
    must_end_alike(trial, ordeal, folder, f"full from write {first} to {last}")
    left = [str(path) for path in folder.rglob("*") if path.name.endswith((".new", ".old", ".tmp"))]
    hold(not left, f"{ordeal}: left behind: {left}")


def sound(folder: Path) -> None:
    """Whatever checkpoint is there can be read."""
    for path in (RunFolder(folder).last, RunFolder(folder).best):
        read_checkpoint(path)


CLONE_NEWNS = 0x20000
MS_REMOUNT, MS_PRIVATE, MS_REC = 32, 1 << 18, 16384


def on_a_small_disk(trial: Trial) -> None:
    """R5, for root: a real file system of so many KiB; later it grows, and the run goes on."""
    ordeal = ordeal_of(trial)
    whole = sum(path.stat().st_size + 4096 for path in (finished_run(trial, ordeal, trial.place / "whole")).rglob("*"))
    shutil.rmtree(trial.place / "whole")
    share = trial.number % 20 / 19 * 1.2
    size = max(int(share * whole) // 4096 * 4096, 4096)
    disk = trial.place / "disk"
    disk.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
        trial.count("small disks that could not be mounted here")
        return
    if libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, f"size={size}".encode()):
        trial.count("small disks that could not be mounted here")
        return
    folder = disk / "run"
    (disk / "run.toml").symlink_to(trial.place / "run.toml")
    (trial.place / "run.toml").write_text(to_toml(config_of(ordeal)))  # not on the small disk
    life = train(ordeal, folder, said=trial.place / "run.said")
    code = life.wait()
    said = life.said.read_text()
    trial.count("small disks")
    hold(code in (0, 3) and "Traceback" not in said, f"{ordeal}: {size:,} bytes: ended with {code}: {life.words()}")
    if code == 3:
        trial.count("runs that ended with exit code 3")
        hold("No space left on device" in said.splitlines()[-1], f"{ordeal}: {size:,} bytes: it said: {life.words()}")
    if folder.exists():
        sound(folder)
        if not any(one.name != ".lock" for one in folder.iterdir()):
            shutil.rmtree(folder)
    hold(
        libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", MS_REMOUNT, f"size={10 * whole + 10**6}".encode()) == 0,
        "the disk could not be made larger",
    )
    must_end_alike(trial, ordeal, folder, f"on a disk of {size:,} bytes", said=trial.place / "run.said")


def rots(trial: Trial) -> None:
    """R6: fifty corruptions of a finished run's checkpoints, each of a fresh copy of one."""
    ordeal = ordeal_of(trial)
    folder = finished_run(trial, ordeal, trial.place / "run")
    checkpoints = RunFolder(folder).checkpoints
    kinds = (flip, flip, flip, flip, flip, flip, cut, cut, zero, zero, swap)
    for number in range(10 if trial.quick else AT_A_TIME):
        kind = kinds[number % len(kinds)]
        name = trial.random.choice(("last", "best"))
        intact = shutil.copytree(checkpoints / name, trial.place / "intact")
        file = kind(trial, checkpoints / name, checkpoints / ("best" if name == "last" else "last"))
        if file is not None:
            trial.count("corruptions")
            trial.count(f"corruptions: {kind.__doc__}"[:-1])
            noticed(checkpoints / name, file, kind.__name__)
            if number % 25 == 24 and name == "best":
                refused_by_verbs(trial, ordeal, folder, file)
        shutil.rmtree(checkpoints / name)
        shutil.copytree(intact, checkpoints / name)
        shutil.rmtree(intact)
    sound(folder)


def noticed(checkpoint: Path, file: Path, kind: str) -> None:
    """Refused, by name, before anything is parsed as tensors."""
    try:
        read_checkpoint(checkpoint)
    except DataError as error:
        hold(file.name in str(error) or file.name == "manifest.json", f"{kind} of {file.name}: it said: {error}")
        hold(str(checkpoint) in str(error), f"{kind} of {file.name}: it said: {error}")
        hold("corrupt" in str(error) or "format" in str(error), f"{kind} of {file.name}: it said: {error}")
    else:
        hold(False, f"{kind} of {checkpoint.name}/{file.name} went unnoticed")


def refused_by_verbs(trial: Trial, ordeal: Ordeal, folder: Path, file: Path) -> None:
    """`evaluate` ends with exit code 3 and names the file."""
    task, _ = case_of(ordeal.task)
    said = trial.place / "evaluate.said"
    life = forked(lambda: dispatch("evaluate", lambda: task, task.name, [str(folder)]), said)
    code = life.wait()
    words = said.read_text()
    hold(code == 3 and "corrupt" in words, f"evaluate ended with {code}: {words}")
    trial.count("evaluations refused with exit code 3")
    said.unlink()


def some_file(trial: Trial, folder: Path) -> Path:
    """One of a checkpoint's, not empty."""
    return trial.random.choice([path for path in sorted(folder.iterdir()) if path.stat().st_size])


def flip(trial: Trial, folder: Path, other: Path) -> Path:
    """a bit flipped."""
    path = some_file(trial, folder)
    content = bytearray(path.read_bytes())
    content[trial.random.randrange(len(content))] ^= 1 << trial.random.randrange(8)
    path.write_bytes(content)
    return path


def cut(trial: Trial, folder: Path, other: Path) -> Path:
    """a file truncated."""
    path = some_file(trial, folder)
    os.truncate(path, trial.random.randrange(path.stat().st_size))
    return path


def zero(trial: Trial, folder: Path, other: Path) -> Path | None:
    """a block of 4 KiB zeroed."""
    path = some_file(trial, folder)
    content = bytearray(path.read_bytes())
    begin = trial.random.randrange(len(content)) // 4096 * 4096
    block = content[begin : begin + 4096]
    if not any(block):
        return None
    content[begin : begin + 4096] = bytes(len(block))
    path.write_bytes(content)
    return path


def swap(trial: Trial, folder: Path, other: Path) -> Path | None:
    """a file missing, another's in its place, or that of another step."""
    path = some_file(trial, folder)
    content = path.read_bytes()
    match trial.random.randrange(3):
        case 0:
            path.unlink()
            return path
        case 1:
            path.write_bytes(some_file(trial, folder).read_bytes())
        case _:
            path.write_bytes((other / path.name).read_bytes())
    return path if path.read_bytes() != content else None


ROWS = (
    Row(
        "R5",
        threat="a disk that is full at some of the writes of a training",
        promise="The checkpoint before is whole; path, bytes needed and bytes free are said; training goes on, saves later, ends the same.",
        trial=full_for_a_while,
        unit="disks that filled up",
        goal=60,
        full=60,
        quick=1,
        seconds=5.0,
        warm=ready,
    ),
    Row(
        "R5b",
        threat="a file system that is too small (tmpfs of 20 sizes)",
        promise="The same; once there is room it goes on and ends the same.",
        trial=on_a_small_disk,
        unit="small disks",
        goal=20,
        full=20,
        quick=1,
        seconds=5.0,
        warm=ready,
    ),
    Row(
        "R6",
        threat="bits, blocks and files of a checkpoint that are not what was written",
        promise="Every one is noticed before a tensor reaches a model: exit code 3, and the file is named.",
        trial=rots,
        unit="corruptions",
        goal=1700,
        full=40,
        quick=1,
        seconds=5.0,
        warm=ready,
    ),
)
