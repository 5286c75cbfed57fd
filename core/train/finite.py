"""Losses and gradients that are no numbers: found before they are applied (on a CPU) or saved (elsewhere)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 256
"""So many steps at most go unlooked at where looking waits for the device."""
IN_A_ROW = 3
"""So many steps without a number, one after the other, are no bad luck."""


class NoNumber(Exception):
    """What was found of which step."""

    def __init__(self, step: int, rows: Sequence[int], loss: float, norm: float) -> None:
        super().__init__(step)
        self.step, self.rows, self.loss, self.norm = step, rows, loss, norm


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A step whose update was not made."""

    step: int
    records: tuple[str, ...]
    """Their places, or keys: those that by themselves have no loss, or no gradient, else all of the step."""
    where: str
    """Which module it began in, in words."""
    back_to: int | None
    """The step whose weights were taken up again, if any."""


class Watch:
    """Keeps the last steps' loss and norm on their device until someone looks."""

    def __init__(self, device: torch.device, *, at_once: bool = False) -> None:
        self.waits = device.type != "cpu" and not at_once
        self.seen: list[tuple[int, Sequence[int], Tensor]] = []

    def note(self, step: int, *, loss: Tensor, norm: Tensor, rows: Sequence[int]) -> None:
        """Before update `step` is applied; `rows` are the records that it learns from."""
        self.seen.append((step, rows, torch.stack([loss.detach().double(), norm.detach().double()])))
        if not self.waits or len(self.seen) >= MOST:
            self.look()

    def look(self) -> None:
        """Raise NoNumber for the first step whose loss or gradient is none; this waits for the device."""
        if not self.seen:
            return
        seen, self.seen = self.seen, []
        values: list[list[float]] = torch.stack([pair for _, _, pair in seen]).tolist()
        for (step, rows, _), (loss, norm) in zip(seen, values, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise NoNumber(step, rows, loss, norm)


def said(found: NoNumber, records: Sequence[str], where: str) -> str:
    """For people."""
    more = f" and {len(records) - 20} more" if len(records) > 20 else ""
    first = f", first in {where}" if where else ""
    return (
        f"step {found.step}: the loss per token is {found.loss}, the gradient's norm {found.norm}{first};"
        f" training records: {', '.join(records[:20])}{more}"
    )
