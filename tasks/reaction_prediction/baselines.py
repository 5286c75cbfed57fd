"""Trivial systems: what a model of reactions has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.record import Record
from tasks.reaction_prediction.chemistry import fingerprint
from tasks.reaction_prediction.reaction import ARROW

# R asked, T of training, F bits of a fingerprint

TOGETHER = 256
"""Sources that are compared at a time."""


def copy(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The source as it is: in retro the product itself, in forward all that went in."""
    return [largest_side(record.source) for record in records]


def nearest(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The answer of the training source with the most alike Morgan fingerprint (Tanimoto); the first of equals."""
    known = [(print_of(record.source), record.target) for record in train]
    able = [(bits, target) for bits, target in known if bits is not None]
    asked = [(at, bits) for at, record in enumerate(records) if (bits := print_of(record.source)) is not None]
    outputs = [""] * len(records)
    if not able:
        return outputs
    known_TF = np.stack([bits for bits, _ in able]).astype(np.float32)
    size_T = known_TF.sum(1)
    for begin in range(0, len(asked), TOGETHER):
        part = asked[begin : begin + TOGETHER]
        asked_RF = np.stack([bits for _, bits in part]).astype(np.float32)
        # Numbers of common bits, exact in float32; the product of matrices is what makes it fast.
        both_RT = (asked_RF @ known_TF.T).astype(np.float64)
        either_RT = asked_RF.sum(1, keepdims=True) + size_T - both_RT
        alike_RT = np.divide(both_RT, either_RT, out=np.zeros_like(both_RT), where=either_RT > 0)
        for (at, _), best in zip(part, alike_RT.argmax(1).tolist(), strict=True):
            outputs[at] = able[best][1]
    return outputs


def print_of(source: str) -> np.ndarray | None:
    """Of all molecules of a source together, bits as numbers [F]."""
    bits = fingerprint(".".join(side for side in ARROW.split(source) if side))
    if bits is None:
        return None
    from rdkit import DataStructs

    bits_F = np.zeros(len(bits), dtype=np.uint8)
    DataStructs.ConvertToNumpyArray(bits, bits_F)
    return bits_F


def largest_side(source: str) -> str:
    """Where a source has several sides, the longest text."""
    return max(ARROW.split(source), key=len)
