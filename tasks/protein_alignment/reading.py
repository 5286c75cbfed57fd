"""Files of the field as records: FASTA sequences to align, and alignments in five formats through Bio.Align.

A file is first cut into raw entries, then each is parsed: one that cannot be read does not hide those after it.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core.data.lines import Line, read_lines
from core.errors import BadRecord
from core.record import Record
from tasks.protein_alignment.alignment import GAPS, fault, identity, spelled, stranger, text_of
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.needleman_wunsch import biopython
from tasks.protein_alignment.values import sequences

Entry = list[Line]
ALIGNED = (".afa", ".afa.gz")
CORE = "#=GC core"
"""A line of Stockholm files of ours: a 0 or 1 a column, which of them are scored."""
LONGEST_ROW = 200_000
HEADS = {
    "phylip": (re.compile(rb"\s{0,100}\d{1,9}\s{1,100}\d{1,9}\s{0,100}$"), "the number of rows and columns"),
    "stockholm": (re.compile(rb"# STOCKHOLM"), "`# STOCKHOLM 1.0`"),
}
"""Looked at before a parser that makes much of little sees the rest."""


def read_fasta(cfg: AlignmentConfig, path: Path) -> Iterator[Record]:
    """One record a file, or (`task.fasta = "pairs"`) one of every two sequences.

    Where a sequence has gaps, or the ending is .afa, the rows are an alignment: the record's target.
    """
    found = list(entries(read_lines(path), begins=lambda line: line.raw.startswith(b">")))
    size = 2 if cfg.fasta == "pairs" else max(len(found), 1)
    groups = [found[begin : begin + size] for begin in range(0, len(found), size)]
    aligned = path.name.endswith(ALIGNED)
    keys = [stem(path)] if cfg.fasta == "all" else [str(number) for number in range(1, len(groups) + 1)]
    return map(partial(parse_fasta, aligned=aligned), groups, keys)


def parse_fasta(group: Sequence[Entry], key: str, *, aligned: bool) -> Record:
    """Names are what stands before the first white space."""
    names: list[str] = []
    rows: list[str] = []
    for entry in group:
        head, *body = entry
        if not head.raw.startswith(b">"):
            raise head.bad("no FASTA: the first line begins with '>'")
        row = "".join("".join(line.text.split()) for line in body).translate(GAPS)
        if not spelled(row):
            raise head.bad("a header without a sequence")
        for line in body:
            if wrong := stranger(spelled("".join(line.text.split()).translate(GAPS))):
                raise line.bad(wrong)
        names.append(next(iter(head.text[1:].split()), f"sequence{len(names) + 1}"))
        rows.append(row)
    first = group[0][0]
    return record(key, names, rows, first, aligned=aligned or any(spelled(row) != row for row in rows))


def record(key: str, names: Sequence[str], rows: Sequence[str], at: Line, *, aligned: bool, core: str = "") -> Record:
    """Checked, with its place."""
    try:
        source = sequences([spelled(row) for row in rows])
    except BadRecord as error:
        raise at.bad(str(error)) from None
    if aligned and (wrong := fault(rows, source)):
        raise at.bad(f"not aligned: {wrong}")
    if core and (len(core) != len(rows[0]) or set(core) - {"0", "1"}):
        raise at.bad(f"{CORE}: a 0 or 1 for each of the {len(rows[0])} columns is right")
    meta: dict[str, Any] = {"names": tuple(names), "place": at.place}
    if aligned:
        meta |= {"identity": identity(rows)} | ({"core": core} if core else {})
    return Record(key, source, text_of(rows) if aligned else None, meta)


def entries(lines: Iterable[Line], *, begins: Callable[[Line], bool]) -> Iterator[Entry]:
    """Runs of lines, each with a beginning; blank lines before the first are none."""
    held: Entry = []
    for line in lines:
        if held and begins(line):
            yield held
            held = []
        if held or line.raw.strip():
            held.append(line)
    if held:
        yield held


def reader(name: str, begins: Callable[[Line], bool]) -> Callable[[AlignmentConfig, Path], Iterator[Record]]:
    """Of a format that Bio.Align knows by that name, an entry an alignment."""

    def read(cfg: AlignmentConfig, path: Path) -> Iterator[Record]:
        found = list(entries(read_lines(path), begins=begins))
        keys = [stem(path)] if len(found) == 1 else [str(number) for number in range(1, len(found) + 1)]
        return map(partial(parse_alignment, name), found, keys)

    return read


def parse_alignment(name: str, entry: Entry, key: str) -> Record:
    """Bio.Align raises whatever its parsers stumble on: all of it means that this is no such file."""
    head = entry[0]
    if long := next((line for line in entry if len(line.raw) > LONGEST_ROW), None):
        raise long.bad(f"no alignment in {name} format: a line of more than {LONGEST_ROW:,} characters")
    if name in HEADS and not HEADS[name][0].match(head.raw):
        raise head.bad(f"no alignment in {name} format: {HEADS[name][1]} comes first")
    texts = [line.text for line in entry]
    core = "".join(text.removeprefix(CORE).strip() for text in texts if text.startswith(CORE))
    kept = [text for text in texts if not text.startswith(CORE) and not (name == "clustal" and text[:1].isspace())]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = biopython().read(io.StringIO("\n".join(kept) + "\n\n"), name)
            rows = [str(found[row]).translate(GAPS) for row in range(len(found.sequences))]
            names = [str(one.id) for one in found.sequences]
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise entry[0].bad(f"no alignment in {name} format: {reason}") from None
    return record(key, names, rows, entry[0], aligned=True, core=core)


def stem(path: Path) -> str:
    """The file's name without its endings."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def stockholm_begins(line: Line) -> bool:
    """Each alignment has this line."""
    return line.raw.startswith(b"# STOCKHOLM")


def clustal_begins(line: Line) -> bool:
    """Each alignment has a header, of whatever program."""
    return line.raw.startswith((b"CLUSTAL", b"Biopython", b"MUSCLE", b"PROBCONS", b"MSAPROBS", b"Kalign"))


def never(line: Line) -> bool:
    """One alignment a file."""
    return False
