"""All encoded records of a split as flat arrays with offsets, cut into batches without a Python step per record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.codec.types import BOS, EOS, PAD, Encoded
from core.data.batch import Batch, CopyMap
from core.nn.layout import Padded

# B batch, S source, T target (with one end), F features, N records


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sequences of different lengths, one after the other."""

    values: np.ndarray
    offset_N1: np.ndarray

    @classmethod
    def build(cls, parts: Sequence[np.ndarray], empty: np.ndarray) -> Ragged:
        """`empty` gives type and width where there is no part."""
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        return cls(np.concatenate(parts) if parts else empty, offsets)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offset_N1)

    def rectangle(self, rows: np.ndarray, *, pad: float) -> tuple[np.ndarray, np.ndarray]:
        """([B, S, ...] padded at the end, the mask of what is real)."""
        length_B = self.offset_N1[rows + 1] - self.offset_N1[rows]
        real_BS = np.arange(max(int(length_B.max(initial=0)), 1))[None] < length_B[:, None]
        made = np.full((*real_BS.shape, *self.values.shape[1:]), pad, dtype=self.values.dtype)
        places = self.offset_N1[rows][:, None] + np.arange(real_BS.shape[1])[None]
        made[real_BS] = self.values[places[real_BS]]
        return made, real_BS


@dataclass(frozen=True, slots=True)
class Examples:
    """A split as numbers; row n is record n."""

    source: Ragged
    target: Ragged | None
    position: Ragged | None = None
    segment: Ragged | None = None
    extended: Ragged | None = None
    """For models that copy, where a source has a copy map."""
    words: tuple[tuple[str, ...], ...] = ()
    """Those of each record, beside `extended`."""

    @classmethod
    def build(cls, pairs: Iterable[tuple[Encoded, Sequence[int] | None]]) -> Examples:
        """From encoded sources and targets (without BOS and EOS; None where answers are asked for)."""
        sources: list[Encoded] = []
        targets: list[np.ndarray] = []
        for source, target in pairs:
            sources.append(source)
            if target is not None:
                targets.append(np.asarray(target, dtype=np.int32))
        if targets and len(targets) != len(sources):
            raise ValueError(f"{len(targets)} targets for {len(sources)} sources; give all or none")
        ids = np.zeros(0, np.int32)
        mapped = any(one.extended is not None for one in sources)

        def more(parts: list[np.ndarray | None]) -> Ragged | None:
            held = [part for part in parts if part is not None]
            return Ragged.build(held, ids) if held and len(held) == len(parts) else None

        return cls(
            Ragged.build([one.values for one in sources], ids),
            Ragged.build(targets, ids) if targets else None,
            more([one.position for one in sources]),
            more([one.segment for one in sources]),
            Ragged.build([one.values if one.extended is None else one.extended for one in sources], ids)
            if mapped
            else None,
            tuple(one.words for one in sources) if mapped else (),
        )

    def __len__(self) -> int:
        return len(self.source.offset_N1) - 1

    @property
    def longest(self) -> tuple[int, int]:
        """Of sources and targets."""
        target = 0 if self.target is None else int(self.target.lengths.max(initial=0))
        return int(self.source.lengths.max(initial=0)), target

    @property
    def size_N(self) -> np.ndarray:
        """What a record costs in a batch: the longer of its source and its target with one end."""
        if self.target is None:
            return np.maximum(self.source.lengths, 1)
        return np.maximum(self.source.lengths, self.target.lengths + 1)

    def take(self, rows: np.ndarray) -> Batch:
        """These records as a batch, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        frames = self.source.values.ndim == 2
        source, real_BS = self.source.rectangle(rows, pad=0.0 if frames else PAD)
        position = None if self.position is None else self.position.rectangle(rows, pad=0)[0]
        segment = None if self.segment is None else self.segment.rectangle(rows, pad=0)[0]
        target = np.full((len(rows), 1), BOS, dtype=np.int64)
        tokens = 0
        if self.target is not None:
            words, wordy_BT = self.target.rectangle(rows, pad=PAD)
            length_B = wordy_BT.sum(1)
            T = int(length_B.max(initial=0))
            target = np.full((len(rows), T + 2), PAD, dtype=np.int64)
            target[:, 0] = BOS
            target[:, 1 : T + 1] = words[:, :T]
            target[np.arange(len(rows)), length_B + 1] = EOS
            tokens = int(length_B.sum()) + len(rows)
        layout = Padded(
            torch.from_numpy(real_BS),
            None if position is None else torch.from_numpy(position.astype(np.int64)),
            None if segment is None else torch.from_numpy(segment.astype(np.int64)),
        )
        values = torch.from_numpy(source if frames else source.astype(np.int64))
        return Batch(values, layout, torch.from_numpy(target), tuple(rows.tolist()), tokens, self._copy_map(rows))

    def _copy_map(self, rows: np.ndarray) -> CopyMap | None:
        if self.extended is None:
            return None
        extended_BS = self.extended.rectangle(rows, pad=PAD)[0].astype(np.int64)
        return CopyMap(torch.from_numpy(extended_BS), tuple(self.words[row] for row in rows.tolist()))
