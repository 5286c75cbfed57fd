"""How scores are broken down: what kind of text it is, and whether something in it must come through unchanged."""

from __future__ import annotations

from core.record import Record
from tasks.translation.data import PLACEHOLDER

ENDS = ".!?…。！？؟।"
"""What a sentence ends with, in the scripts of the built-in data."""
CLOSING = "\"'”’»）)]"


def form(record: Record) -> str:
    """Titles and labels leave out what sentences spell out, and are harder to guess."""
    return "sentence" if record.source.rstrip().rstrip(CLOSING).endswith(tuple(ENDS)) else "title or label"


def placeholders(record: Record) -> str:
    """`{name}` and the like have to come through as they are."""
    return "with placeholders" if PLACEHOLDER.search(record.source) else "without"
