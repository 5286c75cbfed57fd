"""F1, F2, F3, F5: files of lines, of which some are good and the others anything, in every format of text, proteins, reactions and code.

Half of the records are spelled by our own generator, which knows what has hurt readers, and half by Hypothesis (drawn.py), which
searches and shortens.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.torture import contract, drawn, mangling
from benchmarks.torture.kinds import PROGRAM, PROTEIN, REACTION, TEXT, Kind, words
from benchmarks.torture.rows import Row, Trial, hold
from core.codec.types import as_encoded
from core.data.config import DataConfig
from core.data.jsonl import read_jsonl
from core.errors import DataError
from core.record import Record
from core.task import Task
from tasks import TASKS

RECORDS = 25
"""Of a file of ours."""


def trial_of(kinds: tuple[Kind, ...]) -> Callable[[Trial], None]:
    """Files of these formats, one after the other; then one of them by Hypothesis."""

    def trial(trial: Trial) -> None:
        for number in range(6 if trial.quick else 10):
            kind = kinds[(trial.number * 10 + number) % len(kinds)]
            brought(trial, kind, number, spelled(trial.random, kind), trial.random)
        kind = kinds[trial.number % len(kinds)]
        drawn.files(trial, kind, lambda number, entries, draw: brought(trial, kind, number, entries, draw))

    return trial


def spelled(draw: random.Random, kind: Kind) -> list[tuple[bool, bytes]]:
    """Whether it is good, and the line."""
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
    return entries


def brought(trial: Trial, kind: Kind, number: int, entries: Sequence[tuple[bool, bytes]], draw: random.Random) -> None:
    """One file, read; its good lines alone, read; and what came, encoded."""
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
