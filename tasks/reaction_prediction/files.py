"""The field's own files: SMILES by the line, CSV, RXN, and the two files of Molecular Transformer."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from core.data.config import DataConfig
from core.data.files import own_file
from core.data.lines import BadLine, Line, read_lines
from core.data.parallel import read_parallel
from core.data.sources import read_files, with_holdout
from core.errors import BadRecord, ConfigError, DataError
from core.nearest import did_you_mean
from core.record import Record, Split
from core.task import Format
from tasks.reaction_prediction.chemistry import heard, rdkit
from tasks.reaction_prediction.prepared import Raw, one_reaction
from tasks.reaction_prediction.reaction import (
    ARROW,
    Reaction,
    as_record,
    one_text,
    optional,
    parts,
    read_answer,
    read_source,
)
from tasks.reaction_prediction.settings import ReactionConfig

REACTION = ("reactants>reagents>production", "reaction_smiles", "rxn_smiles", "rxnsmiles", "reaction", "rxn", "smiles")
REACTANTS = ("reactants", "reactant", "precursors")
REAGENTS = ("reagents", "reagent", "agents")
PRODUCT = ("product", "products", "production")
CLASS = ("class", "reaction_type", "rxn_class")
KEY = ("id", "key", "name")
TABLE_SPLITS: Mapping[str, Split] = {
    "train": "train", "valid": "dev", "val": "dev", "validation": "dev", "dev": "dev", "test": "test",
}  # fmt: skip


def read_smiles(cfg: ReactionConfig, path: Path) -> Iterator[Record]:
    """A line is a reaction SMILES, or molecules that are asked about; what follows white space is left alone."""

    def parse(line: Line) -> Record:
        try:
            text = line.text.strip()
            return reaction_or_source(cfg, text, str(line.number), line.place) if text else blank(line)
        except BadLine:
            raise
        except BadRecord as error:
            raise line.bad(str(error)) from None

    return map(parse, read_lines(path))


def blank(line: Line) -> Record:
    """An empty line stays one, since outputs are as many as inputs."""
    return Record(str(line.number), "", None, {"place": line.place})


def reaction_or_source(cfg: ReactionConfig, text: str, key: str, place: str) -> Record:
    """With a target where the reaction has what the direction asks for."""
    if len(ARROW.split(one_text(text))) == 3:
        return from_reaction(cfg, one_text(text), key, {"place": place})
    return Record(key, read_source(cfg, text), None, {"place": place})


def from_reaction(cfg: ReactionConfig, text: str, key: str, meta: Mapping[str, object]) -> Record:
    """Canonical, with its maps for training where it has any; BadRecord with RDKit's reason."""
    sides = parts(text)
    mapped = one_reaction(Raw(key, text, {})) if ":" in text and all((sides[0], sides[2])) else None
    reaction = mapped or Reaction(key, optional(sides[0]), optional(sides[1]), optional(sides[2]))
    record = as_record(cfg, replace(reaction, meta={**reaction.meta, **meta}), aligned=True)
    if record is not None:
        return record
    return Record(key, read_source(cfg, text), None, dict(meta))


MOST_CELLS = 10_000


def read_csv(cfg: ReactionConfig, path: Path) -> Iterator[Record]:
    """Columns by the names of the config, or by the usual ones (GLN's and Chemformer's among them)."""
    return read_table(cfg, path, None)


def read_table(cfg: ReactionConfig, path: Path, split: Split | None) -> Iterator[Record]:
    """With `split` only the rows whose column `set` says so."""
    lines = read_lines(path)
    head = next(lines, None)
    if head is None:
        raise DataError(f"{path}:1: empty; a line with the names of the columns is right")
    delimiter = "\t" if path.name.removesuffix(".gz").endswith(".tsv") else ","
    columns = [name.strip() for name in cells(head, delimiter)]
    where = Columns(cfg, columns, str(head.place))

    def parse(line: Line) -> Record:
        row = cells(line, delimiter)
        if len(row) != len(columns):
            raise line.bad(f"{len(row)} cells where line {head.number} names {len(columns)} columns")
        try:
            return where.record(cfg, [cell.strip() for cell in row], line)
        except BadLine:
            raise
        except BadRecord as error:
            raise line.bad(str(error)) from None

    kept = (line for line in lines if line.raw.strip())
    if split is not None:
        kept = (line for line in kept if where.split(line, delimiter) == split)
    return map(parse, kept)


def cells(line: Line, delimiter: str) -> list[str]:
    """Of one line; SMILES hold no line ends, so a row is a line."""
    if line.raw.count(delimiter.encode()) > MOST_CELLS:
        raise line.bad(f"no row of a table: more than {MOST_CELLS:,} cells")
    try:
        return next(csv.reader([line.text], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise line.bad(f"no row of a table: {error}") from None


class Columns:
    """Which column holds what."""

    def __init__(self, cfg: ReactionConfig, names: Sequence[str], place: str) -> None:
        self.names, self.place = names, place
        self.reactants = self.find(cfg.reactants_column, "reactants_column", REACTANTS)
        self.reagents = self.find(cfg.reagents_column, "reagents_column", REAGENTS)
        self.product = self.find(cfg.product_column, "product_column", PRODUCT)
        self.reaction = self.find(cfg.reaction_column, "reaction_column", REACTION)
        self.kind = self.find("", "", CLASS)
        self.key = self.find("", "", KEY)
        self.set = self.find("", "", ("set", "split"))
        if not cfg.reaction_column and self.product is not None:
            self.reaction = None
        if self.reaction is None and self.product is None and self.reactants is None:
            raise DataError(
                f"{place}: none of the columns {', '.join(map(repr, names))} is known to hold reactions; name one with "
                "task.reaction_column, or task.reactants_column and task.product_column"
            )

    def find(self, wanted: str, field: str, usual: Sequence[str]) -> int | None:
        """By the config's name, which must be there, or by a usual one."""
        if wanted:
            if wanted not in self.names:
                hint = did_you_mean(wanted, self.names)
                raise DataError(
                    f"{self.place}: no column {wanted!r} (task.{field}){hint}; there are {', '.join(self.names)}"
                )
            return self.names.index(wanted)
        lower = [name.lower() for name in self.names]
        return next((lower.index(name) for name in usual if name in lower), None)

    def split(self, line: Line, delimiter: str) -> Split:
        """What the column `set` says of a row; a row that says nothing known is train's to refuse."""
        try:
            row = cells(line, delimiter)
        except BadLine:
            return "train"
        said = row[self.set].strip().lower() if self.set is not None and self.set < len(row) else ""
        return TABLE_SPLITS.get(said, "train")

    def record(self, cfg: ReactionConfig, row: Sequence[str], line: Line) -> Record:
        """One row."""

        def at(column: int | None) -> str:
            return row[column] if column is not None else ""

        if self.set is not None and at(self.set).lower() not in TABLE_SPLITS:
            raise BadRecord(f"{self.names[self.set]} is {at(self.set)!r}; train, valid or test is right")
        meta: dict[str, object] = {"place": line.place}
        if at(self.kind):
            meta["class"] = at(self.kind)
        if self.reaction is not None:
            found = reaction_or_source(cfg, at(self.reaction), str(line.number), line.place)
            return replace(found, meta={**found.meta, **meta})
        text = ">".join(at(column) for column in (self.reactants, self.reagents, self.product))
        return from_reaction(cfg, text, str(line.number), meta)


def read_rxn(cfg: ReactionConfig, path: Path) -> Iterator[Record]:
    """An MDL reaction: one record, whose key is the file's name."""

    def parse(one: Path) -> Record:
        try:
            text = one.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise DataError(f"{one}: {error.strerror or error}") from None
        place = f"{one}:1"
        try:
            return from_reaction(cfg, rxn_smiles(text), one.stem, {"place": place})
        except BadRecord as error:
            raise BadLine(place, str(error), text[:2000]) from None

    return map(parse, [path])


def rxn_smiles(text: str) -> str:
    """The reaction SMILES of an RXN block, with its maps."""
    if not text.startswith("$RXN"):
        raise BadRecord("no RXN file: it does not begin with $RXN")
    rdkit()
    from rdkit.Chem import rdChemReactions

    with heard() as messages:
        try:
            reaction: Any = rdChemReactions.ReactionFromRxnBlock(text)
        except (RuntimeError, ValueError) as error:
            raise BadRecord(f"no RXN file: {str(error).strip().splitlines()[0]}") from None
    if reaction is None:
        raise BadRecord(f"no RXN file: {messages[0] if messages else 'RDKit cannot read it'}")
    sides = reaction.GetReactants(), reaction.GetAgents(), reaction.GetProducts()
    return ">".join(".".join(rdkit().MolToSmiles(one) for one in side) for side in sides)


TEXT: Mapping[str, Format[ReactionConfig]] = {
    "smiles": Format(endings=(".smi", ".smi.gz", ".smiles", ".rsmi", ".rsmi.gz", ".txt", ".txt.gz"), read=read_smiles),
    "csv": Format(endings=(".csv", ".csv.gz", ".tsv", ".tsv.gz"), read=read_csv),
    "rxn": Format(endings=(".rxn",), read=read_rxn),
}
"""What `data.source = "files"` reads: `.txt` too, of which `predict` and `--predictions` take plain lines."""


def files(cfg: ReactionConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """`src-train.txt` beside `tgt-train.txt`, a table with a column `set`, or a file of reactions a split."""

    def read(split: Split) -> Iterator[Record]:
        if pair := transformer_files(data, split):
            return map(partial(canonical_pair, cfg), read_parallel(*pair, split))
        if table := whole_table(cfg, data):
            return map(partial(of_split, split), read_table(cfg, table, split))
        return read_files(TEXT, cfg, data, split)

    return with_holdout(read, data)(split)


def of_split(split: Split, record: Record) -> Record:
    """Rows of one table are in several splits; a row without a target is of no use in any."""
    if record.target is None:
        raise BadRecord(f"{record.meta['place']}: no target; training and scoring need one")
    return replace(record, key=f"{split}-{record.key}")


def canonical_pair(cfg: ReactionConfig, record: Record) -> Record:
    """Both sides of a tokenised pair, or where it stands and what is wrong with it."""
    place = str(record.meta.get("place", record.key))
    try:
        return replace(record, source=read_source(cfg, record.source), target=read_answer(cfg, record.target))
    except BadRecord as error:
        raise BadLine(place, str(error), f"{record.source}\t{record.target}") from None


def transformer_files(data: DataConfig, split: Split) -> tuple[Path, Path] | None:
    """Molecular Transformer's names: src-train.txt and tgt-train.txt, src-val.txt for dev."""
    if single := own_file(data, split):
        if not single.name.startswith("src-"):
            return None
        other = single.with_name("tgt-" + single.name.removeprefix("src-"))
        if not other.is_file():
            raise DataError(f"data.{split}: {single} has no {other.name} beside it")
        return single, other
    names = {"train": ("train",), "dev": ("val", "valid", "dev"), "test": ("test",)}[split]
    for folder, name in ((Path(folder).expanduser(), name) for folder in data.path for name in names):
        pair = folder / f"src-{name}.txt", folder / f"tgt-{name}.txt"
        if pair[0].is_file() != pair[1].is_file():
            there, missing = pair if pair[0].is_file() else pair[::-1]
            raise DataError(f"{there} has no {missing.name} beside it")
        if pair[0].is_file():
            if len(data.path) > 1:
                raise ConfigError("data.path: src- and tgt- files are read from one folder only")
            return pair
    return None


def whole_table(cfg: ReactionConfig, data: DataConfig) -> Path | None:
    """A single table that says itself which split a row is of."""
    if len(data.path) != 1 or not data.path[0].removesuffix(".gz").endswith((".csv", ".tsv")):
        return None
    path = Path(data.path[0]).expanduser()
    head = next(read_lines(path), None) if path.is_file() else None
    if head is None:
        return None
    names = [name.strip().lower() for name in cells(head, "\t" if ".tsv" in path.name else ",")]
    return path if {"set", "split"} & set(names) else None
