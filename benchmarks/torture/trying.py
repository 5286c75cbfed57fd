"""Trials in processes of their own, forked from one that has everything imported: a crash or a hang is a breach, not the end."""

from __future__ import annotations

import gc
import json
import math
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.torture.rows import Breach, Outcome, Row, Trial

SAID = "said.txt"
"""What a trial writes to its standard output and error, beside its folder."""


@dataclass(slots=True)
class Running:
    """A trial's process."""

    number: int
    process: int
    answer: int
    """Where its outcome will come out."""
    place: Path
    begun: float
    heard: bytes = b""


def outcomes(
    row: Row,
    numbers: Sequence[int],
    *,
    seed: int,
    quick: bool,
    jobs: int,
    folder: Path,
    shared: Path,
    until: float = math.inf,
    show: bool = False,
) -> Iterator[Outcome]:
    """As they end; after `until` (of the monotonic clock) no further trial is begun. `show`: what they say is not put aside.

    `shared` is for what trials find out once for all, those of other rows too.
    """
    if row.warm is not None:
        row.warm(numbers)
    left, running = iter(numbers), list[Running]()
    shared.mkdir(parents=True, exist_ok=True)
    jobs = 1 if row.alone else jobs
    gc.collect()
    gc.freeze()  # else each collection in a fork looks at, and so copies, all that has been imported
    try:
        while True:
            while len(running) < jobs and time.monotonic() < until and (number := next(left, None)) is not None:
                trial = Trial(row.name, number, seed, quick, folder / f"{number}", shared)
                running.append(begun(row, trial, show=show))
            if not running:
                return
            select.select([one.answer for one in running], [], [], 0.1)
            for one in list(running):
                if (outcome := ended(row, one)) is not None:
                    running.remove(one)
                    yield outcome
    finally:
        gc.unfreeze()
        for one in running:
            stop(one)


def begun(row: Row, trial: Trial, *, show: bool) -> Running:
    """Fork a trial."""
    place = trial.place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    answer, say = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.setsid()
            os.close(answer)
            for one in (signal.SIGINT, signal.SIGTERM):
                signal.signal(one, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            if not show:
                heard = os.open(place.with_name(f"{trial.number}.{SAID}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.dup2(heard, 1)
                os.dup2(heard, 2)
            sys.stdout, sys.stderr = (os.fdopen(one, "w", closefd=False) for one in (1, 2))
            told(row, trial, say)
            code = 0
        finally:
            os._exit(code)
    os.close(say)
    os.set_blocking(answer, False)
    return Running(trial.number, process, answer, place, time.monotonic())


def told(row: Row, trial: Trial, say: int) -> None:
    """In the trial's process: run it, and say what came of it."""
    breach = ""
    owner = os.getpid()
    try:
        row.trial(trial)
    except Breach as error:
        breach = str(error) or "a breach"
    except BaseException as error:
        traceback.print_exc()
        place = traceback.extract_tb(error.__traceback__)[-1]
        breach = f"{Path(place.filename).name}:{place.lineno}: {type(error).__name__}: {error}"
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    if os.getpid() != owner:  # a process that the trial forked and that came back from it: none of ours
        os._exit(1)
    answer = {"counts": dict(trial.counts), "figures": trial.figures, "breach": breach}
    with os.fdopen(say, "w", encoding="utf-8") as file:
        file.write(json.dumps(answer) + "\n")


def ended(row: Row, one: Running) -> Outcome | None:
    """None while it runs; its processes are gone and its folder is cleared when it has ended."""
    with suppress(BlockingIOError):
        while part := os.read(one.answer, 65536):
            one.heard += part
    process, status, usage = os.wait4(one.process, os.WNOHANG)
    seconds = time.monotonic() - one.begun
    hangs = process == 0 and seconds > row.limit
    if process == 0 and not hangs:
        return None
    with suppress(BlockingIOError):
        while part := os.read(one.answer, 65536):
            one.heard += part
    cpu = 0.0 if hangs else usage.ru_utime + usage.ru_stime
    said = one.place.with_name(f"{one.number}.{SAID}")
    if hangs:
        breach, counts, figures = f"no end after {row.limit:g} s", {}, {}
    elif one.heard.endswith(b"\n"):
        answer = json.loads(one.heard)
        breach, counts, figures = answer["breach"], answer["counts"], answer["figures"]
    else:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
        last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] if said.exists() else []
        breach, counts, figures = f"its process ended by {how}: {' '.join(last)}", {}, {}
    stop(one)
    return Outcome(one.number, counts, figures, breach, seconds, cpu)


def stop(one: Running) -> None:
    """Whatever the trial has started goes with it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.process, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(one.process, 0)
    os.close(one.answer)
    shutil.rmtree(one.place, ignore_errors=True)
    one.place.with_name(f"{one.number}.{SAID}").unlink(missing_ok=True)
