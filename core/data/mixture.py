"""Several sources in one training: how often each is drawn, and which of its records comes when.

Of sources with n_s records each gets a share proportional to n_s^(1/T) of every epoch (Arivazhagan et al., 2019): at T = 1 all
records are as frequent, with a larger T small sources more and more. An epoch is as long as all sources together. Each source
goes round and round in shuffles of its own, all its records once before any comes again, so that what is drawn is a function of
(seed, epoch, place) and nothing has to be remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.data.order import mixed, permuted


@dataclass(frozen=True)
class Mixture:
    """Records 0 .. sizes[0] - 1 are the first source's, the next sizes[1] the second's, and so on."""

    sizes: tuple[int, ...]
    temperature: float

    @cached_property
    def shares(self) -> np.ndarray:
        """Of an epoch, as the formula has them."""
        weight_S = np.array(self.sizes, float) ** (1 / self.temperature)
        return weight_S / weight_S.sum()

    @cached_property
    def counts(self) -> np.ndarray:
        """Places of an epoch: whole numbers, one at least, by largest remainders."""
        total = sum(self.sizes)
        wish_S = self.shares * total
        count_S = np.maximum(np.floor(wish_S).astype(np.int64), 1)
        order = np.lexsort((np.arange(len(wish_S)), np.floor(wish_S) - wish_S))
        for at in range(max(total - int(count_S.sum()), 0)):
            count_S[order[at % len(order)]] += 1
        return count_S

    @property
    def places(self) -> int:
        """Of an epoch."""
        return int(self.counts.sum())

    def drawn(self, epoch: int, place_N: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(records at these places of an epoch, how often each of them was drawn before)."""
        end_S = np.cumsum(self.counts)
        source_N = np.searchsorted(end_S, place_N, side="right")
        within_N = place_N - (end_S - self.counts)[source_N]
        size_S = np.array(self.sizes, np.int64)
        nth_N = epoch * self.counts[source_N] + within_N
        round_N, step_N = np.divmod(nth_N, size_S[source_N])
        offset_S = np.cumsum(size_S) - size_S
        row_N = np.zeros(len(place_N), np.int64)
        several_N = size_S[source_N] > 1
        turns = sorted(set(zip(source_N[several_N].tolist(), round_N[several_N].tolist(), strict=True)))
        for source, turn in turns:
            here_N = (source_N == source) & (round_N == turn)
            row_N[here_N] = permuted(step_N[here_N], self.sizes[source], mixed(seed, 5, source, turn))
        return offset_S[source_N] + row_N, round_N


def said(names: Sequence[str], mixture: Mixture) -> str:
    """For a person."""
    parts = (
        f"{name} {size:,} records, {100 * share:.1f} % of training"
        for name, size, share in zip(names, mixture.sizes, mixture.counts / mixture.places, strict=True)
    )
    return f"mixed at temperature {mixture.temperature:g}: {'; '.join(parts)}"
