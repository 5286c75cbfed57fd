"""S1: pickles that run commands, in every disguise, at every door; that they do bite is shown by a reader without care."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.torture.audit import heard
from benchmarks.torture.disguises import DISGUISES
from benchmarks.torture.doors import Door, file_doors, run_doors, run_folder
from benchmarks.torture.pickles import all_of
from benchmarks.torture.rows import Row, Trial, hold
from core.errors import UserError

PARTS = 40
"""Trials among which the pickles are dealt."""
TIMES = 3
"""Doors that each disguised pickle is brought to."""
CARELESS = """
import contextlib, io, pickle, sys
file = io.BytesIO(sys.stdin.buffer.read())
with contextlib.suppress(BaseException):
    while True:
        pickle.load(file)
"""
"""What nobody should do."""


def trial(trial: Trial) -> None:
    """Some pickles, each in two disguises, each brought to some doors; then the same ones to a reader without care."""
    canary = trial.place / "canary"
    run = run_folder(trial.shared)
    doors = [*run_doors(run, trial.place), *file_doors(trial.place)]
    (trial.place / "encoder").mkdir()
    whole = {door.name: door.path.read_bytes() for door in doors if door.path.exists()}
    pickles = all_of(canary)
    for number in range(trial.number % PARTS, len(pickles), PARTS if not trial.quick else PARTS * 2):
        trial.count("malicious pickles")
        for name in trial.random.sample(list(DISGUISES), 2):
            content = DISGUISES[name](pickles[number].content)
            trial.count("disguised pickles")
            for door in trial.random.sample(doors, TIMES):
                what = f"{pickles[number].name}, {name}, as {door.name}"
                brought(door, content, trial.count, what)
                hold(not canary.exists(), f"ran: {what}")
                restore(door, whole.get(door.name))
        if bites(pickles[number].content, canary):
            trial.count("pickles that bite a careless reader")
    hold(trial.counts["pickles that bite a careless reader"], "no pickle would have done anything: they prove nothing")


def brought(door: Door, content: bytes, count: Callable[[str], None], what: str) -> None:
    """Put it there, gzipped where the name says so, and let the reader come."""
    door.path.parent.mkdir(parents=True, exist_ok=True)
    door.path.write_bytes(gzip.compress(content) if door.path.suffix == ".gz" else content)
    with heard() as ear:
        try:
            took = door.open()
            verdict = "read as data" if took else "without a record"
        except UserError:
            verdict = "refused"
    hold(not ear.heard, f"{what}: {', '.join(ear.heard)}")
    if verdict == "read as data" and not any(Path(name) == door.path for name in ear.opened):
        verdict = "never opened"
    count(verdict)
    count("openings")


def restore(door: Door, content: bytes | None) -> None:
    """As it was before."""
    if content is None:
        door.path.unlink(missing_ok=True)
    else:
        door.path.write_bytes(content)


def bites(content: bytes, canary: Path) -> bool:
    """Whether an unpickler runs it."""
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", CARELESS],
        input=content, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=canary.parent, check=False, timeout=60,
    )  # fmt: skip
    ran = canary.exists() or canary.is_symlink()
    if ran:
        canary.rmdir() if canary.is_dir() and not canary.is_symlink() else canary.unlink()
    return ran


def rows() -> Iterator[Row]:
    """The row."""
    yield Row(
        "S1",
        threat="pickles in all disguises: as weights, configs, tokenizers, records, archives",
        promise="No reader of this project runs any of them: no command, no import, no connection, by the interpreter's own audit. "
        "Each is refused, or taken for the text that it also is, or not opened at all.",
        trial=trial,
        unit="malicious pickles",
        goal=200,
        full=PARTS,
        quick=1,
        seconds=8.0,
        limit=300.0,
    )


ROWS = tuple(rows())
