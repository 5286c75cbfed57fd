"""How much of the reference's pairs of residues an alignment has, by the field's three scores, and whether it is one at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

from core.errors import BadRecord
from core.record import Prediction, Record
from core.task import Metric
from tasks.protein_alignment.alignment import GAP, identity, rows_from, rows_of
from tasks.protein_alignment.config import AlignmentConfig

# L columns, R rows


class Compared(NamedTuple):
    """Counts of one answer against its reference."""

    reference: int
    """Pairs of residues in the reference's marked columns."""
    found: int
    """Those of them that the answer has."""
    said: int
    """Pairs in the answer with a residue in a marked column."""
    said_all: int
    """All pairs in the answer."""
    right_all: int
    """Those of them that the reference has, in any column."""
    columns: int
    """Marked columns with two residues or more."""
    whole: int
    """Those of them whose residues stand together in the answer."""


def compared(record: Record, output: str) -> Compared:
    """An answer that is no alignment of the record's sequences says nothing."""
    marked = marks(record, len(rows_of(record.target)[0]))
    return counted(tuple(record.source), record.target, marked.tobytes(), output)


@lru_cache(maxsize=4096)
def counted(source: tuple[str, ...], target: str, marked: bytes, output: str) -> Compared:
    """Once for all scores."""
    answer, reference, marked_L = rows_from(output, source), rows_of(target), np.frombuffer(marked, dtype=bool)
    residue_RL = np.array([numbers(row) for row in reference])
    columns_L = marked_L & ((residue_RL >= 0).sum(0) >= 2)
    pairs = [(residue_RL[one], residue_RL[other]) for one, other in combinations(range(len(reference)), 2)]
    both = [(first >= 0) & (second >= 0) for first, second in pairs]
    wanted = sum(int((here & marked_L).sum()) for here in both)
    if answer is None:
        return Compared(wanted, 0, 0, 0, 0, int(columns_L.sum()), 0)
    stands = [np.flatnonzero(numbers(row) >= 0) for row in answer]  # residue -> column of the answer
    place_RL = np.array([_looked_up(where, numbers_L) for where, numbers_L in zip(stands, residue_RL, strict=True)])
    top_L = place_RL.max(0)
    together_L = ((place_RL == top_L) | (residue_RL < 0)).all(0)
    found = right = said = said_all = 0
    in_answer_RC = np.array([numbers(row) for row in answer])
    marked_of = [marked_residues(one, marked_L) for one in residue_RL]
    for (one, other), here in zip(combinations(range(len(reference)), 2), both, strict=True):
        same = here & (place_RL[one] == place_RL[other])
        right += int(same.sum())
        found += int((same & marked_L).sum())
        here_too = (in_answer_RC[one] >= 0) & (in_answer_RC[other] >= 0)
        said_all += int(here_too.sum())
        first, second = in_answer_RC[one][here_too], in_answer_RC[other][here_too]
        said += int((marked_of[one][first] | marked_of[other][second]).sum())
    return Compared(wanted, found, said, said_all, right, int(columns_L.sum()), int((together_L & columns_L).sum()))


def marks(record: Record, columns: int) -> np.ndarray:
    """`meta.core`, a 0 or 1 a column; all where there is none."""
    core = record.meta.get("core")
    if core is None:
        return np.ones(columns, dtype=bool)
    if not isinstance(core, str) or len(core) != columns or set(core) - {"0", "1"}:
        place = record.meta.get("place", record.key)
        raise BadRecord(
            f"{place}: meta.core is {str(core)[:20]!r}; a 0 or 1 for each of the {columns} columns is right"
        )
    return np.array([mark == "1" for mark in core])


def numbers(row: str) -> np.ndarray:
    """Of the residue in each column, -1 for a gap."""
    real = np.array([letter != GAP for letter in row], dtype=bool)
    return np.where(real, real.cumsum() - 1, -1)


def marked_residues(numbers_L: np.ndarray, marked_L: np.ndarray) -> np.ndarray:
    """By residue, whether it stands in a marked column."""
    return marked_L[numbers_L >= 0]


def _looked_up(where: np.ndarray, numbers_L: np.ndarray) -> np.ndarray:
    return np.where(numbers_L >= 0, where[np.maximum(numbers_L, 0)], -1) if len(where) else np.full_like(numbers_L, -1)


@dataclass(frozen=True, slots=True)
class AlignmentScore:
    """The mean over records of right / possible, where anything is possible."""

    name: str
    right: str
    possible: str
    marked: str

    @property
    def signature(self) -> str:
        """Scoring is our own, and so has a version of its own."""
        return f"{self.name}|pairs:residues|mean:records|columns:{self.marked}|case:ignored|v:1"

    @property
    def higher_is_better(self) -> bool:
        return True

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """[N, 2]: the share, and 1 where there is one."""
        rows: list[tuple[float, float]] = []
        for prediction in predictions:
            counts = compared(prediction.record, prediction.output)
            right, possible = getattr(counts, self.right), getattr(counts, self.possible)
            if not possible and self.possible.startswith("said"):  # nothing is said where something is right
                rows.append((0.0, float(counts.reference > 0)))
            else:
                rows.append((right / possible, 1.0) if possible else (0.0, 0.0))
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def score(self, rows: np.ndarray) -> float:
        count = rows[:, 1].sum()
        return float(rows[:, 0].sum() / count) if count else 0.0


@dataclass(frozen=True, slots=True)
class Validity:
    """Answers that are alignments and spell their sequences to the letter, in percent."""

    name: str = "validity"
    signature: str = (
        "validity|percent|rows of one length, no column of gaps alone, letters and case of the input, any order|v:1"
    )
    higher_is_better: bool = True

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """[N, 1]: 1 for a valid one."""
        valid = [rows_from(one.output, one.record.source, exact=True) is not None for one in predictions]
        return np.array(valid, dtype=np.float64)[:, None]

    def score(self, rows: np.ndarray) -> float:
        return 100 * float(rows.mean()) if len(rows) else 0.0


def metrics(cfg: AlignmentConfig) -> Sequence[Metric]:
    """SP: recall of pairs of residues; modeler (Sauder et al., 2000): their precision; column: whole columns."""
    return (
        AlignmentScore("sp", "found", "reference", "marked"),
        AlignmentScore("modeler", "found", "said", "marked"),
        AlignmentScore("column", "whole", "columns", "marked"),
        AlignmentScore("modeler-all", "right_all", "said_all", "all"),
        Validity(),
    )


def utility(output: str, reference: str) -> float:
    """F1 of pairs of residues, of an answer were the other right."""
    one, other = (set(residue_pairs(rows_of(text))) for text in (output, reference))
    return 2 * len(one & other) / max(len(one) + len(other), 1) if one or other else 1.0


def residue_pairs(rows: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """(row, residue, row, residue)."""
    residue_RL = [numbers(row).tolist() for row in rows]
    for one, other in combinations(range(len(rows)), 2):
        for first, second in zip(residue_RL[one], residue_RL[other], strict=True):
            if first >= 0 and second >= 0:
                yield one, first, other, second


def identity_band(record: Record) -> str:
    """By the share of identical residues among the reference's pairs."""
    share = record.meta.get("identity")
    percent = 100 * (identity(rows_of(record.target)) if share is None else share)
    for low, high in ((0, 20), (20, 30), (30, 40), (40, 60)):
        if percent < high:
            return f"{low:02d}-{high} %"
    return "60-100 %"


def part(record: Record) -> str:
    """Chain types, a benchmark's set, or what was simulated how far apart."""
    distance = record.meta.get("distance")
    name = str(record.meta.get("set", "all"))
    return f"{name} d={distance}" if distance else name
