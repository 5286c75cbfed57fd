"""What the loop says of its steps, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class StepStats:
    """What a log line says, over the steps since the last one."""

    step: int
    epoch: int
    loss: float
    """Per target token, label smoothing included."""
    lr: float
    norm: float
    """Of the last gradient, before clipping."""
    tokens_per_second: float
    padding: float
    """Share of the rectangles that was pads."""
    eta_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why the loop ended."""

    reason: str
    signal: int | None = None


@dataclass(slots=True)
class Tally:
    """Sums since the last log line; part of the state, so that a resumed run prints the same lines."""

    loss: Tensor
    tokens: int = 0
    places: int = 0
    symbols: int = 0
