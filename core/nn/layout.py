"""Which positions of a batch of sequences are real, and where each stands."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# B batch, S positions


@dataclass(frozen=True, slots=True)
class Padded:
    """Sequences in a rectangle, pads at the end. (A packed layout will stand beside this one.)"""

    mask_BS: Tensor
    """True where a symbol is real."""
    position_BS: Tensor | None = None
    """Given where positions do not simply count up from 0."""
    segment_BS: Tensor | None = None

    @property
    def positions(self) -> Tensor:
        """[B, S] or [1, S]."""
        if self.position_BS is not None:
            return self.position_BS
        return torch.arange(self.mask_BS.shape[1], device=self.mask_BS.device)[None]

    @property
    def lengths(self) -> Tensor:
        return self.mask_BS.sum(1)

    def to(self, device: torch.device) -> Padded:
        moved = (None if x is None else x.to(device, non_blocking=True) for x in (self.position_BS, self.segment_BS))
        return Padded(self.mask_BS.to(device, non_blocking=True), *moved)

    def rows(self, rows_B: Tensor) -> Padded:
        """The given sequences only."""
        picked = (None if x is None else x[rows_B] for x in (self.position_BS, self.segment_BS))
        return Padded(self.mask_BS[rows_B], *picked)


Layout = Padded
