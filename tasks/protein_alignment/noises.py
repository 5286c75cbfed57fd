"""What may happen to sequences: residues replaced by their like, unknown residues, the other order. The alignment stays right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.data.noise import Noise
from core.record import Record
from tasks.protein_alignment.alignment import GAP, rows_of, text_of
from tasks.protein_alignment.config import AlignmentConfig

LIKE = ("AGST", "ILMV", "FWY", "DENQ", "HKR")
"""Residues of one kind: small, aliphatic, aromatic, acids and their amides, bases."""
KIND = {residue: kind for kind in LIKE for residue in kind}


def residues(
    change: Callable[[str, np.random.Generator], str], meaning: str, strength: float
) -> Noise[AlignmentConfig]:
    """Each residue with that probability; the rows of the reference are spelled anew with what it became."""

    def changed(cfg: AlignmentConfig, record: Record, share: float, random: np.random.Generator) -> Record:
        source = tuple(
            "".join(change(one, random) if random.random() < share else one for one in sequence)
            for sequence in record.source
        )
        return respelled(record, source)

    return Noise(meaning=meaning, change=changed, strength=strength)


def alike(residue: str, random: np.random.Generator) -> str:
    """Another of its kind; those without a kind stay."""
    others = KIND.get(residue, residue).replace(residue, "") or residue
    return others[int(random.integers(len(others)))]


def reordered(cfg: AlignmentConfig, record: Record, share: float, random: np.random.Generator) -> Record:
    """The sequences from last to first, and the rows of the reference with them."""
    target = None if record.target is None else text_of(rows_of(record.target)[::-1])
    meta = dict(record.meta)
    if references := meta.get("references"):
        meta["references"] = tuple(text_of(rows_of(one)[::-1]) for one in references)
    return replace(record, source=tuple(reversed(record.source)), target=target, meta=meta)


def respelled(record: Record, source: Sequence[str]) -> Record:
    """The same alignments of sequences that are as long."""

    def spelled(rows: Any) -> str:
        found: list[str] = []
        for row, sequence in zip(rows_of(rows), source, strict=True):
            letters = iter(sequence)
            found.append("".join(one if one == GAP else next(letters) for one in row))
        return text_of(found)

    meta = dict(record.meta)
    if references := meta.get("references"):
        meta["references"] = tuple(map(spelled, references))
    target = None if record.target is None else spelled(record.target)
    return replace(record, source=tuple(source), target=target, meta=meta)


NOISES = {
    "substitutions": residues(alike, "residues replaced by others of their kind", 0.1),
    "unknown-residues": residues(lambda residue, random: "X", "residues that nobody could read: X", 0.1),
    "reordered": Noise(meaning="the sequences in the other order", change=reordered),
}
