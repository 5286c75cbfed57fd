"""Cells are trained, one after the other or several at once; a module of its own, for workers import it by its name."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.toys.cells import TOYS, Cell
from core.testing.learning import exact_match


def outcomes(missing: Sequence[Cell], jobs: int) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Each as soon as it is there."""
    if jobs == 1 or len(missing) < 2:
        alone()
        yield from map(outcome, missing)
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(missing)), worker) as pool:
        yield from pool.imap_unordered(outcome, missing)


def alone() -> None:
    """One thread: tiny models gain nothing by more."""
    torch.set_num_threads(1)


def worker() -> None:
    """The same, and Ctrl-C is for the one who hands out the cells."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    alone()


def outcome(cell: Cell) -> tuple[Cell, dict[str, Any]]:
    """Train and ask one."""
    begun = time.process_time()
    score = exact_match(TOYS[cell.toy], cell.row.config, cell.steps, cell.lr, cell.tokens)
    return cell, {"score": score, "processor_seconds": round(time.process_time() - begun, 1), "recipe": cell.recipe}
