"""Pairs longer than the model was made for, cut where Needleman-Wunsch is surest, so that each piece is a short pair."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.protein_alignment.needleman_wunsch import needleman_wunsch

MIDDLE = 0.25
"""A cut leaves at least this share of the columns on either side, where there is a pair to cut at."""


def pieces(first: str, second: str, most: int) -> Iterator[tuple[str, str]]:
    """Consecutive parts of both sequences, together at most `most` residues each (or one of the two is empty)."""
    if len(first) + len(second) <= most or not first or not second:
        yield first, second
        return
    i, j = place_to_cut(first, second, needleman_wunsch(first, second))
    yield from pieces(first[:i], second[:j], most)
    yield from pieces(first[i:], second[j:], most)


def place_to_cut(first: str, second: str, moves: str) -> tuple[int, int]:
    """In the middle of the longest run of pairs, near the middle of the path; without one, in the middle of both."""
    low, high = int(MIDDLE * len(moves)), int((1 - MIDDLE) * len(moves))
    runs = [(max(run.start(), low), min(run.end(), high)) for run in re.finditer("M+", moves)]
    begin, end = max(runs, key=lambda run: run[1] - run[0], default=(0, 0))
    at = (begin + end) // 2
    i = at - moves.count("I", 0, at)
    j = at - moves.count("D", 0, at)
    if end > begin and 0 < i + j < len(first) + len(second):
        return i, j
    return (len(first) + 1) // 2, (len(second) + 1) // 2
