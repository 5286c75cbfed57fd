"""A report for people: who is aligned with whom, how well, and how sure each column is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from core.record import Hypothesis, Prediction
from tasks.protein_alignment.agreement import agreement, read_as_row
from tasks.protein_alignment.alignment import GAP, cigar_of, path_of, rows_of, spelled
from tasks.protein_alignment.needleman_wunsch import EXTEND, OPEN, blosum62
from tasks.protein_alignment.writing import confidence, digit, names_of

WIDTH = 60


@dataclass(frozen=True, slots=True)
class Facts:
    """Of two rows."""

    columns: int
    paired: int
    identical: int
    """The same letter in either case, X (unknown) aside."""
    similar: int
    """Pairs with a positive score in BLOSUM62, the identical ones included."""
    gaps: int
    """Residues without a partner."""
    runs: int
    """Gaps, however long."""
    score: int
    """By BLOSUM62 with gaps of 11 + (n - 1), at the ends too: what Needleman-Wunsch makes largest."""
    cigar: str


def facts(first: str, second: str) -> Facts:
    """Columns in which both have a gap do not count."""
    matrix, moves = blosum62(), path_of(first, second)
    pairs = [
        (one, other)
        for one, other in zip(read_as_row(first), read_as_row(second), strict=True)
        if one != GAP and other != GAP
    ]
    scores = [int(matrix[one, other]) for one, other in pairs]
    runs = sum(1 for place, move in enumerate(moves) if move != "M" and (place == 0 or moves[place - 1] != move))
    gaps = len(moves) - len(pairs)
    return Facts(
        len(moves),
        len(pairs),
        sum(a == b != "X" for a, b in zip(first.upper(), second.upper(), strict=True) if a != GAP != b),
        sum(one > 0 for one in scores),
        gaps,
        runs,
        sum(scores) - runs * (OPEN - EXTEND) - gaps * EXTEND,
        cigar_of(moves),
    )


def report(prediction: Prediction, n_best: int) -> str:
    """Every answer; an input that was refused says why."""
    if error := prediction.record.meta.get("error"):
        return f"# not aligned: {error}"
    answers = [one for one in prediction.hypotheses[:n_best] if one.output]
    return "\n\n".join(one_answer(prediction, answer, rank) for rank, answer in enumerate(answers, 1))


def one_answer(prediction: Prediction, answer: Hypothesis, rank: int) -> str:
    """Facts, then the columns in blocks."""
    rows, names = rows_of(answer.output), names_of(prediction)
    sure = confidence(answer, rows)
    pairs = [(one, other, facts(rows[one], rows[other])) for one, other in combinations(range(len(rows)), 2)]
    lines = [f"# {prediction.record.key}" + (f", answer {rank}" if rank > 1 else "")]
    lines += [f"#   {name}: {len(spelled(row))} residues" for name, row in zip(names, rows, strict=True)]
    lines.append(f"#   columns: {len(rows[0])}, mean confidence {sum(sure) / len(sure):.3f}")
    if len(answer.logp) and answer.tokens:
        lines.append(
            f"#   log-probability: {sum(answer.logp):.2f} ({math.exp(sum(answer.logp) / len(answer.logp)):.3f} a column)"
        )
    for one, other, found in pairs:
        who = f"{names[one]} / {names[other]}: " if len(rows) > 2 else ""
        lines.append(f"#   {who}{told(found)}")
    return "\n".join([*lines, "", *blocks(rows, names, sure)])


def told(found: Facts) -> str:
    """In one line."""

    def share(count: int) -> str:
        return f"{count}/{found.paired} ({100 * count / max(found.paired, 1):.1f} %)"

    return (
        f"identity {share(found.identical)}, similarity {share(found.similar)} of aligned pairs, "
        f"gaps {found.gaps}/{found.columns} in {found.runs}, BLOSUM62 score {found.score}, CIGAR {found.cigar}"
    )


def blocks(rows: Sequence[str], names: Sequence[str], sure: Sequence[float]) -> list[str]:
    """Rows with the number of their last residue, what agrees below (pairs: between), and the confidence."""
    width = max(len("confidence"), *(len(name) for name in names))
    agree = agreement(rows).replace("*", "|") if len(rows) == 2 else agreement(rows)
    last = [0] * len(rows)
    lines: list[str] = []
    for begin in range(0, len(rows[0]), WIDTH):
        part = slice(begin, begin + WIDTH)
        shown: list[str] = []
        for number, (name, row) in enumerate(zip(names, rows, strict=True)):
            last[number] += len(spelled(row[part]))
            shown.append(f"{name:<{width}}  {row[part]}  {last[number]}")
        middle = f"{'':<{width}}  {agree[part]}".rstrip()
        shown.insert(1 if len(rows) == 2 else len(shown), middle)
        lines += [*shown, f"{'confidence':<{width}}  {''.join(map(digit, sure[part]))}", ""]
    return lines[:-1]
