"""`likelihood`: the log-probability of given targets, under the model itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.jsonl import converted, read_jsonl, read_line, text
from core.data.lines import Line, read_lines
from core.data.sources import source_reader
from core.errors import BadRecord, DataError
from core.record import Record
from core.report.forced import Forced, forced
from core.run.folder import existing_run
from core.run.inputs import expanded, guarded, native, read_input, standard_input
from core.run.prediction import chunks
from core.run.progress import progress_bar
from core.run.stored import load_run
from core.task import Task

if TYPE_CHECKING:
    from core.looking import LikelihoodArguments


def likelihood(task: Task[Any], arguments: LikelihoodArguments) -> int:
    """One line a target, in order; 3 if any input could not be read (the others are still done, its line is empty)."""
    run = load_run(task, existing_run(arguments.run), arguments.overrides)
    refused: list[str] = []
    records = read_pairs(task, run.config.task, arguments.inputs, arguments.targets, refused)
    told = in_json if arguments.format == "jsonl" else in_text
    with written(arguments.output) as write:
        for part in chunks(records):
            able = [record for record in part if record.target is not None]
            with progress_bar(len(able), "scoring") as advance:
                found = iter(
                    forced(run.model, run.codecs, able, longest=run.config.batch.longest, progress=advance)
                    if able
                    else ()
                )
            for record in part:
                write(told(record, next(found) if record.target is not None else None))
    for message in refused:
        print(f"error: {message}", file=sys.stderr)
    return DataError.exit_code if refused else 0


def read_pairs(
    task: Task[Any], config: Any, inputs: tuple[str, ...], targets: Path | None, refused: list[str]
) -> Iterator[Record]:
    """Records with targets; one that cannot be read, or has none, is noted and keeps its place without a target."""
    if targets is not None:
        yield from beside(task, config, inputs[0], targets, refused)
        return
    for name in inputs:
        try:
            files = expanded(task, name)
        except DataError as error:
            refused.append(str(error))
            continue
        for file in files:
            for record in guarded(partial(with_targets, task, config, file), refused):
                if record.target is None and "error" not in record.meta:
                    refused.append(f"{record.meta.get('place', record.key)}: no target to score")
                yield record


def with_targets(task: Task[Any], config: Any, name: str) -> Iterator[Record]:
    """JSONL, a format of the task that holds both sides, or lines `source TAB target`."""
    path = Path(name)
    read = source_reader(task, config, path.parent if name != "-" else Path())
    read_target = partial(task.read_target, config) if task.read_target else None
    if name != "-":
        if not path.is_file():
            raise DataError(f"{name}: no such file")
        reader = native(task, path)
        if reader is not None:
            return reader(config, path)
        if path.name.endswith((".jsonl", ".jsonl.gz")):
            return read_jsonl(path, read=read, read_target=read_target)
    lines = standard_input() if name == "-" else read_lines(path)

    def parse(line: Line) -> Record:
        if line.text.lstrip().startswith("{"):
            return read_line(line, read or text, read_target or text, targets=True, prefix="")
        source, tab, target = line.text.partition("\t")
        if not tab:
            raise line.bad('no tab: a line is `source TAB target`, or an object like {"source": ..., "target": ...}')
        return Record(
            str(line.number),
            converted(line, "source", read or text, source),
            converted(line, "target", read_target or text, target),
            {"place": line.place},
        )

    return map(parse, lines)


def beside(task: Task[Any], config: Any, name: str, targets: Path, refused: list[str]) -> Iterator[Record]:
    """A file of sources and a file of targets, record by line; their numbers must agree."""
    if not targets.is_file():
        raise DataError(f"--targets {targets}: no such file")
    read_target = partial(task.read_target, config) if task.read_target else text
    sources = list(guarded(partial(read_input, task, config, name), refused))
    lines = list(read_lines(targets))
    if len(sources) != len(lines):
        raise DataError(f"{name} has {len(sources):,} records, {targets} has {len(lines):,} lines")
    for record, line in zip(sources, lines, strict=True):
        try:
            target = converted(line, "target", read_target, line.text)
        except BadRecord as error:
            refused.append(str(error))
            yield replace(record, target=None, meta={**record.meta, "error": str(error)})
        else:
            yield record if "error" in record.meta else replace(record, target=target)


def in_text(record: Record, found: Forced | None) -> str:
    """Log-probability, tokens (the end symbol counts), log-probability per token."""
    if found is None:
        return ""
    return f"{found.total:.6f}\t{len(found.tokens)}\t{found.total / len(found.tokens):.6f}"


def in_json(record: Record, found: Forced | None) -> str:
    """With every token; `perplexity` is exp of minus the mean."""
    tree: dict[str, Any] = {"id": record.key}
    if found is None:
        return json.dumps(tree | {"error": record.meta.get("error", "no target")}, ensure_ascii=False)
    mean = found.total / len(found.tokens)
    tree |= {
        "logp": found.total,
        "tokens": len(found.tokens),
        "perplexity": float(np.exp(-mean)),
        "tokens_logp": found.logp.tolist(),
        "likeliest": found.right.tolist(),
    }
    return json.dumps(tree, ensure_ascii=False)


@contextmanager
def written(output: Path | None) -> Generator[Callable[[str], None], None, None]:
    """Lines to standard output, or to a file that appears when it is whole."""
    if output is None:
        yield print
        return
    if not output.parent.is_dir():
        raise DataError(f"--output {output}: no such folder {output.parent}")
    beside_it = output.with_name(f".{output.name}.new")
    try:
        with beside_it.open("w", encoding="utf-8", newline="\n") as file:
            yield lambda line: (file.write(line + "\n"), None)[1]
        beside_it.replace(output)
    finally:
        beside_it.unlink(missing_ok=True)
