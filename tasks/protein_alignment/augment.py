"""Training pairs varied: the two exchanged, and residues replaced, so that no family is learned by heart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.record import Record
from tasks.protein_alignment.alignment import GAP, rows_of, spelled, text_of
from tasks.protein_alignment.codec import AMINO_ACIDS
from tasks.protein_alignment.config import AlignmentConfig

LETTERS = np.array([*AMINO_ACIDS, "X"])


def augment(cfg: AlignmentConfig) -> Callable[[Record, np.random.Generator], Record] | None:
    """None where `task.mutate` is 0."""
    share = cfg.mutate
    if not share:
        return None

    def vary(record: Record, random: np.random.Generator) -> Record:
        rows = [mutated(row, share, random) for row in rows_of(record.target)]
        if random.random() < 0.5:
            rows.reverse()
        return replace(record, source=tuple(map(spelled, rows)), target=text_of(rows))

    return vary


def mutated(row: str, share: float, random: np.random.Generator) -> str:
    """Each residue with that probability any other, or X."""
    letters = np.array(list(row))
    chosen = (random.random(len(letters)) < share) & (letters != GAP)
    letters[chosen] = random.choice(LETTERS, size=int(chosen.sum()))
    return "".join(letters)
