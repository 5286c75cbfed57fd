"""Trivial systems: what a recogniser has to beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from core.record import Record


def most_frequent(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The commonest training text, whatever is said; the first of equals."""
    counts = Counter(str(record.target) for record in train)
    text = max(counts, key=lambda one: counts[one]) if counts else ""
    return [text] * len(records)


def empty(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """Nothing: every word is deleted."""
    return [""] * len(records)
