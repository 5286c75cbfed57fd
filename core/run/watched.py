"""The part of a split that is looked at where all of it would take too long."""

from __future__ import annotations

from collections.abc import Sequence

from core.data.split import hashed_share
from core.record import Record


def watched_records(records: Sequence[Record], most: int) -> list[Record]:
    """The dev records that training looks at: the first by hashed key, so that they are a fair sample and stay the same."""
    if not most or len(records) <= most:
        return list(records)
    return sorted(records, key=lambda record: hashed_share(record.key))[:most]
