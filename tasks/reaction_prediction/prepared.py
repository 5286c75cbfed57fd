"""Mapped reactions as distributed -> canonical ones, on all cores, kept in the cache folder: RDKit takes a minute for 48,000."""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from core.data.cache import cache_folder
from core.data.config import DataConfig
from core.errors import BadRecord, DataError
from tasks.reaction_prediction.chemistry import canonical, rdkit, version
from tasks.reaction_prediction.reaction import Fragment, Reaction, Side, fragments, parts, spelled

LAYOUT = 1
"""Of the kept file; another number, and it is made again."""
FEW = 5000
"""So many are done here; for more, processes are worth their start."""
CHUNK = 250


@dataclass(frozen=True, slots=True)
class Raw:
    """A reaction as a source has it."""

    key: str
    mapped: str
    """reactants>reagents>product, with atom maps or without."""
    meta: dict[str, Any]


def prepared(name: str, sha256: str, raw: Callable[[], Sequence[Raw]], data: DataConfig) -> list[Reaction]:
    """From the cache where it is there for this data and this RDKit; `raw` is called only where it is not."""
    file = f"{name}-{sha256[:12]}-rdkit-{version()}-{LAYOUT}.jsonl.gz"
    path = cache_folder(data) / file
    if path.exists():
        try:
            return list(stored(path))
        except (OSError, EOFError, ValueError, DataError, zlib.error):
            print(f"{path} is damaged; making it again", file=sys.stderr)
    found = canonicalised(raw(), f"{name}: canonical SMILES")
    keep(path, found)
    return found


def canonicalised(raw: Sequence[Raw], what: str) -> list[Reaction]:
    """In order; a reaction that RDKit cannot read is left out, and how many is said."""
    rdkit()
    if len(raw) < FEW:
        rows = [one_reaction(one) for one in raw]
    else:
        print(f"{what} of {len(raw):,} reactions by RDKit {version()}; kept for the next time", file=sys.stderr)
        rows = in_processes(raw, what)
    refused = sum(row is None for row in rows)
    if refused:
        print(f"{what}: {refused:,} reactions that RDKit cannot read are left out", file=sys.stderr)
    return [row for row in rows if row is not None]


def in_processes(raw: Sequence[Raw], what: str) -> list[Reaction | None]:
    """Chunks on all cores, with a bar."""
    from core.run.progress import progress_bar

    chunks = [raw[begin : begin + CHUNK] for begin in range(0, len(raw), CHUNK)]
    rows: list[Reaction | None] = []
    # Not forked: threads of a numerical library may hold locks by now.
    with (
        ProcessPoolExecutor(min(os.cpu_count() or 1, 8), mp_context=get_context("spawn")) as pool,
        progress_bar(len(raw), what) as advance,
    ):
        for done in pool.map(many_reactions, chunks):
            rows.extend(done)
            advance(len(done))
    return rows


def many_reactions(raw: Sequence[Raw]) -> list[Reaction | None]:
    """A chunk."""
    rdkit()
    return [one_reaction(one) for one in raw]


def one_reaction(raw: Raw) -> Reaction | None:
    """Both sides canonical, before anything else looks at them; None where RDKit cannot read it."""
    try:
        reactants, reagents, product = parts(raw.mapped)
        left, right = fragments(reactants), fragments(product)
        agents = canonical(reagents) if reagents else ""
    except BadRecord:
        return None
    if agents is None:
        return None
    made = {"bonds": bonds_made(reactants, product)} if any(any(one.maps) for one in right) else {}
    return Reaction(raw.key, spelled(left), agents, spelled(right), left, right, {**raw.meta, **made})


def bonds_made(reactants: str, product: str) -> str:
    """Which bonds the product has that its atoms had not: `C-N`, `C-C, C-O`; by this the kinds of reactions can be told."""
    before, after = mapped_bonds(reactants), mapped_bonds(product)
    return ", ".join(sorted({after[pair] for pair in after.keys() - before.keys()})) or "none"


def mapped_bonds(text: str) -> dict[tuple[int, int], str]:
    """Pairs of atom maps -> the two elements."""
    found: dict[tuple[int, int], str] = {}
    for bond in rdkit().MolFromSmiles(text).GetBonds():
        ends = sorted((atom.GetAtomMapNum(), atom.GetSymbol()) for atom in (bond.GetBeginAtom(), bond.GetEndAtom()))
        if ends[0][0]:
            found[ends[0][0], ends[1][0]] = "-".join(sorted(symbol for _, symbol in ends))
    return found


def keep(path: Path, reactions: Sequence[Reaction]) -> None:
    """Whole or not at all; a cache that cannot be written costs time only."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with gzip.open(beside, "wt", encoding="utf-8", compresslevel=3) as file:
            for one in reactions:
                row = [one.key, one.reactants, one.reagents, one.product, one.left, one.right, dict(one.meta)]
                file.write(json.dumps(row, separators=(",", ":")) + "\n")
            file.write(json.dumps(len(reactions)) + "\n")
        beside.replace(path)
    except OSError as error:
        print(f"{path}: not kept ({error.strerror})", file=sys.stderr)
    finally:
        beside.unlink(missing_ok=True)


def stored(path: Path) -> Iterator[Reaction]:
    """What `keep` wrote; the last line counts the others."""
    count, last = 0, None
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if isinstance(row, int):
                last = row
                break
            key, reactants, reagents, product, left, right, meta = row
            yield Reaction(key, reactants, reagents, product, side(left), side(right), meta)
            count += 1
    if last != count:
        raise DataError(f"{path}: {count} reactions where {last} were kept")


def side(tree: Sequence[Sequence[Any]]) -> Side:
    """Molecules with their maps."""
    return tuple(Fragment(smiles, tuple(maps)) for smiles, maps in tree)
