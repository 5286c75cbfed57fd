"""The field's own files: JSON lines with tests, requests in lines of text, and two parallel files of requests and code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from core.data.config import DataConfig
from core.data.files import own_file
from core.data.jsonl import json_object, read_tree, text
from core.data.lines import BadLine, Line, read_lines
from core.data.parallel import read_parallel
from core.data.sources import read_files, with_holdout
from core.errors import BadRecord, ConfigError, DataError
from core.record import Prediction, Record, Split
from core.task import Format
from tasks.code_synthesis.canonical import read_target
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.running import tests_of

SIDES = ((".nl", ".code"), (".anno", ".code"))
"""Endings of requests and of code, as published sets have them."""


def read_text(cfg: CodeConfig, path: Path) -> Iterator[Record]:
    """A request a line, the empty ones too: outputs must be as many as inputs."""

    def parse(line: Line) -> Record:
        return Record(str(line.number), line.text, meta={"place": line.place})

    return map(parse, read_lines(path))


def read_jsonl(cfg: CodeConfig, path: Path) -> Iterator[Record]:
    """An object a line: `source`, `target`, and, beside them or in `meta`, `tests` (hidden) and `examples` (given)."""

    def parse(line: Line) -> Record:
        tree = json_object(line)
        own = {name: tree[name] for name in ("tests", "examples") if tree.get(name) is not None}
        if not isinstance(tree.get("meta") or {}, dict):
            raise line.bad("`meta` is no object")
        tree = {**tree, "meta": {**(tree.get("meta") or {}), **own}}
        record = read_tree(
            tree, line, text, partial(read_target, cfg), targets=tree.get("target") is not None, prefix=""
        )
        for name in ("tests", "examples"):
            try:
                tests_of(record, name)
            except BadRecord as error:
                raise line.bad(str(error).removeprefix(f"{line.place}: ")) from None
        return record

    return map(parse, (line for line in read_lines(path) if line.raw.strip()))


def write_cells(prediction: Prediction, n_best: int) -> str:
    """A cell of code a candidate, under a comment that names the request, as editors and notebooks cut Python files."""
    if error := prediction.record.meta.get("error"):
        return f"# %% {prediction.record.key}: refused: {' '.join(str(error).split())}"
    request = " ".join(str(prediction.record.source).split())
    answers = [one.output for one in prediction.hypotheses[:n_best]] or [""]
    cells: list[str] = []
    for number, code in enumerate(answers, start=1):
        which = f" ({number} of {len(answers)})" if len(answers) > 1 else ""
        cells.append(f"# %% {prediction.record.key}{which}: {request}\n{code.strip(chr(10))}".rstrip("\n"))
    return "\n".join(cells)


def write_code(prediction: Prediction, n_best: int) -> str:
    """The code alone, for one file an input; several candidates stand one after the other."""
    return "\n\n".join(one.output.strip("\n") for one in prediction.hypotheses[:n_best]).rstrip("\n")


FORMATS: dict[str, Format[CodeConfig]] = {
    "cells": Format(write=write_cells, shown=1),
    "code": Format(write=write_code, suffix=".py", shown=1),
    "jsonl": Format(endings=(".jsonl", ".jsonl.gz"), read=read_jsonl),
    "text": Format(endings=(".txt", ".txt.gz", ".nl", ".anno"), read=read_text),
}


def files(cfg: CodeConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Parallel files `train.nl` and `train.code` (or `.anno` and `.code`); `data.train` names the first."""

    def read(split: Split) -> Iterator[Record]:
        if pair := parallel_files(data, split):
            return map(normalised(cfg), read_parallel(*pair, split))
        return read_files(FORMATS, cfg, data, split)

    return with_holdout(read, data)(split)


def normalised(cfg: CodeConfig) -> Callable[[Record], Record]:
    """The target as the model is to write it; refused, with the place, where it is no code."""

    def change(record: Record) -> Record:
        try:
            return replace(record, target=read_target(cfg, record.target))
        except BadRecord as error:
            raise BadLine(record.meta["place"], str(error), f"{record.source}\t{record.target}") from None

    return change


def parallel_files(data: DataConfig, split: Split) -> tuple[Path, Path] | None:
    """The two files of a split."""
    if single := own_file(data, split):
        for ours, theirs in SIDES:
            if single.name.endswith(ours):
                other = single.with_name(single.name.removesuffix(ours) + theirs)
                if not other.is_file():
                    raise DataError(f"data.{split}: {single} has no {other.name} beside it")
                return single, other
        return None
    for folder in map(Path, data.path):
        for ours, theirs in SIDES:
            left, right = folder / f"{split}{ours}", folder / f"{split}{theirs}"
            if left.is_file():
                if not right.is_file():
                    raise DataError(f"{left} has no {right.name} beside it")
                if len(data.path) > 1:
                    raise ConfigError("data.path: parallel files are read from one folder only")
                return left, right
    return None
