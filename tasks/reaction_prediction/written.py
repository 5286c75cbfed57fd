"""Answers as text and as tables, with what a chemist asks about each."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass

from core.record import Prediction
from tasks.reaction_prediction.chemistry import canonical, missing_atoms
from tasks.reaction_prediction.reaction import ARROW

COLUMNS = ("id", "source", "rank", "smiles", "probability", "score", "valid", "warning")


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of the ranking."""

    rank: int
    smiles: str
    probability: float
    """The product of its tokens' probabilities, as the model has them; nan where nobody said."""
    score: float
    """What it was ranked by: votes, or log-probability by length."""
    valid: bool
    warning: str


def ranked(prediction: Prediction, n_best: int) -> list[Answer]:
    """The first so many different answers; one that is no molecule is kept, and marked."""
    found: dict[str, Answer] = {}
    for one in prediction.hypotheses:
        form = canonical(one.output)
        text = form or one.output
        if not text or text in found or len(found) == n_best:
            continue
        warning = unbalanced(prediction, form) if form else "no molecule"
        probability = math.exp(min(one.total, 0)) if one.logp else math.nan
        found[text] = Answer(len(found) + 1, text, probability, one.score, form is not None, warning)
    return list(found.values())


def direction_of(prediction: Prediction) -> str:
    """As `solve` noted it; outputs of others do not say."""
    return str(prediction.record.meta.get("direction", ""))


def unbalanced(prediction: Prediction, answer: str) -> str:
    """Heavy atoms of the product that none of the rest can have given; empty where all can, or the direction is not known."""
    sides = ARROW.split(str(prediction.record.source))
    match direction_of(prediction):
        case "retro":
            lacking = missing_atoms(answer, sides[0])
            return f"product has {lacking} more than the reactants" if lacking else ""
        case "forward":
            lacking = missing_atoms(".".join(filter(None, sides)), answer)
            return f"product has {lacking} more than what went in" if lacking else ""
        case "reagents":
            lacking = missing_atoms(".".join(filter(None, (sides[0], answer))), sides[-1])
            return f"product has {lacking} more than reactants and reagents" if lacking else ""
        case _:
            return ""


def write_smiles(prediction: Prediction, n_best: int) -> str:
    """One answer a line, and blank lines up to `n_best`: who counts lines knows whose each is."""
    found = [one.smiles for one in ranked(prediction, n_best)]
    return "\n".join(found + [""] * (n_best - len(found)))


def rows(prediction: Prediction, n_best: int) -> list[list[str]]:
    """As the columns say; an input without any answer has a row all the same."""
    source = str(prediction.record.source)
    found = [
        [
            *(prediction.record.key, source, str(one.rank), one.smiles),
            *(number(one.probability), number(one.score), "yes" if one.valid else "no", one.warning),
        ]
        for one in ranked(prediction, n_best)
    ]
    error = str(prediction.record.meta.get("error", ""))
    return found or [[prediction.record.key, source, "", "", "", "", "no" if error else "", error]]


def number(value: float) -> str:
    """Six digits; nothing for none."""
    return "" if math.isnan(value) else f"{value:.6g}"


def write_tsv(prediction: Prediction, n_best: int) -> str:
    """Tabs within fields become spaces."""
    return "\n".join("\t".join(" ".join(cell.split()) for cell in row) for row in rows(prediction, n_best))


def write_csv(prediction: Prediction, n_best: int) -> str:
    """Quoted where needed."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(rows(prediction, n_best))
    return made.getvalue().removesuffix("\n")
