"""What a model is given: sources, the layout of the rectangle they lie in, and targets with both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.codec.types import BOS, EOS, PAD, Encoded
from core.nn.layout import Layout, Padded

# B batch, S source, T target (with one end), F features, X copied words


@dataclass(frozen=True, slots=True)
class CopyMap:
    """For heads that copy: where the source's words stand in the extended vocabulary."""

    extended_BS: Tensor
    """Ids of the source's symbols; from the size of the vocabulary on, unseen words of this row."""
    words: tuple[tuple[str, ...], ...]
    """Row by row, the words that those ids spell."""

    @property
    def extra(self) -> int:
        """The most that a row has."""
        return max(map(len, self.words), default=0)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records of a split, as numbers."""

    source: Tensor
    """int64 [B, S] ids, or float32 [B, S, F] frames."""
    layout: Layout
    target: Tensor
    """int64 [B, 1 + T]: BOS y1 ... yn EOS PAD...; [B, 1] (BOS alone) where there is no target."""
    index: tuple[int, ...]
    """Rows of the split, for joining back."""
    tokens: int = 0
    """Target tokens that count: EOS included, pads not. Known without asking the device."""
    copy: CopyMap | None = None

    @property
    def given_BT(self) -> Tensor:
        """What the decoder reads under teacher forcing."""
        return self.target[:, :-1]

    @property
    def wanted_BT(self) -> Tensor:
        """What it must say."""
        return self.target[:, 1:]

    @property
    def size(self) -> int:
        return self.source.shape[0]

    def rows(self, rows_B: Tensor) -> Batch:
        """The given records only, in as wide a rectangle."""
        copy = self.copy
        if copy is not None:
            words = tuple(copy.words[row] for row in rows_B.tolist())
            copy = CopyMap(copy.extended_BS[rows_B], words)
        target = self.target[rows_B]
        return Batch(
            self.source[rows_B],
            self.layout.rows(rows_B),
            target,
            tuple(self.index[row] for row in rows_B.tolist()),
            int((target[:, 1:] != PAD).sum()),
            copy,
        )

    def to(self, device: torch.device) -> Batch:
        if self.source.device == device:
            return self
        move = lambda x: x.to(device, non_blocking=True)  # noqa: E731
        copy = self.copy and replace(self.copy, extended_BS=move(self.copy.extended_BS))
        return replace(
            self, source=move(self.source), layout=self.layout.to(device), target=move(self.target), copy=copy
        )


def collate(sources: Sequence[Encoded], targets: Sequence[Sequence[int]] | None, index: Sequence[int]) -> Batch:
    """Pad to a rectangle. `targets` come without BOS and EOS; None where the answer is asked for."""
    lengths = np.array([len(one.values) for one in sources])
    B, S = len(sources), int(lengths.max(initial=1))
    frames = sources[0].values.ndim == 2
    shape = (B, S, sources[0].values.shape[1]) if frames else (B, S)
    source = np.full(shape, 0.0 if frames else PAD, dtype=np.float32 if frames else np.int64)
    position = np.zeros((B, S), np.int64) if sources[0].position is not None else None
    segment = np.zeros((B, S), np.int64) if sources[0].segment is not None else None
    for row, one in enumerate(sources):
        source[row, : len(one.values)] = one.values
        if position is not None and one.position is not None:
            position[row, : len(one.values)] = one.position
        if segment is not None and one.segment is not None:
            segment[row, : len(one.values)] = one.segment
    T = max((len(target) for target in targets), default=0) + 1 if targets is not None else 0
    target = np.full((B, 1 + T), PAD, dtype=np.int64)
    target[:, 0] = BOS
    for row, ids in enumerate(targets or ()):
        target[row, 1 : 1 + len(ids)] = ids
        target[row, 1 + len(ids)] = EOS
    layout = Padded(
        torch.from_numpy(np.arange(S)[None] < lengths[:, None]),
        None if position is None else torch.from_numpy(position),
        None if segment is None else torch.from_numpy(segment),
    )
    tokens = sum(len(ids) + 1 for ids in targets) if targets is not None else 0
    copy = copy_map(sources, S)
    return Batch(torch.from_numpy(source), layout, torch.from_numpy(target), tuple(index), tokens, copy)


def copy_map(sources: Sequence[Encoded], S: int) -> CopyMap | None:
    """None where every symbol is what it is."""
    if all(one.extended is None for one in sources):
        return None
    extended = np.full((len(sources), S), PAD, dtype=np.int64)
    for row, one in enumerate(sources):
        extended[row, : len(one.values)] = one.values if one.extended is None else one.extended
    return CopyMap(torch.from_numpy(extended), tuple(one.words for one in sources))
