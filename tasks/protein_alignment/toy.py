"""Small made-up pairs for tests and the tiny config: a random ancestor, substitutions within classes, and short gaps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.data.config import DataConfig
from core.record import Record, Split
from tasks.protein_alignment.alignment import GAP, identity, spelled, text_of, without_empty_columns
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.simulated import STREAM

CLASSES = ("AGST", "ILMV", "FWY", "DENQ", "HKR", "C", "P")
ALL = "".join(CLASSES)
COUNTS: dict[Split, int] = {"train": 2000, "dev": 100, "test": 100}
SUBSTITUTED, WITHIN, GAP_BEGINS, GAP_GOES_ON = 0.35, 0.6, 0.04, 0.6


def toy(cfg: AlignmentConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Number k of a split is always the same pair."""
    for number in range(COUNTS[split]):
        rows = family(2, np.random.default_rng([9, STREAM[split], number]))
        yield Record(
            f"toy-{split}-{number}",
            tuple(map(spelled, rows)),
            text_of(rows),
            {"set": "toy", "identity": identity(rows)},
        )


def family(count: int, draw: np.random.Generator, least: int = 10, most: int = 30) -> tuple[str, ...]:
    """So many descendants of one ancestor, aligned."""
    ancestor = "".join(draw.choice(list(ALL), size=int(draw.integers(least, most + 1))))
    columns = [["M"] * count]  # no sequence is lost whole
    lost = [0] * count
    for residue in ancestor:
        for row in range(count):
            inserted = draw.choice(list(ALL), size=gap(draw))  # in this row alone
            columns.extend([str(one) if other == row else GAP for other in range(count)] for one in inserted)
        column: list[str] = []
        for row in range(count):
            lost[row] = lost[row] - 1 if lost[row] else gap(draw)
            column.append(GAP if lost[row] else changed(residue, draw))
        columns.append(column)
    return without_empty_columns(["".join(row) for row in zip(*columns, strict=True)])


def gap(draw: np.random.Generator) -> int:
    """Its length: mostly none."""
    return int(draw.geometric(1 - GAP_GOES_ON)) if draw.random() < GAP_BEGINS else 0


def changed(residue: str, draw: np.random.Generator) -> str:
    """Mostly the same, else often one of its class."""
    if draw.random() >= SUBSTITUTED:
        return residue
    own = next(one for one in CLASSES if residue in one)
    return str(draw.choice(list(own if draw.random() < WITHIN else ALL)))
