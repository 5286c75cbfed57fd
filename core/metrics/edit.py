"""Levenshtein distance between sequences, by rapidfuzz where it is installed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any


def levenshtein(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """Insertions, deletions and substitutions, at least so many, that turn one into the other."""
    fast = rapidfuzz_levenshtein()
    return int(fast.distance(left, right)) if fast is not None else plain_levenshtein(left, right)


def edit_share(left: Sequence[Hashable], right: Sequence[Hashable]) -> float:
    """The distance divided by the longer length: 0 for equal sequences, 1 for nothing in common."""
    longer = max(len(left), len(right))
    return levenshtein(left, right) / longer if longer else 0.0


@lru_cache(maxsize=1)
def rapidfuzz_levenshtein() -> Any:
    """The library's module, or None."""
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        return None
    return Levenshtein


def plain_levenshtein(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """Wagner and Fischer (1974), row by row."""
    if len(left) < len(right):
        left, right = right, left
    above = list(range(len(right) + 1))
    for row, symbol in enumerate(left, start=1):
        here = [row]
        for column, other in enumerate(right, start=1):
            here.append(min(above[column] + 1, here[column - 1] + 1, above[column - 1] + (symbol != other)))
        above = here
    return above[-1]
