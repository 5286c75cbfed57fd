"""A few trials of every row of the torture, in every check; those of the jail are tests/core/test_jail*.py there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.torture.registry import FAMILIES, rows_of
from tests.conftest import ROOT

TOGETHER = ("crashes,storage,numbers", "files,records")
"""Families that are tried by one process: they share what has been imported, and the runs that nothing happens to."""


def test_every_row_has_a_quick_form_but_those_of_the_jail() -> None:
    assert {*",".join(TOGETHER).split(","), "jail"} == set(FAMILIES)
    without = {row.name for family in FAMILIES for row in rows_of(family) if not row.quick}
    assert without == {row.name for row in rows_of("jail")}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("families", TOGETHER)
def test_promises_are_kept(families: str) -> None:
    """In a process of its own: trials are forked from one that has computed nothing yet."""
    command = [sys.executable, "-m", "benchmarks.torture", "--quick", "--rows", families, "--jobs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
