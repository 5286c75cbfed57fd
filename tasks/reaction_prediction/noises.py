"""The same molecules written otherwise: what a model of reactions should not notice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.data.noise import Noise
from core.record import Record
from tasks.reaction_prediction.augment import varied
from tasks.reaction_prediction.chemistry import rdkit
from tasks.reaction_prediction.reaction import ARROW
from tasks.reaction_prediction.settings import ReactionConfig


def anyhow(cfg: ReactionConfig, record: Record, strength: float, random: np.random.Generator) -> Record:
    """By a random permutation of the atoms."""
    return replace(record, source=varied(record.source, random, rooted=False))


def rooted(cfg: ReactionConfig, record: Record, strength: float, random: np.random.Generator) -> Record:
    """As canonical as can be from a random first atom."""
    return replace(record, source=varied(record.source, random, rooted=True))


def kekule(cfg: ReactionConfig, record: Record, strength: float, random: np.random.Generator) -> Record:
    """Rings with double bonds at every second place, in capitals, where canonical SMILES has small letters."""
    return replace(record, source=">".join(map(without_aromatics, ARROW.split(record.source))))


def without_aromatics(side: str) -> str:
    """Molecule by molecule; what RDKit cannot write so stays."""
    found: list[str] = []
    for one in side.split("."):
        molecule = rdkit().MolFromSmiles(one) if one else None
        if molecule is not None:
            rdkit().Kekulize(molecule, clearAromaticFlags=True)
            one = rdkit().MolToSmiles(molecule, kekuleSmiles=True)
        found.append(one)
    return ".".join(found)


NOISES = {
    "smiles-random": Noise(meaning="another SMILES of the same molecules, atoms in any order", change=anyhow),
    "smiles-rooted": Noise(meaning="the same from another first atom, molecules in any order", change=rooted),
    "smiles-kekule": Noise(meaning="aromatic rings as single and double bonds", change=kekule),
}
