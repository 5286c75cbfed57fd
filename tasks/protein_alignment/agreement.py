"""What rows have in common, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from tasks.protein_alignment.alignment import GAP, spelled
from tasks.protein_alignment.needleman_wunsch import blosum62, read_as


def read_as_row(row: str) -> str:
    """In the letters of the matrix, gaps kept."""
    letters = iter(read_as(spelled(row)))
    return "".join(GAP if one == GAP else next(letters) for one in row)


def agreement(rows: Sequence[str]) -> str:
    """By column: * for one letter that is not X, : where all pairs score above 0 in BLOSUM62, else a blank."""
    matrix, read = blosum62(), [read_as_row(row) for row in rows]
    signs: list[str] = []
    for letters, column in zip(zip(*rows, strict=True), zip(*read, strict=True), strict=True):
        if GAP in column:
            signs.append(" ")
        elif len({one.upper() for one in letters}) == 1 and "X" not in column:
            signs.append("*")
        else:
            signs.append(":" if all(matrix[pair] > 0 for pair in combinations(column, 2)) else " ")
    return "".join(signs)
