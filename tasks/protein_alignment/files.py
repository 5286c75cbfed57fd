"""A user's own alignments: training takes families apart into pairs, dev and test keep them whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from core.data.config import DataConfig
from core.data.sources import read_files, with_holdout
from core.record import Record, Split
from tasks.protein_alignment.alignment import identity, rows_of, spelled, text_of, without_empty_columns
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.formats import FORMATS


def files(cfg: AlignmentConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """What is held out of train is held out by families."""
    whole = with_holdout(lambda part: read_files(FORMATS, cfg, data, part), data)
    return Flat(whole(split)) if split == "train" else whole(split)


class Flat(Iterator[Record]):
    """The pairs of all families; after a family that cannot be read it goes on with the next (a generator would end)."""

    def __init__(self, whole: Iterator[Record]) -> None:
        self.whole = whole
        self.waiting: Iterator[Record] = iter(())

    def __next__(self) -> Record:
        while (found := next(self.waiting, None)) is None:
            self.waiting = pairs(next(self.whole))
        return found


def pairs(record: Record) -> Iterator[Record]:
    """All pairs of rows of an alignment that have a pair of residues in common."""
    rows = rows_of(record.target)
    if len(rows) == 2:
        yield record
        return
    names = record.meta.get("names") or [str(number) for number in range(1, len(rows) + 1)]
    for one, other in combinations(range(len(rows)), 2):
        two = without_empty_columns([rows[one], rows[other]])
        meta = {**record.meta, "names": (names[one], names[other]), "group": record.key, "identity": identity(two)}
        meta.pop("core", None)
        if any(first != "-" != second for first, second in zip(*two, strict=True)):
            source = tuple(map(spelled, two))
            yield replace(
                record, key=f"{record.key}/{one + 1}-{other + 1}", source=source, target=text_of(two), meta=meta
            )
