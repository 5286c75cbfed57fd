"""Two files of which line n of one belongs to line n of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from core.data.lines import Line, read_lines
from core.errors import DataError
from core.record import Record, Split


def read_parallel(left: Path, right: Path, split: Split) -> Iterator[Record]:
    """Records of both; their numbers of lines must agree, and a line with nothing beside something is refused."""
    sources, targets = list(read_lines(left)), list(read_lines(right))
    if len(sources) != len(targets):
        place = suspicious([len(line.raw) for line in sources], [len(line.raw) for line in targets])
        raise DataError(
            f"{left} has {len(sources):,} lines, {right} has {len(targets):,}; the first that do not fit "
            f"each other are about line {place}"
        )

    def parse(pair: tuple[Line, Line]) -> Record:
        source, target = pair
        texts = source.text, target.text
        if bool(texts[0].strip()) != bool(texts[1].strip()):
            side, other = (source, target) if not texts[0].strip() else (target, source)
            raise side.bad(f"empty, but {other.place} is not")
        return Record(f"{split}-{source.number}", *texts, {"place": source.place})

    both = (pair for pair in zip(sources, targets, strict=True) if pair[0].raw.strip() or pair[1].raw.strip())
    return map(parse, both)


def suspicious(left: Sequence[int], right: Sequence[int]) -> int:
    """The line from which lengths agree better when shifted: about there lines were lost, or came in."""
    shift = len(left) - len(right)
    longer, shorter = (left, right) if shift > 0 else (right, left)
    if not shorter:
        return 1
    long, short = np.log1p(np.array(longer, float)), np.log1p(np.array(shorter, float))
    count, offset = len(short), abs(shift)
    usual = np.median(long[:count] - short), np.median(long[offset:] - short)
    straight = np.minimum(np.abs(long[:count] - short - usual[0]), 2.0)
    shifted = np.minimum(np.abs(long[offset:] - short - usual[1]), 2.0)
    cost = np.concatenate([[0.0], np.cumsum(straight)]) + np.concatenate([np.cumsum(shifted[::-1])[::-1], [0.0]])
    return int(cost.argmin()) + 1
