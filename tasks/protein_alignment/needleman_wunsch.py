"""Needleman and Wunsch (1970) with affine gaps (Gotoh, 1982), as Biopython has it: the baseline beside every score."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError
from core.record import Record
from tasks.protein_alignment.alignment import GAP, spell, text_of
from tasks.protein_alignment.progressive import Path, merged

if TYPE_CHECKING:
    from Bio.Align import PairwiseAligner

OPEN, EXTEND = 11, 1
"""A gap of n costs 11 + (n - 1); gaps at the ends cost as much."""
KNOWN = "ARNDCQEGHILKMFPSTWYVBZX*"
READ_AS = {"U": "C", "O": "K", "J": "X"}


def biopython() -> Any:
    """`Bio.Align`, or a plain message."""
    try:
        from Bio import Align
        from Bio.Align import substitution_matrices as substitution_matrices
    except ImportError:
        raise ConfigError("alignments need biopython: pip install 'transduce[protein_alignment]'") from None
    return Align


def blosum62() -> Any:
    """The matrix of Henikoff & Henikoff (1992), over 24 letters."""
    return biopython().substitution_matrices.load("BLOSUM62")


@lru_cache(maxsize=1)
def aligner() -> PairwiseAligner:
    """Global, BLOSUM62."""
    made = biopython().PairwiseAligner(mode="global", substitution_matrix=blosum62())
    made.open_gap_score, made.extend_gap_score = -OPEN, -EXTEND
    return made


def read_as(sequence: str) -> str:
    """In the letters of the matrix."""
    return "".join(one if one in KNOWN else READ_AS.get(one, "X") for one in sequence.upper())


def needleman_wunsch(first: str, second: str) -> str:
    """The path of the best alignment; of equally good ones, Biopython's first."""
    if not first or not second:
        return "D" * len(first) + "I" * len(second)
    found = aligner().align(read_as(first), read_as(second))[0]
    moves: list[str] = []
    i = j = 0
    for (begin, end), (other_begin, other_end) in zip(*found.aligned, strict=True):
        moves.append("D" * int(begin - i) + "I" * int(other_begin - j) + "M" * int(end - begin))
        i, j = int(end), int(other_end)
    moves.append("D" * (len(first) - i) + "I" * (len(second) - j))
    return "".join(moves)


def certain(pairs: Sequence[tuple[str, str]]) -> list[Path]:
    """As the progressive merging asks; Needleman-Wunsch knows no doubt."""
    found = [needleman_wunsch(*pair) for pair in pairs]
    return [Path(moves, (1.0,) * len(moves)) for moves in found]


def baseline(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """Pairs; more sequences are merged by the same progressive method as the model's pairs."""
    return [
        text_of(spell(needleman_wunsch(*record.source), *record.source))
        if len(record.source) == 2
        else text_of(merged(record.source, certain).rows)
        for record in records
    ]


def ungapped(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """All begin together, and the shorter ones end in gaps."""
    return [text_of([one.ljust(max(map(len, record.source)), GAP) for one in record.source]) for record in records]
