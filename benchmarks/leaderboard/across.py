"""Across tasks: mean skill, mean rank with its critical difference, wins, ties and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from benchmarks.leaderboard.boards import Board, Row, ranks
from benchmarks.leaderboard.duels import Duel, duels_of
from benchmarks.leaderboard.references import Anchor, skill_of

FLOOR = "best floor"
"""The best trivial system of each task, as one system."""
Q = (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)
"""Studentised range / sqrt 2 at 0.05 for 2 to 10 systems (Demsar, 2006, table 5a)."""


@dataclass(frozen=True)
class Standing:
    """One system over the tasks of a budget."""

    system: str
    skills: dict[str, float | None]
    """Task -> skill, for tasks where it has a row."""
    skill: float | None
    """Mean over those that have one."""
    rank: float | None
    """Mean over the tasks on which all ranked systems have a row; None for a system that is not everywhere."""
    wins: int
    ties: int
    losses: int
    minutes: float | None
    """Of training, summed over tasks, a seed."""


@dataclass(frozen=True)
class Across:
    """All systems of one budget."""

    budget: str
    boards: tuple[Board, ...]
    standings: tuple[Standing, ...]
    ranked_tasks: tuple[str, ...]
    duels: tuple[tuple[str, Duel], ...]
    """(task, duel) on all boards."""

    @property
    def critical_difference(self) -> float | None:
        """Nemenyi's, for the ranked systems; None for fewer than two systems or tasks."""
        count = sum(one.rank is not None for one in self.standings)
        tasks = len(self.ranked_tasks)
        if not 2 <= count <= len(Q) + 1 or tasks < 2:
            return None
        return Q[count - 2] * sqrt(count * (count + 1) / (6 * tasks))


def across(budget: str, boards: Sequence[Board], anchors: Sequence[Anchor]) -> Across:
    """On the newest board of each task that has rows of that budget."""
    newest: dict[str, Board] = {}
    for board in boards:
        if any(row.budget == budget for row in board.rows):
            old = newest.get(board.task)
            size = (len([row for row in board.rows if row.budget == budget]), board.newest)
            if old is None or size > (len([row for row in old.rows if row.budget == budget]), old.newest):
                newest[board.task] = board
    kept = tuple(newest[task] for task in sorted(newest))
    columns = {board.task: systems_of(board, budget) for board in kept}
    names = sorted({name for rows in columns.values() for name in rows})
    everywhere = [name for name in names if sum(name in rows for rows in columns.values()) >= len(kept) - 1]
    shared = tuple(task for task, rows in columns.items() if all(name in rows for name in everywhere))
    place: dict[str, list[float]] = {name: [] for name in everywhere}
    for task in shared:
        values = [better(columns[task][name]) for name in everywhere]
        for name, rank in zip(everywhere, ranks(values), strict=True):
            place[name].append(rank)
    duels = [
        (board.task, duel) for board in kept for duel in duels_of([row for row in board.rows if row.budget == budget])
    ]
    found: list[Standing] = []
    for name in names:
        rows = {board: columns[board.task][name] for board in kept if name in columns[board.task]}
        skills = {board.task: skill_of(board, row.value, anchors) for board, row in rows.items()}
        known = [one for one in skills.values() if one is not None]
        minutes = [row.mean("training_minutes") for row in rows.values()]
        own = [one for _, one in duels if any(one.left is row or one.right is row for row in rows.values())]
        wins = sum(any(one.winner is row for row in rows.values()) for one in own)
        ties = sum(one.winner is None for one in own)
        ranked = place.get(name)
        found.append(
            Standing(
                name,
                skills,
                sum(known) / len(known) if known else None,
                sum(ranked) / len(ranked) if ranked else None,
                *(wins, ties, len(own) - wins - ties),
                None if any(one is None for one in minutes) else sum(one or 0.0 for one in minutes),
            )
        )
    found.sort(key=lambda one: (one.rank is None, one.rank or 0.0, -(one.skill or 0.0), one.system))
    return Across(budget, kept, tuple(found), shared, tuple(duels))


def systems_of(board: Board, budget: str) -> dict[str, Row]:
    """Names -> rows; the trivial systems are one."""
    rows = [row for row in board.rows if row.budget == budget]
    floors = [row for row in rows if row.kind == "floor"]
    return {**({FLOOR: floors[0]} if floors else {}), **{row.system: row for row in rows if row.kind != "floor"}}


def better(row: Row) -> float:
    """Higher is better."""
    return row.value if row.higher_is_better else -row.value
