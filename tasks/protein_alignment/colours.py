"""What colour says about an alignment: a residue is coloured by its class where at least half of its column's rows are of
that class, and strongly where all are; so colour shows what is conserved.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tasks.protein_alignment.alignment import GAP

CLASSES = {
    "hydrophobic": ("AILMV", "#80a0f0"),
    "aromatic": ("FWYH", "#15a4a4"),
    "positive": ("KR", "#f01505"),
    "negative": ("DE", "#c048c0"),
    "polar": ("STNQ", "#15c015"),
    "cysteine": ("C", "#f08080"),
    "glycine": ("G", "#f09048"),
    "proline": ("P", "#c0c000"),
}
"""The classes and hues of Clustal X (Larkin et al., 2007), histidine among the aromatic ones."""
DARK = (30, 33, 39)
"""The ground of a page that is dark."""
EVEN = 0.157
"""The luminance on which black letters and light ones read equally well."""
CLASS_OF = {letter: name for name, (letters, _) in CLASSES.items() for letter in letters}


def class_of(residue: str) -> str:
    """Its class; '' for a gap or a residue of none."""
    return CLASS_OF.get(residue.upper(), "")


def strengths(rows: Sequence[str]) -> list[dict[str, float]]:
    """By column, how strongly each class is coloured: from 0.35 where half of the rows agree to 1 where all do."""
    found: list[dict[str, float]] = []
    for column in zip(*rows, strict=True):
        counts = Counter(class_of(one) for one in column if class_of(one))
        shares = {name: count / len(column) for name, count in counts.items()}
        agreed = {name: share for name, share in shares.items() if share >= 0.5 and counts[name] > 1}
        found.append({name: 0.35 + 0.65 * (2 * share - 1) for name, share in agreed.items()})
    return found


def reads_black(name: str, much: float) -> bool:
    """Whether letters on this colour are better black even on a dark page; on a light one they are dark anyway."""
    hue = bytes.fromhex(CLASSES[name][1][1:])
    mixed = (much * own + (1 - much) * ground for own, ground in zip(hue, DARK, strict=True))
    return luminance(tuple(mixed)) > EVEN


def luminance(colour: Sequence[float]) -> float:
    """From 0, black, to 1, white, as WCAG 2 has it; red, green and blue go to 255."""
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in (one / 255 for one in colour)]
    return sum(share * one for share, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def conservation(rows: Sequence[str]) -> list[float]:
    """By column, between 0 and 1: how much its residues agree by class, times the share of rows that have one."""
    most = math.log(min(len(CLASSES) + 1, len(rows)))
    values: list[float] = []
    for column in zip(*rows, strict=True):
        counts = Counter(class_of(one) or one.upper() for one in column if one != GAP)
        residues = counts.total()
        entropy = -sum(count / residues * math.log(count / residues) for count in counts.values())
        values.append(max(0.0, 1 - entropy / most) * residues / len(column))
    return values
