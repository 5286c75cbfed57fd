"""Two sequences are nearly the same from 90 % of identical residues on, aligned by Needleman and Wunsch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.data.alike import Alike
from tasks.protein_alignment.alignment import GAP, spell
from tasks.protein_alignment.needleman_wunsch import needleman_wunsch


def sequences(source: Any) -> Sequence[str]:
    """In capitals, without what stands behind a stop."""
    return tuple(str(one).upper().rstrip("*") for one in source)


def identity(first: str, second: str) -> float:
    """Identical columns, as a share of the shorter sequence."""
    rows = spell(needleman_wunsch(first, second), first, second)
    same = sum(one == other != GAP for one, other in zip(*rows, strict=True))
    return same / max(min(len(first), len(second)), 1)


ALIKE = Alike(sequences, letters=3, together=2, least=0.9, measure=identity, said="of their residues identical")
