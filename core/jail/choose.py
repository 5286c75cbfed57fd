"""The best jail that there is here, tried out before it is trusted; none: a refusal with every tier's reason. Never a bare exec."""

from __future__ import annotations

import queue
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from core.jail.job import Call, Job, NoJail, Outcome, Value
from core.jail.worker import TIERS, Dead, Limits, Tier, Worker

CONTAINER = "run this in a Linux container or virtual machine (docs/jail.md)"
MOST_MEMORY_MIB = 1 << 20


class Jail:
    """Processes of one tier in which programs run, one each at a time. A context manager; ended with its object at the latest."""

    def __init__(self, tier: Tier, limits: Limits, first: Worker, workers: int) -> None:
        self.tier: Tier = tier
        self.limits = limits
        self.workers = workers
        self.idle = [first]
        self.turn = threading.Lock()

    def run_many(self, jobs: Sequence[Job], progress: Callable[[int, int], None] | None = None) -> list[Outcome]:
        """One outcome a job, in their order. `progress` hears how many of how many are done."""
        with self.turn:
            return self.run_all(jobs, progress)

    def run_all(self, jobs: Sequence[Job], progress: Callable[[int, int], None] | None) -> list[Outcome]:
        """One thread for each worker; they share the list of what is left."""
        left: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(jobs)):
            left.put(index)
        done: queue.SimpleQueue[tuple[int, Outcome] | Exception] = queue.SimpleQueue()
        stop = threading.Event()

        def work() -> None:
            worker: Worker | None = None
            try:
                while not stop.is_set():
                    index = left.get_nowait()
                    worker, outcome = self.attempt(worker, jobs[index])
                    done.put((index, outcome))
            except queue.Empty:
                return
            except Exception as error:
                done.put(error)
            finally:
                if worker is not None:
                    self.idle.append(worker)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self.workers, len(jobs)))]
        outcomes: dict[int, Outcome] = {}
        try:
            for thread in threads:
                thread.start()
            while len(outcomes) < len(jobs):
                said = done.get()
                if isinstance(said, Exception):
                    raise said
                outcomes[said[0]] = said[1]
                if progress is not None:
                    progress(len(outcomes), len(jobs))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        return [outcomes[index] for index in range(len(jobs))]

    def attempt(self, worker: Worker | None, job: Job) -> tuple[Worker | None, Outcome]:
        """Twice, should the zygote die (the machine may be out of memory), by a fresh one then: all idle ones may have died."""
        last = ""
        for fresh in (False, True):
            try:
                worker = started(self.tier, self.limits) if fresh else worker or self.idle.pop()
            except IndexError:
                worker = started(self.tier, self.limits)
            try:
                return worker, worker.run(job)
            except Dead as dead:
                worker, last = None, str(dead)
        return None, Outcome("killed", (), "", last, 0.0)

    def close(self) -> None:
        """Ends its processes."""
        while self.idle:
            self.idle.pop().end()

    def __enter__(self) -> Jail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def jail(
    memory_mib: int = 512,
    seconds: float = 5.0,
    output_kib: int = 256,
    workers: int = 1,
    *,
    tiers: Sequence[Tier] = TIERS,
) -> Jail:
    """The first of the tiers that holds here. Each program has this much memory, time and output; `workers` run at once."""
    if memory_mib < 16 or memory_mib > MOST_MEMORY_MIB or not 0 < seconds < 86_400 or output_kib < 1 or workers < 1:
        raise ValueError(f"no such limits: {memory_mib} MiB, {seconds} s, {output_kib} KiB, {workers} workers")
    if sys.platform != "linux":
        raise NoJail(f"generated code is contained on Linux only, and this is {sys.platform}: {CONTAINER}")
    limits = Limits(memory_mib, seconds, output_kib)
    reasons: list[str] = []
    for tier in tiers:
        try:
            first = Worker(tier, limits)
        except Dead as dead:
            reasons.append(f"{tier}: {dead}")
            continue
        try:
            leak = tried(first)
        except Dead as dead:
            leak = str(dead)
        if not leak:
            return Jail(tier, limits, first, workers)
        first.end()
        reasons.append(f"{tier}: {leak}")
    raise NoJail(f"generated code is not run, since nothing here contains it ({'; '.join(reasons)}): {CONTAINER}")


def started(tier: Tier, limits: Limits) -> Worker:
    """One more of a tier that held before."""
    try:
        return Worker(tier, limits)
    except Dead as dead:
        raise NoJail(f"{tier}: {dead}") from dead


TRIAL = """
import os, socket

def told(attempt):
    try:
        return attempt() or "nothing"
    except OSError as error:
        return type(error).__name__

def wrote(path):
    with open(path, "a") as file:
        file.write("escaped")
"""


def tried(worker: Worker) -> str:
    """Why this tier does not hold: a program tries to read and write a planted file, to connect, to fork. Empty: it holds."""
    with tempfile.TemporaryDirectory(prefix="transduce-jail-") as folder:
        planted = Path(folder) / "planted"
        secret = secrets.token_hex(16)
        planted.write_text(secret, encoding="ascii")
        expressions = (
            "40 + 2",
            f"told(lambda: open({str(planted)!r}).read())",
            f"told(lambda: wrote({str(planted)!r}))",
            "told(lambda: socket.socket())",
            "told(os.fork)",
        )
        outcome = worker.run(Job(TRIAL, tuple(Call(expression) for expression in expressions)))
        after = planted.read_text(encoding="ascii")
    if outcome.why != "done" or len(outcome.values) != len(expressions) or outcome.values[0] != Value(True, "42"):
        return f"a harmless program came to no end ({outcome.why}: {outcome.error})"
    _, read, _, connected, forked = outcome.values
    if after != secret or secret in read.text:
        return "a file outside was read or written"
    if not connected.text.endswith("Error'") or not forked.text.endswith("Error'"):
        return "a program could make a socket or a process"
    return ""
