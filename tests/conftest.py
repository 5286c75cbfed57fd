"""What all tests share: one thread a process, the same luck every time, and a way to type a command."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in the processes that tests start

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
Typed = Callable[..., subprocess.CompletedProcess[str]]

# A check that fails for one draw in a hundred tells its next reader nothing: the same examples every time, and no
# deadline, since machines are shared. `pytest --hypothesis-profile=search` looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def same_luck() -> None:
    """Libraries draw from the global generators; so may a test, and finds the same there in any order of tests."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no core waits for it in the end."""
    items.sort(key=lambda item: "test_promises_are_kept" not in item.nodeid)
