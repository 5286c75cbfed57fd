"""Many sequences, merged along a guide tree: pair alignments are made consistent first, then profiles are joined by them.

The way of T-Coffee (Notredame, Higgins & Heringa, 2000): every pair of residues that some pair alignment has is supported
with its confidence, and once more through each third sequence, by the weaker of the two links; profiles are merged so that
support is largest, gaps being free. The tree is that of average linkage (UPGMA) over distances by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tasks.protein_alignment.alignment import GAP, canonical_path

# P columns of one profile, Q of the other

Pairs = Sequence[tuple[str, str]]


class Path(NamedTuple):
    """A pair alignment."""

    moves: str
    confidence: tuple[float, ...]
    """By column, between 0 and 1."""


class Links(NamedTuple):
    """Residues of two sequences that belong together."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray


class Profile(NamedTuple):
    """Some rows aligned with each other: by row, the residue number in each column, -1 for a gap."""

    rows: dict[int, np.ndarray]

    @property
    def columns(self) -> int:
        """How long."""
        return len(next(iter(self.rows.values())))


class Merged(NamedTuple):
    """The alignment of all."""

    rows: tuple[str, ...]
    confidence: tuple[float, ...]
    """By column: the mean support of its pairs of residues in their own pair alignments; 1 for a lone residue."""


def merged(sequences: Sequence[str], align: Callable[[Pairs], Sequence[Path]]) -> Merged:
    """`align` is asked once, for all pairs."""
    pairs = list(combinations(range(len(sequences)), 2))
    paths = dict(zip(pairs, align([(sequences[one], sequences[other]) for one, other in pairs]), strict=True))
    links = {pair: linked(path) for pair, path in paths.items()}
    distance = {pair: 1 - shared(links[pair], sequences[pair[0]], sequences[pair[1]]) for pair in pairs}
    profiles = {row: Profile({row: np.arange(len(sequence))}) for row, sequence in enumerate(sequences)}
    support = extended(links, len(sequences))
    for one, other in tree(len(sequences), distance):
        profiles[one] = joined(profiles[one], profiles.pop(other), support)
    (whole,) = profiles.values()
    ordered = [whole.rows[row] for row in range(len(sequences))]
    rows = tuple(
        "".join(sequence[number] if number >= 0 else GAP for number in numbers)
        for sequence, numbers in zip(sequences, ordered, strict=True)
    )
    return Merged(rows, agreement(ordered, links))


def linked(path: Path) -> Links:
    """The pairs of a path, with their confidence."""
    moves = np.array(list(path.moves))
    pair, one, other = moves == "M", moves != "I", moves != "D"
    return Links(one.cumsum()[pair] - 1, other.cumsum()[pair] - 1, np.array(path.confidence, dtype=np.float64)[pair])


def shared(links: Links, first: str, second: str) -> float:
    """Identical pairs, of the residues of the shorter sequence."""
    same = sum(first[i].upper() == second[j].upper() for i, j in zip(links.first, links.second, strict=True))
    return same / max(min(len(first), len(second)), 1)


def tree(count: int, distance: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
    """Which to join, in order; the joined go by the name of the first. Average linkage; of equal ones, the first pair."""
    members = {row: [row] for row in range(count)}
    order: list[tuple[int, int]] = []

    def apart(one: int, other: int) -> float:
        found = [distance[min(a, b), max(a, b)] for a in members[one] for b in members[other]]
        return sum(found) / len(found)

    while len(members) > 1:
        one, other = min(combinations(members, 2), key=lambda pair: apart(*pair))
        order.append((one, other))
        members[one] += members.pop(other)
    return order


def extended(links: dict[tuple[int, int], Links], count: int) -> dict[tuple[int, int], Links]:
    """Direct links, and those by way of each third sequence."""
    turned = {(other, one): Links(link.second, link.first, link.weight) for (one, other), link in links.items()}
    every = links | turned
    found: dict[tuple[int, int], Links] = {}
    for one, other in links:
        others = [third for third in range(count) if third not in (one, other)]
        parts = [links[one, other], *(through(every[one, third], every[third, other]) for third in others)]
        found[one, other] = Links(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return found


def through(there: Links, on: Links) -> Links:
    """Links that meet in a residue of the third sequence; both lists have each of its residues once, in order."""
    _, at, at_too = np.intersect1d(there.second, on.first, assume_unique=True, return_indices=True)
    return Links(there.first[at], on.second[at_too], np.minimum(there.weight[at], on.weight[at_too]))


def joined(one: Profile, other: Profile, support: dict[tuple[int, int], Links]) -> Profile:
    """The two side by side, with gaps where that supports most."""
    total_PQ = np.zeros((one.columns, other.columns))
    for row, numbers in one.rows.items():
        for row_too, numbers_too in other.rows.items():
            link = support[min(row, row_too), max(row, row_too)]
            first, second = (link.first, link.second) if row < row_too else (link.second, link.first)
            column, column_too = np.flatnonzero(numbers >= 0), np.flatnonzero(numbers_too >= 0)
            np.add.at(total_PQ, (column[first], column_too[second]), link.weight)
    moves = np.array(list(canonical_path(best_path(total_PQ))))
    made: dict[int, np.ndarray] = {}
    for profile, absent in ((one, "I"), (other, "D")):
        here = moves != absent
        for row, numbers in profile.rows.items():
            made[row] = np.full(len(moves), -1)
            made[row][here] = numbers
    return Profile(made)


def best_path(total_PQ: np.ndarray) -> str:
    """Columns paired so that their sum is largest; what is worth nothing is not paired."""
    P, Q = total_PQ.shape
    best = np.zeros((P + 1, Q + 1))
    for row in range(P):
        pair = np.where(total_PQ[row] > 0, best[row, :-1] + total_PQ[row], -1.0)
        best[row + 1, 1:] = np.maximum(best[row, 1:], pair)
        np.maximum.accumulate(best[row + 1], out=best[row + 1])
    moves: list[str] = []
    i, j = P, Q
    while i or j:
        if i and j and total_PQ[i - 1, j - 1] > 0 and best[i, j] == best[i - 1, j - 1] + total_PQ[i - 1, j - 1]:
            moves.append("M")
            i, j = i - 1, j - 1
        elif j and best[i, j] == best[i, j - 1]:
            moves.append("I")
            j -= 1
        else:
            moves.append("D")
            i -= 1
    return "".join(reversed(moves))


def agreement(rows: Sequence[np.ndarray], links: dict[tuple[int, int], Links]) -> tuple[float, ...]:
    """Column by column."""
    columns = len(rows[0])
    total, pairs = np.zeros(columns), np.zeros(columns)
    for (one, other), link in links.items():
        weight: dict[int, tuple[int, float]] = {
            int(i): (int(j), float(w)) for i, j, w in zip(link.first, link.second, link.weight, strict=True)
        }
        for column, (i, j) in enumerate(zip(rows[one].tolist(), rows[other].tolist(), strict=True)):
            if i >= 0 and j >= 0:
                pairs[column] += 1
                partner, confidence = weight.get(i, (-1, 0.0))
                total[column] += confidence if partner == j else 0.0
    return tuple(np.where(pairs > 0, total / np.maximum(pairs, 1), 1.0).tolist())
