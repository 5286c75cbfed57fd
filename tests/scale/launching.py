"""Starts the processes of one training as torchrun does, on this machine, and waits for them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def launched(world: int, words: Sequence[str | Path]) -> list[subprocess.Popen[str]]:
    """One process a rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]


def ended(processes: Sequence[subprocess.Popen[str]], seconds: float) -> list[tuple[int, str, str]]:
    """(exit code, output, errors) of each; all are killed where they take longer."""
    found: list[tuple[int, str, str]] = []
    try:
        for one in processes:
            out, err = one.communicate(timeout=seconds)
            found.append((one.returncode, out, err))
    finally:
        for one in processes:
            if one.poll() is None:
                one.kill()
                one.wait()
    return found
