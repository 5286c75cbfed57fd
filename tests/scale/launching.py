"""Starts the processes of one training on this machine: forked from one that has imported everything, or by torchrun."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.scale.program", "core.run.training", "torch.distributed.fsdp"])


@dataclass(frozen=True, slots=True)
class Started:
    """One rank."""

    process: BaseProcess
    said: Path
    """Without ending: what it wrote to its two outputs."""

    def kill(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def ended(self, seconds: float) -> tuple[int, str, str]:
        """(exit code, output, errors); killed where it takes longer."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        told = [self.said.with_suffix(end).read_text() for end in (".out", ".err")]
        assert code is not None, f"no end after {seconds:g} s: {told[1][-2000:]}"
        return code, told[0], told[1]


def launched(world: int, place: Path, do: Callable[..., Any], *given: Any) -> list[Started]:
    """One process a rank, each doing `do(*given)`."""
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    place.mkdir(parents=True, exist_ok=True)
    started: list[Started] = []
    for rank in range(world):
        said = place / f"rank-{rank}-of-{world}"
        environment = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        process = FORKS.Process(target=began, args=(environment, said, do, given))
        process.start()
        started.append(Started(process, said))
    return started


def began(environment: dict[str, str], said: Path, do: Callable[..., Any], given: Sequence[Any]) -> None:
    """In the process itself."""
    for number, end in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(said.with_suffix(end), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.exit(do(*given))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def all_ended(started: Sequence[Started], seconds: float) -> list[tuple[int, str, str]]:
    """Of each."""
    try:
        return [one.ended(seconds) for one in started]
    finally:
        for one in started:
            if one.process.is_alive():
                one.process.kill()
                one.process.join()


def typed(world: int, words: Sequence[str | Path]) -> subprocess.Popen[str]:
    """As a user types it: `torchrun --nproc-per-node WORLD ...`."""
    torchrun = Path(sys.executable).with_name("torchrun")
    return subprocess.Popen(
        [torchrun, "--nproc-per-node", str(world), "--master-port", str(free_port()), *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begun(run: Path, seconds: float = 1000) -> None:
    """Once a run has a line in its log."""
    end = time.monotonic() + seconds
    while not (run / "log.jsonl").is_file() or not (run / "log.jsonl").read_text():
        assert time.monotonic() < end, "the training does not begin"
        time.sleep(0.05)
