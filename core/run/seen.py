"""What training has shown of a record already: some published test sets repeat a part of their training data."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.errors import ConfigError
from core.record import Record

SEEN = "seen"
NAME = "seen"
"""What `evaluate --by` calls it."""


def seen_in(train: Iterable[Record]) -> Callable[[Record], str]:
    """A record -> whether its source stands in training with one of its references (`seen`), with others alone, or not at all."""
    answers: dict[str, set[str]] = {}
    for record in train:
        answers.setdefault(text(record), set()).update(map(str, record.references))

    def bin_of(record: Record) -> str:
        known = answers.get(text(record))
        if known is None:
            return "new"
        return SEEN if known.intersection(map(str, record.references)) else "new, of a known source"

    return bin_of


def text(record: Record) -> str:
    """Its source, where that is text."""
    if not isinstance(record.source, str):
        raise ConfigError(f"--by {NAME}: the sources of this task are no text, which could be looked for in training")
    return record.source
