"""A batch that finds no room in memory is learned from in parts: losses are sums over records, so the gradient is the same.

It is the same to rounding where nothing is drawn: dropout draws for each part anew, as likely a draw as that of the whole batch and
another one. How much had room is part of the state, so that a resumed run cuts where the unbroken one does.
"""

from __future__ import annotations

import torch

from core.data.batch import Batch
from core.errors import UserError

BOUNDLESS = 1 << 50


class NoRoom(UserError):
    """Not even one record can be learned from."""

    exit_code = 4


class Room:
    """How much of a batch can be learned from at once, as far as is known; shared by all processes."""

    def __init__(self) -> None:
        self.most = 0
        """Places: records times the longer of source and target. 0: there was always room."""
        self.tried = (0, 0)
        """Records and places of what is being learned from."""

    def parts(self, batch: Batch) -> list[Batch]:
        """In order, about equally large; the batch itself where it has room."""
        if not self.most or places(batch) <= self.most or batch.size == 1:
            return [batch]
        each = max(self.most * batch.size // places(batch), 1)
        rows = torch.arange(batch.size, device=batch.source.device)
        return [batch.rows(part) for part in rows.tensor_split(-(-batch.size // each))]

    def trying(self, batch: Batch) -> None:
        """From here on it is this that finds room, or none."""
        self.tried = batch.size, places(batch)

    def half(self, *, short: bool, advice: str) -> int:
        """What there may be room for, after what was tried last."""
        records, last = self.tried
        if not short:
            return self.most or BOUNDLESS
        if records <= 1:
            raise NoRoom(f"out of memory with one record of {last:,} tokens: {advice}")
        return last // 2


def places(batch: Batch) -> int:
    """As `batch.tokens` counts them."""
    return batch.size * max(batch.source.shape[1], batch.wanted_BT.shape[1])


def ran_out(error: BaseException) -> bool:
    """Whether memory was missing: torch says so in several ways."""
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(one in str(error) for one in words)
    )
