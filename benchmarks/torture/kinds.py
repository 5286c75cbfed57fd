"""Formats of text, proteins, reactions and code: what is good in each, and which entries are wrong or try what its reader can do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.torture.oddities import OBJECTS, PROGRAMS, PROTEINS, SMILES, TABLE

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
