"""How scores are broken down."""

from __future__ import annotations

from core.record import Record


def depth(record: Record) -> str:
    """Primitives that a generated program is composed of."""
    return str(record.meta.get("depth", "unknown"))
