"""JSON values and plain text as sequences and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import BadRecord
from tasks.protein_alignment.alignment import GAPS, fault, rows_of, spelled, stranger, text_of
from tasks.protein_alignment.config import AlignmentConfig

MOST, LONGEST = 200, 10_000
"""Sequences in one input, for all pairs of them are aligned; and residues in one of them."""


def read(cfg: AlignmentConfig, value: Any, folder: Path) -> tuple[str, ...]:
    """A list of sequences; in plain text, two or more on a line."""
    given = value.split() if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):  # pyright: ignore[reportUnknownVariableType]
        raise BadRecord('a list of sequences like ["MKV", "MAV"] is right')
    return sequences(list(given))  # pyright: ignore[reportUnknownArgumentType]


def sequences(given: list[str]) -> tuple[str, ...]:
    """Refuses what cannot be aligned."""
    if not 2 <= len(given) <= MOST:
        raise BadRecord(f"{len(given)} sequence{'s' * (len(given) != 1)}; 2 to {MOST} are right")
    for number, one in enumerate(given, start=1):
        if not one:
            raise BadRecord(f"sequence {number} is empty")
        if len(one) > LONGEST:
            raise BadRecord(f"sequence {number} has {len(one):,} residues; at most {LONGEST:,} are aligned")
        if wrong := stranger(one):
            raise BadRecord(f"sequence {number}: {wrong}")
    return tuple(given)


def read_target(cfg: AlignmentConfig, value: Any) -> str:
    """A list of rows, or their text."""
    rows = rows_of(value) if isinstance(value, str) else value
    if not isinstance(rows, list | tuple) or not all(isinstance(one, str) for one in rows):  # pyright: ignore[reportUnknownVariableType]
        raise BadRecord('a list of rows like ["MK-V", "MKAV"] is right')
    rows = [str(row).translate(GAPS) for row in rows]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if wrong := fault(rows) or ("" if all(map(spelled, rows)) else "a row of gaps alone"):
        raise BadRecord(wrong)
    return text_of(rows)
