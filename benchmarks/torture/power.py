"""R4: a power cut after every operation of a training on its folder; see recorded.py for what can be left."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

from benchmarks.torture.ordeals import case_of, config_of, must_end_alike, ordeal_of, ready, typed, unbroken
from benchmarks.torture.recorded import CHOICES, Recorder, Recording, after_the_cut
from benchmarks.torture.rows import Row, Trial, hold
from core.cli import dispatch
from core.config_text import to_toml
from core.config_toml import load
from core.errors import DataError
from core.run import saving
from core.run.folder import RunFolder
from core.settings import run_config
from core.train.checkpoint import Checkpoint, read_checkpoint
from core.train.log import read_line

RESUMED = 4
"""States of a trial from which the run really goes on to its end."""


class Cuts:
    """Lays down the states after each operation and reads them as a resume would."""

    def __init__(self, trial: Trial, disk: Path, kind: type) -> None:
        self.trial, self.disk, self.kind = trial, disk, kind
        self.begun: dict[str, int] = {}
        self.saved: dict[str, int] = {}
        """Folder -> step, of saves that have begun and of those that are over."""
        self.kept: list[Path] = []
        self.operations = 0

    def watch_saves(self) -> None:
        """Know what has been promised."""
        real = saving.write_checkpoint

        def write(path: Path, checkpoint: Checkpoint, **options: Any) -> None:
            self.begun[path.name] = checkpoint.step
            real(path, checkpoint, **options)
            self.saved[path.name] = checkpoint.step

        saving.write_checkpoint = write

    def cut(self, recording: Recording) -> None:
        """After one operation."""
        self.operations += 1
        if self.trial.quick and self.operations % 12:
            return
        for choice in CHOICES:
            draw = random.Random(f"{self.trial.seed} {self.trial.number} {self.operations} {choice}")
            place = self.trial.place / "states" / f"{self.operations}-{choice}"
            after_the_cut(recording, choice, draw, place)
            self.trial.count("states")
            self.read(place / "run", f"operation {self.operations}, {choice} of what was not synced is left")
            if len(self.kept) < RESUMED and draw.random() < 0.02:
                self.kept.append(place)
            else:
                shutil.rmtree(place)

    def read(self, folder: Path, what: str) -> None:
        """As a resume does: config, checkpoints, and the lines of the log that the checkpoint counts on."""
        run = RunFolder(folder)
        found: dict[str, int] = {}
        for path in (run.last, run.best):
            try:
                checkpoint = read_checkpoint(path)
            except DataError as error:
                hold(path.name not in self.saved, f"{what}: {error}")
                continue
            step = -1 if checkpoint is None else checkpoint.step
            least, most = self.saved.get(path.name, -1), self.begun.get(path.name, -1)
            hold(least <= step <= most, f"{what}: {path.name} is of step {step}; saved was {least}, begun {most}")
            found[path.name] = step
        if not self.saved:
            return
        load(self.kind, run.config)
        json.loads(run.facts.read_text())
        written = (self.disk / "run" / "log.jsonl").read_bytes().splitlines(keepends=True)
        needed = [line for line in written if line.endswith(b"\n") and read_line(line)[1] <= found.get("last", -1)]
        there = run.log.read_bytes() if run.log.is_file() else b""
        hold(there.startswith(b"".join(needed)), f"{what}: the log lacks lines up to step {found.get('last')}")


def cut_off(trial: Trial) -> None:
    """A training in this process, watched, and states of the disk after each operation."""
    ordeal = ordeal_of(trial)
    unbroken(trial, ordeal)
    task, _ = case_of(ordeal.task)
    disk = trial.place / "disk"
    disk.mkdir()
    config = trial.place / "run.toml"
    config.write_text(to_toml(config_of(ordeal)))
    cuts = Cuts(trial, disk, run_config(task.config))
    cuts.watch_saves()
    recorder = Recorder(disk, cuts.cut)
    try:
        code = dispatch("train", lambda: task, task.name, typed(config, disk / "run"))
    finally:
        recorder.asleep = True
    hold(code == 0, f"{ordeal}: ended with {code}")
    hold(cuts.operations > 100, f"{ordeal}: only {cuts.operations} operations were seen")
    trial.count("operations", cuts.operations)
    for place in cuts.kept:
        must_end_alike(trial, ordeal, place / "run", f"after a power cut: {place.name}")


ROWS = (
    Row(
        "R4",
        threat="a power cut after any operation, with what was not synced lost, kept or cut off",
        promise="Every state of the disk has the checkpoint before or the new one, the config, and the log up to there.",
        trial=cut_off,
        unit="states",
        goal=500,
        full=6,
        quick=1,
        seconds=40.0,
        warm=ready,
    ),
)
