"""F1, F2, F3, F5: files of lines, of which some are good and the others anything, in every format of text, proteins, reactions and code."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.torture import contract, mangling
from benchmarks.torture.oddities import OBJECTS, PROGRAMS, PROTEINS, SMILES, TABLE
from benchmarks.torture.rows import Row, Trial, hold
from core.codec.types import as_encoded
from core.data.config import DataConfig
from core.data.jsonl import read_jsonl
from core.errors import DataError
from core.record import Record
from core.task import Task
from tasks import TASKS

RECORDS = 25
"""Of a file."""
Line = Callable[[random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """A format, what is good in it, and what is not."""

    task: str
    ending: str
    good: Line
    odd: tuple[str, ...]
    """Entries of this format that are wrong, or that try what its reader can do."""
    head: bytes = b""
    """The file's first line, where a format needs one."""
    config: tuple[tuple[str, Any], ...] = ()
    apart: bool = True
    """A line is a record: what is wrong with one leaves the next alone."""


AMINO = "ACDEFGHIKLMNPQRSTVWY"
MOLECULES = (
    "CCO",
    "c1ccccc1",
    "CC(=O)O",
    "C[C@H](N)C(=O)O",
    "[NH4+].[Cl-]",
    "CC(=O)Oc1ccccc1C(=O)O",
    "C%10CCCCC%10",
    "O=C=O",
)
CODE = (
    "def f(x):\n    return x + 1",
    "for i in range(3):\n    print(i)",
    "x = [i * 2 for i in y if i]",
    "lambda a, b: a @ b",
)


def words(draw: random.Random) -> str:
    """A sentence."""
    return " ".join("".join(draw.choices("abcdefghij", k=draw.randint(1, 8))) for _ in range(draw.randint(1, 12)))


def sequence(draw: random.Random) -> str:
    """A protein."""
    return "".join(draw.choices(AMINO, k=draw.randint(3, 60)))


def json_line(make: Callable[[random.Random], dict[str, Any]]) -> Line:
    """An object."""
    return lambda draw: json.dumps(make(draw)).encode()


def fasta(draw: random.Random) -> bytes:
    """Two entries, which are one record."""
    return b"\n".join(f">s{number}\n{sequence(draw)}".encode() for number in (1, 2))


def aligned(draw: random.Random) -> bytes:
    """The same with gaps, of one width."""
    rows = [list(draw.choices(AMINO, k=20)) for _ in range(2)]
    for number, row in enumerate(rows):
        row[draw.randint(0, 9) + 10 * number] = "-"
    return b"\n".join(f">s{number}\n{''.join(row)}".encode() for number, row in enumerate(rows))


TEXT = (
    Kind("translation", ".txt", lambda draw: words(draw).encode(), ("",)),
    Kind(
        "translation", ".tsv", lambda draw: f"{words(draw)}\t{words(draw)}".encode(), ("a", "a\tb\tc", "\t", "\t" * 99)
    ),
    Kind(
        "translation",
        ".tmx",
        lambda draw: (
            f'<tu><tuv xml:lang="en"><seg>{words(draw)}</seg></tuv><tuv xml:lang="de"><seg>x</seg></tuv></tu>'.encode()
        ),
        (
            "<tu>",
            "</tu>",
            "<tu><tuv><seg>a</seg></tuv></tu>",
            "&lol;",
            "<seg>" * 500,
            "<!DOCTYPE a [<!ENTITY b 'c'>]>",
            "<ph>" * 99,
            "<?xml version='9'?>",
        ),
        head=b"<tmx><body>",
        apart=False,
    ),
    Kind("summarization", ".txt", lambda draw: words(draw).encode(), ("",)),
    Kind(
        "summarization",
        ".csv",
        lambda draw: f"k{draw.getrandbits(60)},{words(draw)},{words(draw)}".encode(),
        TABLE,
        head=b"id,article,summary",
        apart=False,
    ),
    Kind(
        "summarization",
        ".tsv",
        lambda draw: f"k{draw.getrandbits(60)}\t{words(draw)}\t{words(draw)}".encode(),
        ("a\tb", "\t\t", "a\t\tb"),
        head=b"id\tarticle\tsummary",
    ),
    Kind("summarization", ".jsonl", json_line(lambda draw: {"article": words(draw), "summary": words(draw)}), OBJECTS),
    Kind("", ".jsonl", json_line(lambda draw: {"source": words(draw), "target": words(draw)}), OBJECTS),
)
PROTEIN = (
    Kind("protein_alignment", ".fasta", fasta, PROTEINS, config=(("fasta", "pairs"),), apart=False),
    Kind("protein_alignment", ".fasta", fasta, PROTEINS, apart=False),
    Kind("protein_alignment", ".afa", aligned, PROTEINS, config=(("fasta", "pairs"),), apart=False),
    Kind(
        "protein_alignment",
        ".aln",
        lambda draw: b"CLUSTAL W\n\na  ACD-E\nb  ACDFE\n",
        ("CLUSTAL", "a ACD", "a  ACD 5\nb  AC 2", "  * : ."),
        apart=False,
    ),
    Kind(
        "protein_alignment",
        ".sto",
        lambda draw: b"# STOCKHOLM 1.0\na ACD-E\nb ACDFE\n//",
        ("# STOCKHOLM 1.0", "#=GC core 01", "#=GR a SS HHH", "a ACD", "//"),
        apart=False,
    ),
    Kind(
        "protein_alignment",
        ".phy",
        lambda draw: b" 2 5\na         ACD-E\nb         ACDFE",
        ("0 0", "-1 5", "999999999 9", "2 5 I"),
        apart=False,
    ),
    Kind("protein_alignment", ".a2m", lambda draw: b">a\nACD-E\n>b\nACDFE", (*PROTEINS[:10], ">a\nACd.E"), apart=False),
    Kind(
        "protein_alignment",
        ".msf",
        lambda draw: b"MSF: 5 Type: P Check: 0 ..\n\n Name: a Len: 5 Check: 0 Weight: 1\n//\n\na ACD-E",
        ("//", "Name: a Len: -5", ".."),
        apart=False,
    ),
)
REACTION = (
    Kind("reaction_prediction", ".smi", lambda draw: draw.choice(MOLECULES).encode(), SMILES),
    Kind(
        "reaction_prediction",
        ".smi",
        lambda draw: f"{draw.choice(MOLECULES)}>>{draw.choice(MOLECULES)}".encode(),
        SMILES,
        config=(("direction", "forward"),),
    ),
    Kind(
        "reaction_prediction",
        ".csv",
        lambda draw: f"k,{draw.choice(MOLECULES)}>>{draw.choice(MOLECULES)}".encode(),
        (*TABLE, *(f"k,{one}" for one in SMILES)),
        head=b"id,rxn_smiles",
    ),
)
PROGRAM = (
    Kind(
        "code_synthesis",
        ".jsonl",
        json_line(lambda draw: {"source": words(draw), "target": draw.choice(CODE)}),
        (
            *OBJECTS,
            *(json.dumps({"source": "x", "target": one}) for one in PROGRAMS),
            *(
                json.dumps({"source": "x", "target": "y", "tests": one})
                for one in ([], {}, [1], [["f(1)"]], [["f(", "1"]], "x", [[1, 2]])
            ),
        ),
    ),
    Kind(
        "code_synthesis",
        ".jsonl",
        json_line(lambda draw: {"source": words(draw), "target": "SELECT a FROM b"}),
        tuple(
            json.dumps({"source": "x", "target": one})
            for one in ("SELECT " * 5000, "'", '"', "select (" * 999, "a" * 99_999)
        ),
        config=(("language", "sql"),),
    ),
    Kind(
        "code_synthesis",
        ".jsonl",
        json_line(lambda draw: {"source": words(draw), "target": "[a-z]+x"}),
        tuple(
            json.dumps({"source": "x", "target": one})
            for one in ("(" * 5000, "(a+)+$", "[", "a{9999,}", "\\", "~(" * 999, "(a|b)&~(c)")
        ),
        config=(("language", "regex"),),
    ),
    Kind("code_synthesis", ".txt", lambda draw: words(draw).encode(), ("",)),
)


def trial_of(kinds: tuple[Kind, ...]) -> Callable[[Trial], None]:
    """Files of these formats, one after the other."""

    def trial(trial: Trial) -> None:
        for number in range(8 if trial.quick else 20):
            one(trial, kinds[(trial.number * 20 + number) % len(kinds)], number)

    return trial


def one(trial: Trial, kind: Kind, number: int) -> None:
    """One file, read; its good lines alone, read; and what came, encoded."""
    draw = trial.random
    entries: list[tuple[bool, bytes]] = []
    for _ in range(RECORDS):
        good = kind.good(draw)
        match draw.randint(0, 5):
            case 0 | 1:
                entries.append((True, good))
            case 2:
                entries.append((False, mangling.mangled(draw, good)))
            case 3:
                entries.append((False, mangling.text(draw).encode()))
            case 4:
                entries.append((False, draw.choice(kind.odd).encode("utf-8", "surrogatepass")))
            case _:
                entries.append(
                    (False, draw.choice((*mangling.ODD, "")).encode() + draw.choice((b"", *mangling.ILL_FORMED)))
                )
    head = kind.head + b"\n" if kind.head else b""
    end = draw.choice((b"\n", b"\r\n"))
    body = [head, *(one + end for _, one in entries)]
    whole = b"".join(body)[: None if draw.random() < 0.8 else -1]
    path = trial.place / f"f{number}{kind.ending}"
    if draw.random() < 0.2 and kind.ending in (".txt", ".tsv", ".jsonl", ".fasta", ".smi", ".csv", ".tmx", ".afa"):
        packed = gzip.compress(whole, mtime=0)
        path = path.with_name(path.name + ".gz")
        path.write_bytes(packed if draw.random() < 0.5 else mangling.mangled(draw, packed))
        damaged = path.read_bytes() != packed
    else:
        path.write_bytes(whole)
        damaged = False
    task = TASKS[kind.task or "translation"]
    config = task.config(**dict(kind.config))
    found = contract.read(trial, reader(task, kind, config, path), [path])
    trial.count("records", len(entries))
    trial.count("files")
    trial.count("records read", len(found))
    if (
        kind.apart
        and not damaged
        and end == b"\n"
        and not any(b"\n" in entry or b"\r" in entry for _, entry in entries)
    ):
        alone = path.with_name(f"g{number}{kind.ending}")
        alone.write_bytes(head + b"".join(entry + b"\n" if good else b"\n" for good, entry in entries))
        good = [
            (found.key, (found.source, found.target))
            for found in contract.read(trial, reader(task, kind, config, alone), [alone])
            if found.source
        ]
        contract.kept(good, found, lambda record: (record.source, record.target))
        trial.count("good records kept", len(good))
    if number % 4 == 0:
        encoded(trial, kind, config, found)


def reader(task: Task[Any], kind: Kind, config: Any, path: Path) -> Callable[[], Any]:
    """The format's own, or the one that all tasks have."""
    if not kind.task:
        return partial(read_jsonl, path)
    form = next(form for form in task.formats.values() if form.read is not None and kind.ending in form.endings)
    assert form.read is not None
    return partial(form.read, config, path)


def encoded(trial: Trial, kind: Kind, config: Any, found: list[Record]) -> None:
    """Into symbols and back: whatever was read can be shown to a model."""
    if kind.task in ("", "protein_alignment") or not found:
        return
    whole = [one for one in found if one.target is not None and one.source.strip() and one.target.strip()] or [
        Record("1", "abc", "abc")
    ]
    small = {"vocabulary": 400} if hasattr(config, "vocabulary") else {}
    codecs = TASKS[kind.task].codecs(type(config)(**{**dict(kind.config), **small}), whole * 3)
    for record in found:
        source = as_encoded(codecs.source.encode(record.source)).values
        hold(source.ndim == 1 and (source >= 0).all(), f"no symbols: {record.source!r:.200}")
        if record.target is not None:
            said = codecs.target.decode(list(codecs.target.encode(record.target)))
            hold(said or not record.target.strip(), f"no text: {record.target!r:.200}")
    trial.count("records shown to a model's codecs", len(found))


def parallel(trial: Trial) -> None:
    """Two files of which one has lost or gained lines: the message says where."""
    draw, task = trial.random, TASKS["translation"]
    for _ in range(10):
        count = draw.randint(300, 500)
        sources = [words(draw) * draw.choice((1, 1, 2, 5)) for _ in range(count)]
        targets = [f"{one} {one[:5]}" for one in sources]
        at = draw.choice((0, count // 2, count - 1, draw.randrange(count)))
        lost = draw.random() < 0.5
        targets[at : at + lost] = [] if lost else [words(draw) * 3]
        left, right = trial.place / "train.en", trial.place / "train.de"
        left.write_text("".join(f"{one}\n" for one in sources))
        right.write_text("".join(f"{one}\n" for one in targets))
        data = DataConfig(source="files", path=(str(trial.place),))
        try:
            list(task.sources["files"](task.config(), data, "train"))
        except DataError as error:
            said = int(str(error).rsplit(" ", 1)[1])
        else:
            said = -(10**6)
        trial.count("pairs of files with a line too few or too many")
        trial.measure("lines between where it is and where the message says", abs(said - at - 1))
        hold(
            abs(said - at - 1) <= 8,
            f"line {at + 1} of {count} was {'lost' if lost else 'doubled'}, and line {said} is named",
        )


def row(name: str, what: str, kinds: tuple[Kind, ...], goal: int, full: int, quick: int) -> Row:
    """All have one promise."""
    return Row(
        name,
        threat=f"{what}: mangled bytes, odd signs, entries that are wrong in all ways known",
        promise="No crash, no record that takes 2 s; each refusal is one line that begins with file:line; the good records keep "
        "their order, their keys and their content; what is read can be encoded.",
        trial=trial_of(kinds),
        unit="records",
        goal=goal,
        full=full,
        quick=quick,
        seconds=5.0,
    )


ROWS = (
    row("F1", "records of text", TEXT, 20_000, 42, 1),
    Row(
        "F1b",
        threat="parallel files of which one lost a line, or has one twice",
        promise="Refused, and the line is named, to within eight.",
        trial=parallel,
        unit="pairs of files with a line too few or too many",
        goal=300,
        full=30,
        quick=1,
    ),
    row("F2", "records of proteins", PROTEIN, 10_000, 20, 1),
    row("F3", "records of molecules and reactions", REACTION, 10_000, 20, 1),
    row("F5", "records of code", PROGRAM, 3_000, 10, 1),
)
