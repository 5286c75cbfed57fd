"""Losses and gradients that are no numbers: found before they are applied (on a CPU) or saved (elsewhere)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from core.errors import Diverged

MOST = 256
"""So many steps at most go unlooked at where looking waits for the device."""


class Watch:
    """Keeps the last steps' loss and norm on their device until someone looks."""

    def __init__(self, device: torch.device) -> None:
        self.waits = device.type != "cpu"
        self.seen: list[tuple[int, Sequence[int], Tensor]] = []

    def note(self, step: int, *, loss: Tensor, norm: Tensor, rows: Sequence[int]) -> None:
        """Before update `step` is applied; `rows` are the records that it learns from."""
        self.seen.append((step, rows, torch.stack([loss.detach().double(), norm.detach().double()])))
        if not self.waits or len(self.seen) >= MOST:
            self.look()

    def look(self) -> None:
        """Raise for the first step whose loss or gradient is no number; this waits for the device."""
        if not self.seen:
            return
        seen, self.seen = self.seen, []
        values: list[list[float]] = torch.stack([pair for _, _, pair in seen]).tolist()
        for (step, rows, _), (loss, norm) in zip(seen, values, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                more = f" and {len(rows) - 20} more" if len(rows) > 20 else ""
                raise Diverged(
                    f"step {step}: the loss per token is {loss}, the gradient's norm {norm};"
                    f" training records of this step (from 0): {', '.join(map(str, rows[:20]))}{more}"
                )
