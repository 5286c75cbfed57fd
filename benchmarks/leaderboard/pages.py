"""Results -> the texts of both pages: the same files give the same bytes, on any machine and in any order of reading."""

from __future__ import annotations

from pathlib import Path

from benchmarks.leaderboard.ablations import KEPT, html_page, kept_ablations, markdown_page
from benchmarks.leaderboard.across import across
from benchmarks.leaderboard.boards import boards_of
from benchmarks.leaderboard.markdown import markdown
from benchmarks.leaderboard.references import REFERENCES, read_references
from benchmarks.leaderboard.store import RESULTS, read_results
from benchmarks.leaderboard.systems import table
from benchmarks.leaderboard.webpage import webpage

REMARKS = "remarks.md"
"""In the folder of results: what their numbers do not say of themselves, a paragraph."""


def pages(results: Path = RESULTS, references: Path = REFERENCES, ablations: Path = KEPT) -> dict[str, str]:
    """Name under docs/ -> content."""
    boards = boards_of(read_results(results))
    anchors, published = read_references(references)
    found = {row.budget for board in boards for row in board.rows}
    overall = [across(budget, boards, anchors) for budget in table()[0] if budget in found]
    remarks = (results / REMARKS).read_text(encoding="utf-8") if (results / REMARKS).is_file() else ""
    kept = kept_ablations(ablations)
    return {
        "leaderboard.md": markdown(boards, overall, anchors, published, remarks, ablations=bool(kept)),
        "leaderboard/index.html": webpage(boards, overall, anchors, published, remarks, ablations=bool(kept)),
        **(
            {"leaderboard/ablations.md": markdown_page(kept), "leaderboard/ablations.html": html_page(kept)}
            if kept
            else {}
        ),
    }
