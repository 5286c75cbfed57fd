"""Other spellings of the same pair, drawn anew each time it is trained on, and of a source that is to be voted on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.record import Record
from tasks.reaction_prediction.chemistry import rdkit
from tasks.reaction_prediction.reaction import ARROW, Aligned, Fragment, aligned_by_maps, order_of, spelled
from tasks.reaction_prediction.settings import ReactionConfig

NOWHERE = 1 << 30
"""The rank of an atom that is not in the source: written after those that are."""


def augment(cfg: ReactionConfig) -> Callable[[Record, np.random.Generator], Record] | None:
    """By `task.augmentation`."""
    match cfg.augmentation:
        case "none":
            return None
        case "random":
            return lambda record, random: replace(record, source=varied(record.source, random, rooted=False))
        case "root-aligned":

            def vary(record: Record, random: np.random.Generator) -> Record:
                known = alignment(cfg, record)
                if known is None:
                    return replace(record, source=varied(record.source, random, rooted=True))
                source, target = aligned(known, random)
                return replace(record, source=source, target=target)

            return vary


def varied(source: str, random: np.random.Generator, *, rooted: bool) -> str:
    """The same molecules otherwise: from a random root in canonical order, or in any order; their order shuffled too."""
    sides = [[Fragment(one, ()) for one in side.split(".") if one] for side in ARROW.split(source)]
    return ">".join(".".join(text for text, _ in shuffled(side, random, rooted=rooted)) for side in sides)


def shuffled(side: Sequence[Fragment], random: np.random.Generator, *, rooted: bool) -> list[tuple[str, list[int]]]:
    """Each molecule anew with the maps of its atoms as they are written, and the molecules in any order."""
    written = [(from_root if rooted else in_any_order)(one, random) for one in side]
    return [written[at] for at in random.permutation(len(written))]


def from_root(one: Fragment, random: np.random.Generator) -> tuple[str, list[int]]:
    """Canonical but for where it begins."""
    molecule = rdkit().MolFromSmiles(one.smiles)
    text: str = rdkit().MolToSmiles(molecule, rootedAtAtom=int(random.integers(molecule.GetNumAtoms())))
    return text, [one.maps[at] for at in order_of(molecule)] if one.maps else []


def in_any_order(one: Fragment, random: np.random.Generator) -> tuple[str, list[int]]:
    """By a random permutation of its atoms."""
    molecule = rdkit().MolFromSmiles(one.smiles)
    order: list[int] = random.permutation(molecule.GetNumAtoms()).tolist()
    text: str = rdkit().MolToSmiles(rdkit().RenumberAtoms(molecule, order), canonical=False)
    return text, []


def alignment(cfg: ReactionConfig, record: Record) -> Aligned | None:
    """What the source's reader left, or what a user's `meta.mapped` says where it spells this very pair."""
    if "aligned" in record.meta:
        return record.meta["aligned"]
    mapped = record.meta.get("mapped")
    if not isinstance(mapped, str) or not mapped or cfg.direction == "reagents" or cfg.reagents == "separated":
        return None
    found = aligned_by_maps(cfg.direction, mapped)
    if found is None or (spelled(found[0]), spelled(found[1])) != (record.source, record.target):
        return None
    return Aligned((found[0],), found[1])


def aligned(known: Aligned, random: np.random.Generator) -> tuple[str, str]:
    """R-SMILES (Zhong et al., 2022): random roots for the source; the target from the atoms that these became.

    Deviation: the target follows the source not by its root alone but atom by atom, as far as both have them.
    """
    sides = [shuffled(side, random, rooted=True) for side in known.sources]
    order = [number for side in sides for _, maps in side for number in maps]
    rank = {number: at for at, number in reversed(list(enumerate(order))) if number}
    source = ">".join(".".join(text for text, _ in side) for side in sides)
    written = sorted(following(one, rank) for one in known.target)
    return source, ".".join(text for _, text in written)


def following(one: Fragment, rank: dict[int, int]) -> tuple[int, str]:
    """A molecule written in the order of the source's atoms; with the place of the first of them, to sort by."""
    ranks = [rank.get(number, NOWHERE) for number in one.maps]
    first = min(ranks, default=NOWHERE)
    if first == NOWHERE:
        return NOWHERE, one.smiles
    molecule: Any = rdkit().MolFromSmiles(one.smiles)
    order = sorted(range(len(ranks)), key=lambda at: ranks[at])
    return first, rdkit().MolToSmiles(rdkit().RenumberAtoms(molecule, order), canonical=False, rootedAtAtom=0)
