"""Trivial systems: what a model of reactions has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.record import Record
from tasks.reaction_prediction.chemistry import fingerprint
from tasks.reaction_prediction.reaction import ARROW


def copy(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The source as it is: in retro the product itself, in forward all that went in."""
    return [largest_side(record.source) for record in records]


def nearest(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The answer of the training source with the most alike Morgan fingerprint (Tanimoto); the first of equals."""
    from rdkit import DataStructs

    known = [(print_of(record.source), record.target) for record in train]
    able = [(bits, target) for bits, target in known if bits is not None]
    prints = [bits for bits, _ in able]
    outputs: list[str] = []
    for record in records:
        bits = print_of(record.source)
        if bits is None or not prints:
            outputs.append("")
            continue
        alike: list[float] = list(DataStructs.BulkTanimotoSimilarity(bits, prints))
        outputs.append(able[alike.index(max(alike))][1])
    return outputs


def print_of(source: str) -> Any:
    """Of all molecules of a source together."""
    return fingerprint(".".join(side for side in ARROW.split(source) if side))


def largest_side(source: str) -> str:
    """Where a source has several sides, the longest text."""
    return max(ARROW.split(source), key=len)
