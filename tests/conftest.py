"""What all tests share: one thread a process, since two of them run side by side, and a way to type a command."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in the processes that tests start

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tasks_command() -> Typed:
    """`python -m tasks WORDS` in `folder`, with the packages in `site` installed."""

    def typed(
        words: Sequence[str | Path], *, folder: Path, site: Path | None = None, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(str(one) for one in (site, ROOT) if one is not None)
        return subprocess.run(
            [sys.executable, "-m", "tasks", *map(str, words)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    return typed
