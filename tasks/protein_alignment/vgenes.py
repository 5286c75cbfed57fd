"""Real alignments: the V genes of antibodies and T-cell receptors in IMGT's frame of 128 columns, as ANARCI keeps them.

A chain type belongs to one split, so what is tested is a protein family that was never seen. A gene that serves two types
(TRAV/DV) binds these types together.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations_with_replacement, product
from typing import Any, NamedTuple

import numpy as np

from core.data.config import DataConfig
from core.data.split import hashed_share
from core.data.wheel import PinnedWheel
from core.errors import DataError
from core.record import Record, Split
from tasks.protein_alignment.alignment import identity, spelled, text_of, without_empty_columns
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.simulated import simulated

ANARCI = PinnedWheel(
    name="anarci",
    version="2026.2.13.2",
    file="anarci-2026.2.13.2-py3-none-any.whl",
    sha256="8f88d49857abc2c5427c6cc903ebdac7b35e6636635eaa9d60bd8f0d4e7d14b7",
    megabytes=2,
    python="3.13",
    licence="BSD-3-Clause",
    attribution="germline sequences of ANARCI (Dunbar & Deane, 2016), from IMGT/GENE-DB (Giudicelli et al., 2005)",
)
FILE, TABLE, COLUMNS = "anarci/germlines.py", "all_germlines", 128
TYPES: dict[Split, tuple[str, ...]] = {"train": ("H", "L", "A", "D"), "dev": ("G",), "test": ("K", "B")}
"""Heavy and lambda chains and T-cell receptors' alpha and delta; gamma, which dev aligns with training's types (there are too
few for more); kappa with beta."""
HELD_OUT: dict[str, int] = {"dev": 400, "test": 800}
SUBGROUP = re.compile(r"[A-Z]+\d*")


class Gene(NamedTuple):
    """One V gene in the frame; equal sequences are one gene."""

    name: str
    types: str
    row: str

    @property
    def subgroup(self) -> str:
        """Genes of one family: IGKV1."""
        found = SUBGROUP.match(self.name.split("/")[-1])
        return found.group() if found else self.name


def vgenes(cfg: AlignmentConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Training has `task.pairs` of these and `task.simulated` others; dev and test are pairs of two held-out chain types."""
    yield from gene_pairs(cfg, genes(data.cache), split)
    if split == "train":
        yield from simulated(cfg, data, split)


def gene_pairs(cfg: AlignmentConfig, known: tuple[Gene, ...], split: Split) -> Iterator[Record]:
    """Training: any two genes of its types, most of them of two types. Dev and test: one of each type, chosen by a hash."""
    of_type = {
        one: [gene for gene in known if gene.types.split("/")[0] == one]
        for one in dict.fromkeys((*TYPES["train"], *TYPES[split]))
    }
    if split != "train":
        kinds = [("K", "B")] if split == "test" else [(one, "G") for one in TYPES["train"]]
        for kind in kinds:
            pairs = sorted(
                product(*(of_type[one] for one in kind)), key=lambda two: hashed_share(f"{two[0].name} {two[1].name}")
            )
            yield from (record(split, *pair) for pair in pairs[: HELD_OUT[split] // len(kinds)])
        return
    kinds = [kind for kind in combinations_with_replacement(of_type, 2) for _ in range(3 if kind[0] != kind[1] else 1)]
    draw, seen = np.random.default_rng(7), set[tuple[str, str]]()
    possible = sum(map(len, of_type.values())) ** 2 // 8
    while len(seen) < min(cfg.pairs, possible):
        one, other = (of_type[kind] for kind in kinds[int(draw.integers(len(kinds)))])
        first, second = one[int(draw.integers(len(one)))], other[int(draw.integers(len(other)))]
        if draw.random() < 0.5:
            first, second = second, first
        if first != second and (first.name, second.name) not in seen:
            seen.add((first.name, second.name))
            yield record(split, first, second)


def record(split: Split, first: Gene, second: Gene) -> Record:
    """Two rows of the frame; families are the groups whose records are not independent."""
    rows = without_empty_columns([first.row, second.row])
    meta: dict[str, Any] = {
        "names": (first.name, second.name),
        "group": f"{first.subgroup} {second.subgroup}",
        "set": f"{first.types} with {second.types}",
        "identity": identity(rows),
    }
    return Record(f"vgene-{split}-{first.name}-{second.name}", tuple(map(spelled, rows)), text_of(rows), meta)


@lru_cache(maxsize=1)
def genes(cache: str) -> tuple[Gene, ...]:
    """Every different sequence once, with all its chain types."""
    with ANARCI.open(DataConfig(cache=cache)) as wheel:
        table = literal(wheel.read(FILE).decode(), TABLE)["V"]
    found: dict[str, tuple[str, set[str]]] = {}
    for types, by_species in table.items():
        for species, by_name in by_species.items():
            for name, row in by_name.items():
                if len(row) != COLUMNS:
                    raise DataError(f"{FILE}: {name} has {len(row)} columns, not {COLUMNS}")
                found.setdefault(row, (f"{name}|{species}", set()))[1].add(types)
    made = tuple(Gene(name, "/".join(sorted(types)), row) for row, (name, types) in found.items())
    print(f"V genes: {len(made):,} different ones in {len(table)} chain types", file=sys.stderr)
    return made


def literal(code: str, name: str) -> Any:
    """What a module assigns to a name, where that is plain data: read, never run."""
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            return ast.literal_eval(node.value)
    raise DataError(f"{FILE}: assigns nothing to {name}")
