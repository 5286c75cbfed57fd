"""Answers in the field's formats, through Bio.Align."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

from core.record import Hypothesis, Prediction
from tasks.protein_alignment.agreement import agreement
from tasks.protein_alignment.alignment import GAP, rows_of
from tasks.protein_alignment.needleman_wunsch import biopython

CLUSTAL_NAME, PHYLIP_NAME = 30, 10
"""Letters of a name that these formats have room for."""


def names_of(prediction: Prediction, longest: int = 0) -> list[str]:
    """By row, without white space and each its own, within so many letters (0: any)."""
    given = prediction.record.meta.get("names") or [f"sequence{n}" for n, _ in enumerate(prediction.record.source, 1)]
    names: list[str] = []
    for name in given:
        wanted = "_".join(str(name).split()) or "sequence"
        made, number = wanted[:longest] if longest else wanted, 1
        while made in names:
            number += 1
            made = (wanted[: longest - len(f"_{number}")] if longest else wanted) + f"_{number}"
        names.append(made)
    return names


def writer(name: str, longest_name: int = 0) -> Callable[[Prediction, int], str]:
    """Of a format that Bio.Align writes by that name; an input without an answer has an empty text."""

    def write(prediction: Prediction, n_best: int) -> str:
        texts = [formatted(name, prediction, one, longest_name) for one in prediction.hypotheses[:n_best] if one.output]
        return "\n".join(texts)

    return write


def formatted(name: str, prediction: Prediction, answer: Hypothesis, longest_name: int = 0) -> str:
    """One alignment."""
    rows = rows_of(answer.output)
    if name == "a2m":  # its readers know letters, gaps and nothing else
        rows = tuple(row.replace("*", "X") for row in rows)
    made = as_biopython(rows, names_of(prediction, longest_name))
    if name == "stockholm":
        made.column_annotations = {"consensus posterior probability": "".join(map(digit, confidence(answer, rows)))}
    elif name == "a2m":  # columns of the first sequence are matches, all others insertions in lower case
        made.column_annotations = {"state": "".join("I" if one == GAP else "D" for one in rows[0])}
    elif name == "clustal":
        made.column_annotations = {"clustal_consensus": agreement(rows)}
    every = biopython().Alignments([made])
    every.metadata = {"Program": "CLUSTAL", "Version": "(Transduce)"}  # others tell the format by its first word
    out = io.StringIO()
    biopython().write(every, out, name)
    return out.getvalue().rstrip("\n")


def as_biopython(rows: Sequence[str], names: Sequence[str]) -> Any:
    """As Bio.Align has it."""
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    kind = biopython().Alignment
    sequences, coordinates = kind.parse_printed_alignment([row.encode() for row in rows])
    records = [
        SeqRecord(Seq(one), id=name, name=name, description="") for one, name in zip(sequences, names, strict=True)
    ]
    return kind(records, coordinates)


def confidence(answer: Hypothesis, rows: Sequence[str]) -> list[float]:
    """By column, the probability that the model gave it (of a merged alignment: its support); 1 where nothing is known."""
    columns = len(rows[0])
    known = [math.exp(min(one, 0.0)) for one in answer.logp[:columns]]
    return known + [1.0] * (columns - len(known))


def digit(share: float) -> str:
    """As HMMER writes posterior probabilities: 0 for below 5 %, then tenths, * from 95 %."""
    return "*" if share >= 0.95 else str(int(10 * share + 0.5))
