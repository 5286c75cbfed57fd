"""What once crashed a reader, or never ended in it, is brought to it again: refused in one line, or read, in little time."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from benchmarks.torture.entrances import entrances
from core.errors import UserError
from tests.conftest import ROOT

FINDS = sorted((ROOT / "tests" / "torture" / "finds").iterdir())
READ = {"config__blanks"}
"""Finds with which nothing is wrong but the time that they took."""
SECONDS = 10.0
"""Of the processor's: the finds that never ended took hours, so that a slow machine decides nothing."""


@contextmanager
def within(seconds: float) -> Generator[None, None, None]:
    """Of the processor's."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no end after {seconds:g} s of the processor's")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("find", FINDS, ids=lambda path: path.name)
def test_a_find_is_read_or_refused_in_one_line(find: Path, tmp_path: Path) -> None:
    path, read = entrances(tmp_path)[find.name.split("__")[0]]
    path.write_bytes(find.read_bytes())
    said = outcome(read)
    assert "\n" not in said
    assert bool(said) == (find.name not in READ)


def outcome(read: Callable[[], Any]) -> str:
    """What a user would be told; nothing where it was read."""
    try:
        with within(SECONDS):
            read()
    except UserError as refusal:
        return str(refusal)
    return ""


def endless() -> None:
    while True:
        pass


def test_a_reader_without_end_would_be_noticed() -> None:
    with pytest.raises(TimeoutError), within(0.05):
        endless()
