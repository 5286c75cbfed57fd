"""Rungs side by side: each in a process of its own, on a thread of its own, so that two cores climb two rungs at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.story.rungs import Rung
from core.train.signals import AskedToStop

POLL = 0.5
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Climb:
    """A rung under way."""

    rung: Rung
    process: subprocess.Popen[bytes]
    log: Path
    file: IO[bytes]


def climbed_together(rungs: Sequence[Rung], flags: Sequence[str], jobs: int, runs: Path) -> int:
    """The exit code of the first rung that failed, or 0. The dearest rungs begin, so that none is left alone at the end."""
    waiting, under_way = sorted(rungs, key=lambda one: -one.share), list[Climb]()
    failed = 0
    try:
        while under_way or (waiting and not failed):
            while waiting and not failed and len(under_way) < jobs:
                under_way.append(begun(waiting.pop(0), flags, runs))
            ended = [one for one in under_way if one.process.poll() is not None]
            for one in ended:
                under_way.remove(one)
                failed = failed or finished(one)
            if not ended:
                time.sleep(POLL)
    except AskedToStop as asked:
        for one in under_way:
            one.process.send_signal(asked.signal_number)
        for one in under_way:  # they save and stop
            one.process.wait()
        raise
    finally:
        for one in under_way:
            one.file.close()
    return failed


def begun(rung: Rung, flags: Sequence[str], runs: Path) -> Climb:
    """In a session of its own, so that Ctrl-C reaches it once: through us."""
    runs.mkdir(parents=True, exist_ok=True)
    log = runs / f"{rung.name}.log"
    file = log.open("ab")
    command = [sys.executable, "-m", "benchmarks.story", *flags, "--rungs", rung.name, "--no-page"]
    process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True)
    print(f"{rung.title}: begun; its words are in {log}", file=sys.stderr, flush=True)
    return Climb(rung, process, log, file)


def finished(one: Climb) -> int:
    """Its exit code, and its last words where that is not 0."""
    one.file.close()
    code = one.process.returncode
    if code == 0:
        print(f"{one.rung.title}: done", file=sys.stderr, flush=True)
        return 0
    last = one.log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
    print(f"{one.rung.title}: stopped", *last, sep="\n  ", file=sys.stderr, flush=True)
    return 128 - code if code < 0 else code
