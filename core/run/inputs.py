"""What `predict` is given: files, folders and standard input, as records in order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from core.data.jsonl import read_jsonl
from core.data.lines import BadLine, Line, read_lines
from core.data.sources import source_reader
from core.errors import BadRecord, DataError
from core.record import Record
from core.task import Format, Task

JSONL = (".jsonl", ".jsonl.gz")


def read_inputs(task: Task[Any], config: Any, inputs: tuple[str, ...], refused: list[str]) -> Iterator[Record]:
    """Records of all inputs in order. One that cannot be read is noted and keeps its place, with a blank answer."""
    for name in inputs:
        try:
            files = expanded(task, name)
        except DataError as error:
            refused.append(str(error))
            continue
        for file in files:
            yield from guarded(partial(read_input, task, config, file), refused, only_key(task, file))


def guarded(begin: Callable[[], Iterator[Record]], refused: list[str], key: str | None = None) -> Iterator[Record]:
    """The records of one file; a record that cannot be read keeps its place, a whole file only where it has a key."""
    try:
        found = begin()
        while True:
            try:
                yield next(found)
            except BadRecord as error:
                refused.append(str(error))
                number = error.place.rpartition(":")[2] if isinstance(error, BadLine) else ""
                yield Record(key or number, "", meta={"error": str(error)})
    except StopIteration:
        return
    except DataError as error:  # a whole file: the others are still done
        refused.append(str(error))
        if key is not None:
            yield Record(key, "", meta={"error": str(error)})


def only_key(task: Task[Any], name: str) -> str | None:
    """Of the one input that a file is; None for files that hold several."""
    found = None if name == "-" else native_format(task, Path(name))
    return Path(name).stem if found is not None and found.single else None


def expanded(task: Task[Any], name: str) -> list[str]:
    """A folder stands for the files in it, and below it, whose ending the task reads."""
    if name == "-" or not Path(name).is_dir():
        return [name]
    endings = (*JSONL, *(ending for one in task.formats.values() if one.read for ending in one.endings))
    found = sorted(str(path) for path in Path(name).rglob("*") if path.is_file() and path.name.endswith(endings))
    if not found:
        raise DataError(f"{name}: holds no {' or '.join(dict.fromkeys(endings))} file")
    return found


def read_input(task: Task[Any], config: Any, name: str) -> Iterator[Record]:
    """`-` is standard input, in plain lines; files are told apart by their ending."""
    if name == "-":
        return map(partial(as_record, read=source_reader(task, config, Path())), standard_input())
    path = Path(name)
    if not path.is_file():
        raise DataError(f"{name}: no such file")
    read = source_reader(task, config, path.parent)
    reader = native(task, path)
    if reader is not None:
        return map(without_target, reader(config, path))
    if path.name.endswith(JSONL):
        return read_jsonl(path, read=read, targets=False)
    return map(partial(as_record, read=read), read_lines(path))


def arriving(task: Task[Any], config: Any, refused: list[str]) -> Iterator[Record]:
    """Standard input as it comes: as the task hears it, else line by line."""
    if task.listen is not None:
        return guarded(partial(task.listen, config, sys.stdin.buffer), refused)
    return guarded(partial(read_input, task, config, "-"), refused)


def standard_input() -> Iterator[Line]:
    """As `read_lines` of a file."""
    for number, raw in enumerate(iter(sys.stdin.buffer.readline, b""), start=1):
        yield Line(Path("standard input"), number, raw.rstrip(b"\r\n"))


def without_target(record: Record) -> Record:
    """An answer is asked for, whatever the file knows."""
    return replace(record, target=None)


def as_record(line: Line, read: Callable[[Any], Any] | None) -> Record:
    """A line of plain text; one without anything on it stays blank."""
    text = line.text
    try:
        source = read(text) if read and text.strip() else text
    except BadRecord as error:
        raise line.bad(str(error)) from None
    return Record(str(line.number), source, meta={"place": line.place})


def native(task: Task[Any], path: Path) -> Callable[[Any, Path], Iterator[Record]] | None:
    """The task's reader for this ending."""
    found = native_format(task, path)
    return None if found is None else found.read


def native_format(task: Task[Any], path: Path) -> Format[Any] | None:
    """The task's format that reads this ending, the longest that fits."""
    able: list[tuple[int, Format[Any]]] = [
        (len(ending), one)
        for one in task.formats.values()
        if one.read is not None
        for ending in one.endings
        if path.name.endswith(ending)
    ]
    return max(able, key=lambda pair: pair[0])[1] if able else None
