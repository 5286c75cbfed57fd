"""S3: small files that mean to be large, and headers that lie."""

from __future__ import annotations

import gzip
import json
import resource
import struct
import time
from collections.abc import Iterator
from typing import Any

import torch
from safetensors.torch import save as dump_tensors

from benchmarks.torture.doors import Door, checkpoint, file_doors, run_doors, run_folder
from benchmarks.torture.rows import Row, Trial, hold
from core.errors import DataError, UserError
from core.train.checkpoint import read_checkpoint, tensors

HEADERS = 250
"""Of a trial."""
MOST_MIB = 64
"""By which memory may grow beyond the file that is refused."""
MOST_SECONDS = 1.0
EMPTY, MOST_SECONDS_OF_EMPTY, MOST_MIB_OF_EMPTY = "a million line feeds", 5.0, 200
"""They are a million records to some readers, each with its place."""
TRIES = 4
"""More, where the first took too long: the least is the door's own."""
CALLED = set[str]()
"""Verbs that this process has called: a first call imports what it needs, and is not timed."""
DTYPES = ("F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "X9", "", "f32")
SIZES = (0, 1, 2, -1, 1 << 31, 1 << 32, 1 << 62, 1 << 63, 1 << 64, 1.5, "2", None)


def headers(trial: Trial) -> None:
    """Whatever a safetensors header says: tensors, or one line."""
    draw = trial.random
    whole = dump_tensors({"a": torch.ones(2, 2), "b": torch.zeros(3)})
    for _ in range(HEADERS if not trial.quick else 60):
        match draw.randint(0, 4):
            case 0:
                raw = bytearray(whole)
                for _ in range(draw.choice((1, 2, 8))):
                    raw[draw.randrange(len(raw))] ^= 1 << draw.randint(0, 7)
                content = bytes(raw)
            case 1:
                content = whole[: draw.randrange(len(whole))]
            case 2:
                size = draw.choice((0, 1, 7, len(whole), 1 << 27, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1))
                content = struct.pack("<Q", size) + whole[8:]
            case _:
                content = told(header(trial), draw.randbytes(draw.choice((0, 4, 28, 64))))
        try:
            tensors({"weights.safetensors": content}, "weights", trial.place)
            trial.count("headers read")
        except DataError as error:
            hold("\n" not in str(error) and len(str(error)) < 4000, f"no single line: {error!s:.200}")
            trial.count("headers refused")
        trial.count("headers")


def header(trial: Trial) -> Any:
    """A table of tensors, none of which need be."""
    draw = trial.random
    table: dict[str, Any] = {}
    for number in range(draw.choice((0, 1, 2, 3))):
        begin, end = draw.choice((0, 0, 4, *SIZES)), draw.choice((4, 16, 28, *SIZES))
        shape = draw.choice(([], [1], [2, 2], [draw.choice(SIZES)], [1 << 32, 1 << 32], [0, 1 << 62], "2", None))
        one = {
            "dtype": draw.choice(DTYPES),
            "shape": shape,
            "data_offsets": draw.choice(([begin, end], [begin], [], None)),
        }
        if draw.random() < 0.1:
            one.pop(draw.choice(list(one)))
        table[draw.choice(("a", "b", "", "../x", "\0", f"t{number}", "é" * 300))] = one
    if draw.random() < 0.3:
        table["__metadata__"] = draw.choice(({}, {"a": "b"}, {"a": 1}, [], None, {"a": {"b": "c"}}))
    return draw.choice((table, table, table, [], 1, None, [table]))


def told(tree: Any, body: bytes) -> bytes:
    """As a file."""
    raw = json.dumps(tree).encode()
    return struct.pack("<Q", len(raw)) + raw + body


def many_tensors(count: int) -> bytes:
    """A header of so many tensors of nothing."""
    return told({f"t{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(count)}, b"")


def bombs(trial: Trial) -> Iterator[tuple[str, bytes]]:
    """(what it is, the file)."""
    deep = "[" * 100_000 + "]" * 100_000
    yield "JSON nested 100,000 deep", deep.encode()
    yield "objects nested 100,000 deep", ('{"a":' * 100_000 + "1" + "}" * 100_000).encode()
    yield "a number of a million digits", b'{"source": ' + b"9" * 1_000_000 + b"}"
    yield "NaN", b'{"step": NaN, "source": NaN}'
    yield "1e999", b'{"step": 1e999, "source": 1e999, "format": 1}'
    yield "a key a hundred thousand times", b"{" + b'"a": 1, ' * 100_000 + b'"a": 1}'
    yield "TOML nested deep", b"a = " + b"[" * 100_000
    yield "a header of 100,000 tensors", many_tensors(100_000)
    yield "a header of 2^63 bytes", struct.pack("<Q", 1 << 63) + b"{}"
    yield "a header of 100 million bytes", struct.pack("<Q", 100_000_000) + b"{" + b" " * 1000
    declared = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "' + b"x" * 1000 + b'"><!ENTITY c "' + b"&b;" * 1000
    yield "entities that grow", declared + b'">]><tmx>&c;</tmx>'
    yield "elements nested 100,000 deep", b"<tmx>" + b"<tu>" * 100_000
    yield "an attribute of a million characters", b'<tmx a="' + b"x" * 1_000_000 + b'"/>'
    yield "a line of a million blanks", b" " * 1_000_000
    yield "a million quotes", b'"' * 1_000_000
    yield "a million tabs", b"\t" * 1_000_000
    yield "a million brackets", b"[" * 1_000_000
    yield EMPTY, b"\n" * 1_000_000
    yield "zeros", bytes(1_000_000)
    yield (
        "a sound of 65,535 channels",
        struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 36, b"WAVE", b"fmt ", 16, 1, 65535, 16000, 0, 2, 16, b"data", 0xFFFFFFFF
        )
        + bytes(100_000),
    )
    yield (
        "a FLAC file of 2^36 samples",
        b"fLaC\x80\x00\x00\x22" + bytes.fromhex("10001000000000000000" + "03e800f" + "fffffffff") + bytes(16),
    )


def exploded(trial: Trial) -> None:
    """One bomb at every door: refused, or read, in a second and in little memory."""
    every = list(bombs(trial))
    what, content = every[trial.number % len(every)]
    (trial.place / "encoder").mkdir()
    run = run_folder(trial.shared)
    doors = [*run_doors(run, trial.place), *file_doors(trial.place)]
    chosen = doors if not trial.quick else trial.random.sample(doors, 12)
    for door in chosen:
        before = door.path.read_bytes() if door.path.exists() else None
        opened(trial, door, gzip.compress(content, 1) if door.path.suffix == ".gz" else content, what)
        if before is not None:
            door.path.write_bytes(before)
        else:
            door.path.unlink(missing_ok=True)


def opened(trial: Trial, door: Door, content: bytes, what: str) -> None:
    """Time and memory of one reading."""
    door.path.parent.mkdir(parents=True, exist_ok=True)
    door.path.write_bytes(content)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent, told = timed(door)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - largest) / 1024 - 2 * len(content) / 2**20
    trial.count("bombs")
    trial.count("bombs refused" if told else "bombs read as what they also are")
    hold("\n" not in told, f"no single line: {told:.200}")
    verb = door.name.rpartition(" by ")[2] if "run/" in door.name else ""
    if not verb or verb in CALLED:
        most = (MOST_SECONDS_OF_EMPTY if what == EMPTY else MOST_SECONDS) + 2.0 * bool(verb)
        for _ in range(TRIES):  # what else the machine does can only add to it
            if spent < most:
                break
            spent = min(spent, timed(door)[0])
        trial.measure("longest refusal in seconds", spent)
        hold(spent < most, f"{what}, as {door.name}: {spent:.1f} s")
    CALLED.add(verb)
    trial.measure("largest growth of memory in MiB", grown)
    most_mib = MOST_MIB_OF_EMPTY if what == EMPTY else MOST_MIB
    hold(grown < most_mib or "run/" in door.name, f"{what}, as {door.name}: {grown:.0f} MiB")


def timed(door: Door) -> tuple[float, str]:
    """The processor's seconds of one reading, and what a refusal said."""
    begun, told = time.process_time(), ""
    try:
        door.open()
    except UserError as error:
        told = str(error) or "refused"
    return time.process_time() - begun, told


def sparse(trial: Trial) -> None:
    """Weights of a terabyte that take no room on the disk."""
    own = checkpoint(trial.place)
    for name in ("weights.safetensors", "codecs.json", "manifest.json"):
        whole = (own / name).read_bytes()
        with (own / name).open("r+b") as file:
            file.truncate(1 << 40)
        begun = time.process_time()
        try:
            read_checkpoint(own)
        except DataError:
            trial.count("files of a terabyte refused")
        hold(time.process_time() - begun < MOST_SECONDS, f"{name}: {time.process_time() - begun:.1f} s")
        (own / name).write_bytes(whole)


ROWS = (
    Row(
        "S3",
        threat="headers of safetensors files: bits flipped, sizes that lie, offsets that overlap, shapes without end",
        promise="Tensors, or one line.",
        trial=headers,
        unit="headers",
        goal=10_000,
        full=40,
        quick=1,
        seconds=3.0,
    ),
    Row(
        "S3b",
        threat="bombs at every door: JSON nested 100,000 deep, entities, packed lines, headers of 2^63 bytes",
        promise="Refused, or read as what they also are, within a second, and within 64 MiB beyond twice the file; a million empty "
        "records in five, within 200.",
        trial=exploded,
        unit="bombs",
        goal=1000,
        full=21,
        quick=1,
        seconds=30.0,
        limit=600.0,
    ),
    Row(
        "S3c",
        threat="files of a terabyte that take no room on the disk",
        promise="Refused at once by their size.",
        trial=sparse,
        unit="files of a terabyte refused",
        goal=3,
        full=1,
        quick=1,
        seconds=3.0,
    ),
)
