"""The rows there are, by family: one test of the quick form each."""

from __future__ import annotations

from importlib import import_module

from benchmarks.torture.rows import Row

FAMILIES: dict[str, tuple[str, ...]] = {
    "crashes": ("crashes",),
    "storage": ("storage", "power", "drift"),
    "numbers": ("numbers", "room", "ladder", "flat"),
    "files": ("malice", "bombs", "paths", "signatures", "growth"),
    "records": ("records", "sounds", "settings"),
    "jail": ("contained",),
}
"""Family -> modules with `ROWS`, in the order of the page."""


def rows_of(family: str) -> tuple[Row, ...]:
    """All rows of a family."""
    return tuple(row for module in FAMILIES[family] for row in import_module(f"benchmarks.torture.{module}").ROWS)


def all_rows() -> dict[str, Row]:
    """By name."""
    found: dict[str, Row] = {}
    for family in FAMILIES:
        for row in rows_of(family):
            if row.name in found:
                raise ValueError(f"two rows are called {row.name}")
            found[row.name] = row
    return found
