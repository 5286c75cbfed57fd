"""Each architecture with each attention that it has learns copy, reverse, sort and recall as well as its idea lets it."""

from __future__ import annotations

import pytest

from benchmarks.toys.cells import TOYS, Cell, cells
from core.testing.learning import exact_match


@pytest.mark.slow
@pytest.mark.parametrize("cell", cells(), ids=lambda cell: cell.name)
def test_every_cell_reaches_its_floor(cell: Cell) -> None:
    """docs/toys.md has the scores that were seen."""
    score = exact_match(TOYS[cell.toy], cell.row.config, cell.steps, cell.lr, cell.tokens)
    assert score >= cell.least, f"{cell.name}: {score:.1f} % of strings, where {cell.least:g} are asked"
