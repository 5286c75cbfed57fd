"""Alignments as text: gapped rows joined by line feeds. What is valid, what it spells, and the same as a path of columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

GAP = "-"
GAPS = str.maketrans("._~", "---")
"""Other signs for a gap, as formats write them."""
RESIDUES = re.compile(r"[A-Za-z*]*")
"""Letters of either case and the stop: B, Z, J, X, U and O are letters like others."""
CIGAR = re.compile(r"(?:[1-9][0-9]*[MDI])+")
ELEMENT = re.compile(r"([0-9]+)([MDI])")


def rows_of(text: str) -> tuple[str, ...]:
    """The rows of an alignment."""
    return tuple(text.split("\n"))


def text_of(rows: Sequence[str]) -> str:
    """The inverse."""
    return "\n".join(rows)


def spelled(row: str) -> str:
    """A row without its gaps."""
    return row.replace(GAP, "")


def fault(rows: Sequence[str], source: Sequence[str] | None = None) -> str:
    """Why rows are no alignment (of these sequences, to the letter); empty for a valid one."""
    if not rows or not rows[0]:
        return "no columns"
    if any(len(row) != len(rows[0]) for row in rows):
        return f"rows of {', '.join(str(len(row)) for row in rows)} columns"
    for number, row in enumerate(rows, start=1):
        if wrong := stranger(spelled(row)):
            return f"row {number}: {wrong}"
    if source is None:
        return ""
    if len(rows) != len(source):
        return f"{len(rows)} rows for {len(source)} sequences"
    for number, (row, sequence) in enumerate(zip(rows, source, strict=True), start=1):
        if spelled(row) != sequence:
            return f"row {number} does not spell its sequence"
    return "a column of gaps alone" if any(set(column) == {GAP} for column in zip(*rows, strict=True)) else ""


def stranger(sequence: str) -> str:
    """What in a sequence is no residue, and where; empty where all are."""
    known = RESIDUES.match(sequence)
    end = known.end() if known else 0
    return "" if end == len(sequence) else f"{sequence[end]!r} at position {end + 1} is no residue (A-Z, a-z, *)"


def without_empty_columns(rows: Sequence[str]) -> tuple[str, ...]:
    """As some rows of a larger alignment need it."""
    kept = [column for column in zip(*rows, strict=True) if set(column) != {GAP}]
    return tuple("".join(row) for row in zip(*kept, strict=True)) if kept else tuple("" for _ in rows)


def path_of(first: str, second: str) -> str:
    """Two rows as columns: M a pair, D a residue of the first row alone, I one of the second.

    The order is canonical: of neighbouring columns with a gap, those of the first row's residues come first. Which
    residues are paired is not changed by that.
    """
    moves = "".join(
        "M" if one != GAP != other else "D" if one != GAP else "I"
        for one, other in zip(first, second, strict=True)
        if one != GAP or other != GAP
    )
    return canonical_path(moves)


def canonical_path(moves: str) -> str:
    """D before I in every run of columns with a gap."""
    return re.sub("[DI]+", lambda run: "".join(sorted(run.group())), moves)


def cigar_of(moves: str) -> str:
    """As SAM writes it, the first sequence being the reference: D consumes the first, I the second."""
    return "".join(f"{len(list(run))}{move}" for move, run in groupby(moves))


def path_of_cigar(cigar: str) -> str:
    """The inverse."""
    return "".join(int(count) * move for count, move in ELEMENT.findall(cigar))


def consumed(moves: str) -> tuple[int, int]:
    """How many residues of each sequence a path takes."""
    pairs = moves.count("M")
    return pairs + moves.count("D"), pairs + moves.count("I")


def spell(moves: str, first: str, second: str) -> tuple[str, str]:
    """The rows that a path writes of two sequences, whose letters are kept as they are."""
    if consumed(moves) != (len(first), len(second)):
        raise ValueError(f"a path over {consumed(moves)} residues for sequences of {len(first)} and {len(second)}")
    ones, others = iter(first), iter(second)
    columns = [
        (next(ones), next(others)) if move == "M" else (next(ones), GAP) if move == "D" else (GAP, next(others))
        for move in moves
    ]
    return "".join(one for one, _ in columns), "".join(other for _, other in columns)


def rows_from(output: str, source: Sequence[str], *, exact: bool = False) -> tuple[str, ...] | None:
    """An answer as rows in the order of the source: rows, or a CIGAR spelled with it; None where it is no alignment of it.

    Other tools write rows in another order, and letters in another case; with `exact`, rows must spell to the letter.
    """
    if not exact and len(source) == 2 and CIGAR.fullmatch(output):
        moves = path_of_cigar(output)
        return spell(moves, source[0], source[1]) if consumed(moves) == (len(source[0]), len(source[1])) else None
    rows = rows_of(output if exact else output.translate(GAPS))
    waiting: dict[str, list[str]] = {}
    for row in rows:
        waiting.setdefault(spelled(row) if exact else spelled(row).upper(), []).append(row)
    ordered: list[str] = []
    for one in source:
        if not (found := waiting.get(one if exact else one.upper())):
            return None
        ordered.append(found.pop(0))
    if any(waiting.values()) or fault(ordered, [spelled(row) for row in ordered]):
        return None
    return tuple(ordered)


def canonical(output: str) -> str | None:
    """Alignments that pair the same residues are the same; None for what is none."""
    if CIGAR.fullmatch(output):
        return cigar_of(canonical_path(path_of_cigar(output)))
    rows = rows_of(output.translate(GAPS))
    if fault(rows):
        return None
    if len(rows) != 2:
        return text_of(without_empty_columns(rows))
    return text_of(spell(path_of(*rows), spelled(rows[0]), spelled(rows[1])))


def identity(rows: Sequence[str]) -> float:
    """Identical pairs among the aligned ones, of all pairs of rows; 0 where nothing is aligned."""
    same = paired = 0
    for number, one in enumerate(rows):
        for other in rows[number + 1 :]:
            for first, second in zip(one, other, strict=True):
                if first != GAP and second != GAP:
                    paired += 1
                    same += first.upper() == second.upper()
    return same / paired if paired else 0.0
