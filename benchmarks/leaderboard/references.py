"""What scores are measured against: both ends of skill, and published results. All committed, all with a source."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.boards import Board
from core.errors import DataError

REFERENCES = Path(__file__).resolve().parents[1] / "references"


@dataclass(frozen=True, slots=True)
class End:
    """Zero or one of a skill: a number, or the score of a system of the same board."""

    cite: str
    value: float | None = None
    system: str | None = None

    def on(self, board: Board) -> float | None:
        """None where that system has no row there."""
        if self.value is not None:
            return self.value
        return next((row.value for row in board.rows if row.system == self.system), None)


@dataclass(frozen=True, slots=True)
class Anchor:
    """Skill on one data set: 0 at the floor, 1 at the reference."""

    task: str
    data: str
    metric: str
    floor: End
    reference: End

    def skill(self, board: Board, value: float) -> float | None:
        """(score - floor) / (reference - floor); lower-is-better metrics need no other formula."""
        floor, reference = self.floor.on(board), self.reference.on(board)
        if floor is None or reference is None or reference == floor:
            return None
        return (value - floor) / (reference - floor)


@dataclass(frozen=True, slots=True)
class Published:
    """Someone's printed number: a row of its own kind, never ranked with measured ones."""

    task: str
    data: str
    system: str
    metric: str
    value: float
    convention: str
    citation: str


def read_references(folder: Path = REFERENCES) -> tuple[list[Anchor], list[Published]]:
    """All files, in the order of their names."""
    anchors: list[Anchor] = []
    published: list[Published] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            tree: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
            for one in tree.get("anchors", []):
                ends = {name: End(**one[name]) for name in ("floor", "reference")}
                anchors.append(Anchor(path.stem, one["data"], one["metric"], **ends))
            published += [Published(path.stem, **one) for one in tree.get("published", [])]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}") from None
    for one in anchors:
        for end in (one.floor, one.reference):
            if not end.cite or (end.value is None) == (end.system is None):
                raise DataError(f"{folder / one.task}.toml: {one.data}: an end needs cite, and value or system")
    return anchors, published


def anchor_of(board: Board, anchors: Sequence[Anchor]) -> Anchor | None:
    """The one for its data and metric."""
    key = (board.task, board.data, board.metric)
    return next((one for one in anchors if (one.task, one.data, one.metric) == key), None)


def skill_of(board: Board, value: float, anchors: Sequence[Anchor]) -> float | None:
    """None where the data set has no anchor."""
    anchor = anchor_of(board, anchors)
    return None if anchor is None else anchor.skill(board, value)
