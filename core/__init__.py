"""Sequences in, sequences out: encoder-decoders, one training loop, one search. Knows no domain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.notebook import Model
    from core.task import Task


def load(run: str | Path, *settings: str, task: Task[Any] | None = None) -> Model:
    """A trained run, to be asked from Python: `load("runs/x").predict([...])`; see docs/report.md.

    Settings are key=value, as on the command line. torch is imported here, not with the package.
    """
    from core.notebook import load

    return load(run, *settings, task=task)
