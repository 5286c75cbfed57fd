"""Leads: what a text begins with, which is hard to beat where texts say at once what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

from core.record import Record
from tasks.summarization.sentences import sentences


def lead_1(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The first sentence."""
    return [lead(record.source, 1) for record in records]


def lead_3(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The first three sentences, each on a line."""
    return [lead(record.source, 3) for record in records]


def lead_words(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """As many first words as training summaries have, in the median."""
    count = median_low([len(str(record.target).split()) for record in train] or [10])
    return [" ".join(str(record.source).split()[:count]) for record in records]


def lead(text: str, count: int) -> str:
    """The first sentences."""
    return "\n".join(sentences(str(text))[:count])
