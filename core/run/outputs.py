"""Anyone's outputs, read from a file and put beside the records that they answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.data.lines import Line, read_lines
from core.errors import DataError
from core.nearest import did_you_mean
from core.record import Hypothesis, Prediction, Record
from core.task import Task

Answers = list[tuple[str | None, tuple[str, ...]]]
"""Id, where there is one, and the outputs, best first."""


def read_outputs(task: Task[Any], config: Any, path: Path, records: Sequence[Record]) -> list[Prediction]:
    """Joined by id where every output has one, else in order; wrong counts and unknown ids are refused."""
    if not path.is_file():
        raise DataError(f"--predictions {path}: no such file")
    answers = native_outputs(task, config, path)
    if answers is None:
        jsonl = path.name.endswith((".jsonl", ".jsonl.gz"))
        answers = [parse_json(line) if jsonl else (None, (line.text,)) for line in read_lines(path)]
    if len(answers) != len(records):
        raise DataError(f"{path}: {len(answers):,} outputs for {len(records):,} records")
    keys = [key for key, _ in answers]
    if None not in keys and jsonl_ids(path):
        return joined(path, answers, records)
    return [predicted(record, outputs) for record, (_, outputs) in zip(records, answers, strict=True)]


def jsonl_ids(path: Path) -> bool:
    """Only JSONL names records as we do; native formats number them."""
    return path.name.endswith((".jsonl", ".jsonl.gz"))


def joined(path: Path, answers: Answers, records: Sequence[Record]) -> list[Prediction]:
    """By id."""
    by_key = dict(answers)
    if len(by_key) != len(answers):
        seen: set[str | None] = set()
        twice = next(key for key, _ in answers if key in seen or seen.add(key))
        raise DataError(f"{path}: the id {twice!r} stands there twice")
    known = {record.key for record in records}
    for key in by_key:
        if key not in known:
            raise DataError(f"{path}: no record has the id {key!r}{did_you_mean(str(key), known)}")
    return [predicted(record, by_key[record.key]) for record in records]


def predicted(record: Record, outputs: Sequence[str]) -> Prediction:
    """Outputs without scores."""
    return Prediction(record, tuple(Hypothesis(output, -float(rank)) for rank, output in enumerate(outputs)))


def native_outputs(task: Task[Any], config: Any, path: Path) -> Answers | None:
    """A native format that holds both sides: its targets are the outputs. None for other files."""
    if jsonl_ids(path) and ours(path):
        return None
    for form in task.formats.values():
        if form.read is not None and path.name.endswith(form.endings or ("\0",)):
            found = list(form.read(config, path))
            if found and all(record.target is not None for record in found):
                return [(record.key, (str(record.target),)) for record in found]
    return None


def ours(path: Path) -> bool:
    """Whether a JSONL file begins as `predict` writes it; a task may read another layout of the same ending."""
    first = next(read_lines(path), None)
    return first is not None and any(key in first.raw for key in (b'"output"', b'"hypotheses"'))


def parse_json(line: Line) -> tuple[str | None, tuple[str, ...]]:
    """{"id", "output"} or {"id", "hypotheses": [{"output"}]}."""
    try:
        tree = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        raise line.bad(f"not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise line.bad('an object like {"id": ..., "output": ...} is right')
    key: Any = tree.get("id")
    several: Any = tree.get("hypotheses")
    outputs: list[Any]
    if isinstance(several, list) and several:
        outputs = [one.get("output") if isinstance(one, dict) else None for one in several]
    else:
        outputs = [tree.get("output")]
    if not all(isinstance(one, str) for one in outputs):
        raise line.bad("no `output`, or one that is no text")
    return (None if key is None else str(key)), tuple(outputs)
