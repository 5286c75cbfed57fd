"""Small reactions made by RDKit from building blocks: six kinds, no network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

from core.data.config import DataConfig
from core.data.split import split_of
from core.record import Record, Split
from tasks.reaction_prediction.chemistry import rdkit
from tasks.reaction_prediction.prepared import Raw, one_reaction
from tasks.reaction_prediction.reaction import Reaction
from tasks.reaction_prediction.settings import ReactionConfig
from tasks.reaction_prediction.sources import records

CHAINS = (
    *(
        "C",
        "CC",
        "CCC",
        "C(C)C",
        "CCCC",
        "CC(C)C",
        "C1CC1",
        "C1CCCCC1",
        "CCOC",
        "CC(F)(F)F",
        "CCC#N",
        "CCCCC",
        "C(C)CC",
    ),
    *("Cc1ccccc1", "Cc1ccc(F)cc1", "Cc1ccc(Cl)cc1", "CCc1ccccc1", "Cc1ccco1", "Cc1cccs1", "Cc1ccncc1", "CCN(C)C"),
)
"""R, bound by its first atom."""
RINGS = (
    *("c1ccccc1", "c1ccc(C)cc1", "c1ccc(F)cc1", "c1ccc(Cl)cc1", "c1ccc(OC)cc1", "c1ccc(C#N)cc1", "c1cccc(C)c1"),
    *("c1ccncc1", "c1cccnc1", "c1ccc2ccccc2c1", "c1cc(C)cc(C)c1", "c1ccc(C(C)=O)cc1", "c1cccs1", "c1cccc(F)c1"),
)
"""Ar, likewise."""
EITHER = (*CHAINS, *RINGS)


class Kind(NamedTuple):
    """One kind of reaction, of two building blocks."""

    name: str
    """By the ten classes of Schneider and others."""
    one: tuple[str, tuple[str, ...]]
    """What stands before the group, and the groups."""
    other: tuple[str, tuple[str, ...]]
    smarts: str
    reagents: str


KINDS = (
    Kind("2", ("OC(=O)", EITHER), ("N", CHAINS), "[C:1](=[O:2])[OX2H].[NX3H2:3]>>[C:1](=[O:2])[N:3]", "CN(C)C=O.ClCCl"),
    Kind("2", ("ClC(=O)", EITHER), ("N", RINGS), "[C:1](=[O:2])Cl.[NX3H2:3]>>[C:1](=[O:2])[N:3]", "CCN(CC)CC.ClCCl"),
    Kind("2", ("OC(=O)", EITHER), ("O", CHAINS), "[C:1](=[O:2])[OX2H].[OX2H:3]>>[C:1](=[O:2])[O:3]", "O=S(=O)(O)O"),
    Kind("1", ("Br", CHAINS), ("O", RINGS), "[CX4:1]Br.[OX2H:2]>>[C:1][O:2]", "CN(C)C=O.O=C([O-])[O-].[K+].[K+]"),
    Kind("3", ("OB(O)", RINGS), ("I", RINGS), "[c:1]B(O)O.I[c:2]>>[c:1][c:2]", "O.O=C([O-])[O-].[Na+].[Na+]"),
    Kind("5", ("N", EITHER), ("", ("CC(C)(C)OC(=O)OC(=O)OC(C)(C)C",)),
         "[NX3H2:1].[C:2](=[O:3])([O:4][C:5])OC=O>>[N:1][C:2](=[O:3])[O:4][C:5]", "ClCCl"),
)  # fmt: skip


def toy(cfg: ReactionConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Split by product, as real ones are."""
    return records(cfg, (one for one in reactions() if split_of(one.product, dev=0.1, test=0.1) == split), split)


@lru_cache(maxsize=1)
def reactions() -> tuple[Reaction, ...]:
    """All products once: the first way to each."""
    found: dict[str, Reaction] = {}
    for number, kind in enumerate(KINDS):
        reacts = parsed(kind.smarts)
        for at, (one, other) in enumerate(product(kind.one[1], kind.other[1])):
            mapped = outcome(reacts, kind.one[0] + one, kind.other[0] + other, kind.reagents)
            made = one_reaction(Raw(f"toy-{number}-{at}", mapped, {"class": kind.name})) if mapped else None
            if made is not None:
                found.setdefault(made.product, made)
    return tuple(found.values())


def parsed(smarts: str) -> Any:
    """A reaction that RDKit can run."""
    rdkit()
    from rdkit.Chem import rdChemReactions

    return rdChemReactions.ReactionFromSmarts(smarts)


def outcome(reacts: Any, one: str, other: str, reagents: str) -> str:
    """The mapped reaction SMILES; empty where the blocks do not react, or to more than one product."""
    molecules = [rdkit().MolFromSmiles(text) for text in (one, other)]
    ways = reacts.RunReactants(tuple(molecules))
    write = rdkit().MolToSmiles
    if len({write(way[0]) for way in ways}) != 1:
        return ""
    made = ways[0][0]
    first = molecules[0].GetNumAtoms()
    for offset, molecule in zip((0, first), molecules, strict=True):
        for atom in molecule.GetAtoms():
            atom.SetAtomMapNum(1 + offset + atom.GetIdx())
    for atom in made.GetAtoms():
        atom.SetAtomMapNum(1 + (first if atom.GetIntProp("react_idx") else 0) + atom.GetIntProp("react_atom_idx"))
    rdkit().SanitizeMol(made)
    return f"{write(molecules[0])}.{write(molecules[1])}>{reagents}>{write(made)}"
