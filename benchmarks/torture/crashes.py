"""R1-R3, R7: trainings that are killed at named points, at random times and while they resume, and that are asked to stop."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.torture.ordeals import (
    KILLED,
    Life,
    Ordeal,
    must_end_alike,
    ordeal_of,
    ordeals,
    ready,
    train,
    unbroken,
)
from benchmarks.torture.points import POINTS, Point, kill_at
from benchmarks.torture.rows import Row, Trial, hold
from core.data.batch import Batch
from core.run import saving
from core.run.folder import RunFolder
from core.train.checkpoint import Checkpoint, read_checkpoint
from core.train.signals import StopSignals
from core.train.trainer import Trainer

KILLS = 3
"""Of each run in R2."""
RESUMES = 5
"""In a row, killed in R3."""
EARLY = 0.5
"""Seconds within which a resume is killed."""
SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 85}


def at_points(trial: Trial) -> None:
    """R1: one kill at a named point, at one of the times that the run comes by it."""
    point = POINTS[trial.number % len(POINTS)]
    ordeal, hits = reached(trial, point)
    folder = trial.place / "run"
    if point.resuming:
        killed_in_time(trial, ordeal, folder, 0.7)
    hit = 0 if point.resuming else trial.random.randrange(hits)
    while (code := train(ordeal, folder, before=partial(kill_at, point, hit)).wait()) != KILLED:
        hold(code == 0 and hit > 0, f"{ordeal}, {point.name}: ended with {code} at hit {hit}")
        hit //= 2  # with loader threads it comes by some points more often at one time than at another
        folder = folder.with_name(f"{folder.name}-")
    trial.count("kills")
    trial.count(f"at: {point.name}")
    must_end_alike(trial, ordeal, folder, f"{point.name}, hit {hit} of {hits}")


def reached(trial: Trial, point: Point) -> tuple[Ordeal, int]:
    """This trial's ordeal, or the next that comes by the point at all, and how often."""
    for further in range(len(ordeals())):
        ordeal = ordeal_of(trial, further)
        hits = unbroken(trial, ordeal)["hits"][point.name]
        if hits or point.resuming:
            return ordeal, hits
    raise ValueError(f"no ordeal comes by: {point.name}")


def killed_in_time(trial: Trial, ordeal: Ordeal, folder: Path, share: float) -> None:
    """Kill a training once something is saved, at a random time up to this share of its length; again, if it was over before."""
    while True:
        life = train(ordeal, folder)
        code = after(life, trial.random.uniform(0.1, share) * unbroken(trial, ordeal)["seconds"])
        while code is None and not any(folder.glob("checkpoints/last/manifest.json")):
            time.sleep(0.002)  # the whole run that was measured may have had more of the machine than this one has
            code = life.over()
        if code is None:
            os.kill(life.process, signal.SIGKILL)
            if life.wait() == KILLED and not RunFolder(folder).finished:
                return
        else:
            finish(life)
        folder.rename(folder.with_name(f"{folder.name} {time.monotonic_ns()}")) if folder.exists() else None


def after(life: Life, seconds: float) -> int | None:
    """Let it live for so long; its exit code if it was over before."""
    while (code := life.over()) is None and time.monotonic() - life.begun < seconds:
        time.sleep(0.002)
    return code


def finish(life: Life) -> None:
    """Kill it if it still lives."""
    try:
        os.kill(life.process, signal.SIGKILL)
        life.wait()
    except (ProcessLookupError, ChildProcessError):
        pass


def at_random(trial: Trial) -> None:
    """R2: three kills of one run, each at a time drawn anew over the length of a whole one; what is finished before counts as a run."""
    ordeal, kills, runs = ordeal_of(trial), 0, 0
    seconds = unbroken(trial, ordeal)["seconds"]
    while kills < KILLS:
        folder = trial.place / f"run {runs}"
        while kills < KILLS:
            life = train(ordeal, folder)
            code = after(life, trial.random.uniform(0, seconds))
            if code is None:
                os.kill(life.process, signal.SIGKILL)
                code = life.wait()
            if code != KILLED:
                hold(code == 0, f"{ordeal}, killed {kills} times: ended with {code}: {life.words()}")
                break
            kills += 1
            trial.count("kills")
        must_end_alike(trial, ordeal, folder, f"run {runs}, killed at random")
        runs += 1


def in_resumes(trial: Trial) -> None:
    """R3: killed, and then killed again in the first half second of each of up to five resumes."""
    ordeal = ordeal_of(trial)
    folder = trial.place / "run"
    killed_in_time(trial, ordeal, folder, 0.8)
    step = saved_step(folder)
    for _ in range(trial.random.randint(1, RESUMES)):
        life = train(ordeal, folder)
        code = after(life, trial.random.uniform(0, EARLY))
        if code is not None:
            hold(code == 0, f"{ordeal}: a resume ended with {code}: {life.words()}")
            break
        os.kill(life.process, signal.SIGKILL)
        if life.wait() == KILLED:
            trial.count("kills")
        hold(saved_step(folder) >= step, f"{ordeal}: step {step} was saved, {saved_step(folder)} is left")
        step = saved_step(folder)
    must_end_alike(trial, ordeal, folder, "killed while it resumed")


def saved_step(folder: Path) -> int:
    """Of the last checkpoint, before anybody swept."""
    found = read_checkpoint(RunFolder(folder).last)
    return -1 if found is None else found.step


def counts_what_follows(into: Path) -> None:
    """In this process: how many steps and how many writes of each checkpoint begin after the first signal, into a file."""
    asked = list[int]()
    begun = Counter[str]()

    def counted(what: str) -> None:
        if asked:
            begun[what] += 1
            into.write_text(json.dumps(begun))

    note, step, write = StopSignals._note, Trainer.train_step, saving.write_checkpoint  # pyright: ignore[reportPrivateUsage]

    def noted(self: StopSignals, number: int, frame: FrameType | None) -> None:
        note(self, number, frame)
        asked.append(number)

    def stepped(self: Trainer, micro: Sequence[Batch]) -> None:
        counted("step")
        step(self, micro)

    def written(path: Path, checkpoint: Checkpoint, **options: Any) -> None:
        counted(path.name)
        write(path, checkpoint, **options)

    StopSignals._note, Trainer.train_step, saving.write_checkpoint = noted, stepped, written  # pyright: ignore[reportPrivateUsage]


def asked_to_stop(trial: Trial) -> None:
    """R7: a signal at a random moment ends it within a step and a save, with its exit code; every third time a second one, at once."""
    ordeal = ordeal_of(trial)
    number = list(SIGNALS)[trial.number % len(SIGNALS)]
    twice = trial.number % 3 == 2
    folder, following = trial.place / "run", trial.place / "following.json"
    seconds = unbroken(trial, ordeal)["seconds"]
    life = train(ordeal, folder, before=partial(counts_what_follows, following))
    code = after(life, trial.random.uniform(0.02, 0.95) * seconds)
    if code is None:
        os.kill(life.process, number)
        sent = time.monotonic()
        trial.count("signals")
        if twice:
            code = after(life, sent - life.begun + trial.random.uniform(0, 0.1) * seconds)
            if code is None:
                os.kill(life.process, trial.random.choice(list(SIGNALS)))
                trial.count("second signals")
        code = waited(life) if code is None else code
        took = time.monotonic() - sent
        trial.measure("seconds from the signal to the end", took)
        trial.measure("the same, as a share of a whole run's seconds", took / seconds)
    codes = {*SIGNALS.values(), *(128 + one for one in SIGNALS), *(-one for one in SIGNALS)}
    allowed = {0, *(codes if twice else (SIGNALS[number], -number))}
    hold(code in allowed, f"{ordeal}: {signal.Signals(number).name} ended it with {code}: {life.words()}")
    trial.count(f"exit code {code}" if code >= 0 else "ended before it listened")
    begun: dict[str, int] = json.loads(following.read_text()) if following.exists() else {}
    hold(all(n == 1 for n in begun.values()), f"{ordeal}: begun after the signal: {begun}")
    trial.measure("steps begun after the signal", begun.get("step", 0))
    said = life.said.read_text()
    hold("Traceback" not in said, f"{ordeal}: a traceback: {life.words()}")
    if "saved at step " in said and not twice:
        step = int(said.split("saved at step ")[1].split(";")[0])
        hold(saved_step(folder) == step, f"{ordeal}: it said step {step}, {saved_step(folder)} is there")
        trial.count("checkpoints at the step it said")
    must_end_alike(trial, ordeal, folder, f"stopped by {signal.Signals(number).name}")


def waited(life: Life) -> int:
    """Its exit code."""
    while (code := life.over()) is None:
        time.sleep(0.002)
    return code


ROWS = (
    Row(
        "R1",
        threat="SIGKILL at named points of a training",
        promise="Resumed, it ends with the bytes of a run that nothing happened to: weights, optimizer, state, log, scores.",
        trial=at_points,
        unit="kills",
        goal=192,
        full=len(POINTS) * 7,
        quick=2,
        seconds=6.0,
        warm=ready,
    ),
    Row(
        "R2",
        threat="SIGKILL at random times",
        promise="The same, for runs that are killed three times over.",
        trial=at_random,
        unit="kills",
        goal=300,
        full=100,
        quick=1,
        seconds=10.0,
        warm=ready,
    ),
    Row(
        "R3",
        threat="SIGKILL while a run resumes, again and again",
        promise="No resume loses what was saved, and the end is the same.",
        trial=in_resumes,
        unit="bit-identical runs",
        goal=50,
        full=50,
        quick=1,
        seconds=8.0,
        warm=ready,
    ),
    Row(
        "R7",
        threat="SIGTERM, SIGINT and SIGUSR1 at any moment, also twice",
        promise="Within a step and a save it ends with the signal's exit code (a second signal: at once), and resumed it ends the same.",
        trial=asked_to_stop,
        unit="signals",
        goal=60,
        full=72,
        quick=1,
        seconds=5.0,
        warm=ready,
    ),
)
