"""A few trials of every row of the torture, in every check."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.torture.registry import FAMILIES
from tests.conftest import ROOT


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_promises_are_kept(family: str) -> None:
    """In a process of its own: trials are forked from one that has computed nothing yet."""
    command = [sys.executable, "-m", "benchmarks.torture", "--quick", "--rows", family, "--jobs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
