"""A reaction in canonical form, and what each direction asks of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from core.errors import BadRecord
from core.record import Record
from tasks.reaction_prediction.chemistry import TRIES, checked, clear_maps, foreign, rdkit
from tasks.reaction_prediction.codec import TOKEN
from tasks.reaction_prediction.settings import ReactionConfig

ARROW = re.compile(r"(?<!-)>")
"""Between the sides; `->` is a dative bond."""


class Fragment(NamedTuple):
    """One molecule: its canonical SMILES, and the atom map of each atom in the order of that text (0: none)."""

    smiles: str
    maps: tuple[int, ...]


Side = tuple[Fragment, ...]


class Aligned(NamedTuple):
    """What augmentation may know of a training pair: which atom of the target was which of the source."""

    sources: tuple[Side, ...]
    """Parted by `>`."""
    target: Side


@dataclass(frozen=True, slots=True)
class Reaction:
    """Canonical sides; `left` and `right` are their molecules with maps, where maps were given."""

    key: str
    reactants: str
    reagents: str
    product: str
    left: Side = ()
    right: Side = ()
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])


def spelled(side: Iterable[Fragment]) -> str:
    """The SMILES of a side, its molecules in order of their text."""
    return ".".join(sorted(one.smiles for one in side))


def parts(text: str) -> list[str]:
    """Reactants, reagents and product of a reaction SMILES, or BadRecord."""
    found = ARROW.split(text)
    if len(found) != 3:
        raise BadRecord(f"{len(found) - 1} of the arrows `>`; reactants>reagents>product has two")
    return found


def fragments(text: str) -> Side:
    """The molecules of a side that has atom maps, each canonical with the maps of its atoms; BadRecord with the reason."""
    molecule = None if foreign(text) else rdkit().MolFromSmiles(text)
    if molecule is None or not molecule.GetNumAtoms():
        checked(text)
    return tuple(sorted(mapped_fragment(one) for one in rdkit().GetMolFrags(molecule, asMols=True)))


def mapped_fragment(molecule: Any) -> Fragment:
    """As `chemistry.canonical` writes it, with the maps carried along from writing to writing."""
    maps = clear_maps(molecule)
    text = ""
    for _ in range(TRIES):
        written = rdkit().MolToSmiles(molecule)
        maps = [maps[at] for at in order_of(molecule)]
        if written == text:
            break
        text, molecule = written, rdkit().MolFromSmiles(written)
    return Fragment(text, tuple(maps))


def order_of(molecule: Any) -> list[int]:
    """Which atom stands where in the SMILES that was written last."""
    return [int(at) for at in molecule.GetProp("_smilesAtomOutputOrder").strip("[],").split(",")]


def as_record(cfg: ReactionConfig, reaction: Reaction, *, aligned: bool) -> Record | None:
    """What `cfg.direction` asks; None where the reaction has no answer to that. Maps go with training records alone."""
    source = asked(cfg, reaction.reactants, reaction.reagents, reaction.product)
    target = {"retro": reaction.reactants, "forward": reaction.product, "reagents": reaction.reagents}[cfg.direction]
    if not source.strip(">") or not target:
        return None
    meta = {"group": reaction.product, **reaction.meta}
    if aligned and cfg.augmentation == "root-aligned" and reaction.left:
        meta["aligned"] = oriented(cfg, reaction)
    return Record(reaction.key, source, target, meta)


def asked(cfg: ReactionConfig, reactants: str, reagents: str, product: str) -> str:
    """The source, of canonical sides."""
    match cfg.direction:
        case "retro":
            return product
        case "reagents":
            return f"{reactants}>>{product}"
        case "forward":
            match cfg.reagents:
                case "mixed":
                    return ".".join(sorted(filter(None, (*reactants.split("."), *reagents.split(".")))))
                case "separated":
                    return f"{reactants}>{reagents}"
                case "none":
                    return reactants


def oriented(cfg: ReactionConfig, reaction: Reaction) -> Aligned | None:
    """The molecules of source and target; None for reagents, in which nothing is mapped."""
    unmapped = tuple(Fragment(one, ()) for one in reaction.reagents.split(".") if one)
    match cfg.direction:
        case "retro":
            return Aligned((reaction.right,), reaction.left)
        case "forward":
            match cfg.reagents:
                case "mixed":
                    return Aligned(((*reaction.left, *unmapped),), reaction.right)
                case "separated":
                    return Aligned((reaction.left, unmapped), reaction.right)
                case "none":
                    return Aligned((reaction.left,), reaction.right)
        case "reagents":
            return None


def read_source(cfg: ReactionConfig, value: Any) -> str:
    """A source as a user gives it: molecules, or a reaction SMILES of which the direction's part is taken.

    Fields after white space are left alone (names, CXSMILES), and one token a field is Molecular Transformer's layout.
    """
    text = one_text(value)
    sides = ARROW.split(text)
    if len(sides) == 3:
        reactants, reagents, product = sides
        match cfg.direction:
            case "retro":
                return checked(product)
            case "forward":
                return asked(cfg, checked(reactants), optional(reagents), "")
            case "reagents":
                return asked(cfg, checked(reactants), "", checked(product))
    if cfg.direction == "reagents":
        raise BadRecord(f"{len(sides) - 1} of the arrows `>`; reactants>>product is right")
    if cfg.direction == "forward" and len(sides) == 2:
        return asked(cfg, checked(sides[0]), optional(sides[1]), "")
    if len(sides) != 1:
        raise BadRecord(f"{len(sides) - 1} of the arrows `>`; molecules, or reactants>reagents>product, are right")
    return asked(cfg, checked(text), "", checked(text))


def read_answer(cfg: ReactionConfig, value: Any) -> str:
    """A target: molecules."""
    return checked(one_text(value))


def optional(text: str) -> str:
    """A side that may be empty."""
    return checked(text) if text else ""


def one_text(value: Any) -> str:
    """The SMILES of a field or a line, without what follows it."""
    if not isinstance(value, str):
        raise BadRecord("no text; a SMILES is right")
    fields = value.split()
    if not fields:
        raise BadRecord("empty; a SMILES is right")
    return joined(fields) if len(fields) > 1 else fields[0]


def joined(fields: list[str]) -> str:
    """One token a field is a tokenised SMILES, and put together again; otherwise the first field is the SMILES."""
    return "".join(fields) if all(TOKEN.fullmatch(one) for one in fields) else fields[0]


@lru_cache(maxsize=1 << 19)
def aligned_by_maps(direction: str, mapped: str) -> tuple[Side, Side] | None:
    """Source and target of a mapped reaction SMILES (`meta.mapped` of a user's records); None if it is unreadable."""
    try:
        reactants, reagents, product = parts(mapped.strip())
        left, right = fragments(".".join(filter(None, (reactants, reagents)))), fragments(product)
    except BadRecord:
        return None
    return (right, left) if direction == "retro" else (left, right)
