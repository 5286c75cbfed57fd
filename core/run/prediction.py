"""`predict`: inputs in the field's own formats, one answer each, in order."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data.jsonl import read_jsonl
from core.decode.predict import predict_records
from core.errors import ConfigError, DataError
from core.record import Prediction, Record
from core.run.folder import existing_run
from core.run.progress import progress_bar
from core.run.stored import load_run
from core.task import Format, Task

if TYPE_CHECKING:
    from core.cli import PredictArguments

CHUNK = 10_000
"""Records decoded and written at a time, so that a long file answers as it goes."""


def predict(task: Task[Any], arguments: PredictArguments) -> int:
    """Results to --output or standard output; 3 if any input could not be read (the others are still done)."""
    more = (f"search.n_best={arguments.n_best}",) if arguments.n_best is not None else ()
    run = load_run(task, existing_run(arguments.run), (*widened(arguments), *arguments.overrides, *more))
    write = writer(task, arguments.format)
    refused: list[str] = []
    with output(arguments.output) as out:
        for records in chunks(read_inputs(task, run.config.task, arguments.inputs or ("-",), refused)):
            with progress_bar(len(records), "predicting") as advance:
                predictions = predict_records(
                    run.model,
                    run.codecs,
                    records,
                    run.config.search,
                    longest=run.config.batch.longest,
                    rule=run.rule,
                    seed=run.config.seed,
                    progress=advance,
                )
            for prediction in predictions:
                out(write(prediction, run.config.search.n_best) + "\n")
    for message in refused:
        print(f"error: {message}", file=sys.stderr)
    return DataError.exit_code if refused else 0


def widened(arguments: PredictArguments) -> tuple[str, ...]:
    """More answers than the stored search has beams: as many beams as answers."""
    asked = arguments.n_best
    told = any(one.split("=")[0] in ("search.beams", "search.strategy") for one in arguments.overrides)
    return (f"search.beams={asked}",) if asked is not None and asked > 5 and not told else ()


def writer(task: Task[Any], name: str | None) -> Callable[[Prediction, int], str]:
    """`--format`: jsonl, one of the task's, or the task's first; plain text where it has none."""
    own = {key: one.write for key, one in task.formats.items() if one.write is not None}
    if name is None:
        return next(iter(own.values()), as_text)
    choices: dict[str, Callable[[Prediction, int], str]] = {"text": as_text, "jsonl": as_json, **own}
    if name not in choices:
        raise ConfigError(f"--format {name}: unknown; one of {', '.join(choices)}")
    return choices[name]


def as_text(prediction: Prediction, n_best: int) -> str:
    """The answers, one a line."""
    answers = [one.output for one in prediction.hypotheses[:n_best]] or [""]
    return "\n".join(" ".join(answer.splitlines()) for answer in answers)


def as_json(prediction: Prediction, n_best: int) -> str:
    """One line an input: the answers with their scores."""
    return json.dumps(
        {
            "id": prediction.record.key,
            "source": prediction.record.source,
            "output": prediction.output,
            "hypotheses": [
                {
                    "output": one.output,
                    "score": one.score,
                    "logp": sum(one.logp),
                    "tokens_logp": list(one.logp),
                    "finish": one.finish,
                }
                for one in prediction.hypotheses[:n_best]
            ],
        },
        ensure_ascii=False,
        default=str,
    )


def read_inputs(task: Task[Any], config: Any, inputs: tuple[str, ...], refused: list[str]) -> Iterator[Record]:
    """Records of all inputs in order; an input that cannot be read is noted and passed over."""
    for name in inputs:
        try:
            yield from read_input(task, config, name)
        except DataError as error:
            refused.append(str(error))


def read_input(task: Task[Any], config: Any, name: str) -> Iterator[Record]:
    """`-` is standard input, as plain lines or as JSONL (told by its first character)."""
    if name == "-":
        yield from read_lines(task, config, sys.stdin.buffer, "standard input")
        return
    path = Path(name)
    if not path.exists():
        raise DataError(f"{name}: no such file")
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        for record in read_jsonl(path, read=task.read and (lambda value: task.read(config, value)), targets=False):  # pyright: ignore[reportOptionalCall]
            yield replace(record, target=None)
        return
    reader = native(task, path)
    if reader is not None:
        for record in reader(path):
            yield replace(record, target=None)
        return
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        yield from read_lines(task, config, lines, name)


def native(task: Task[Any], path: Path) -> Callable[[Path], Iterator[Record]] | None:
    """The task's reader for this ending."""
    able: list[Format] = [one for one in task.formats.values() if one.read is not None]
    return next((one.read for one in able if path.name.endswith(one.endings or ("\0",))), None)


def read_lines(task: Task[Any], config: Any, lines: io.BufferedIOBase | Any, name: str) -> Iterator[Record]:
    """A record a line, split at the line feed alone (str.splitlines would cut at U+2028 and lose the count)."""
    for number, raw in enumerate(lines, start=1):
        where = f"{name}:{number}"
        try:
            text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: not UTF-8 at byte {error.start + 1}") from None
        source = task.read(config, text) if task.read and text.strip() else text
        yield Record(str(number), source, meta={"place": where})


def chunks(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Lists of at most CHUNK."""
    held: list[Record] = []
    for record in records:
        held.append(record)
        if len(held) == CHUNK:
            yield held
            held = []
    if held:
        yield held


class output:
    """Where results go: a file that appears when it is whole, or standard output."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def __enter__(self) -> Callable[[str], object]:
        if self.path is None:
            sys.stdout.reconfigure(encoding="utf-8")  # pyright: ignore[reportAttributeAccessIssue]
            return sys.stdout.write
        if not self.path.parent.is_dir():
            raise ConfigError(f"--output {self.path}: no such folder {self.path.parent}")
        self.beside = self.path.with_name(f".{self.path.name}.new")
        self.file = self.beside.open("w", encoding="utf-8", newline="\n")
        return self.file.write

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self.path is None:
            sys.stdout.flush()
            return
        self.file.close()
        if kind is None:
            self.beside.replace(self.path)
        else:
            self.beside.unlink()
