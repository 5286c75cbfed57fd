"""`predict`: inputs in the field's own formats, one answer each, in order."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data.jsonl import read_jsonl
from core.data.lines import Line, read_lines
from core.decode.predict import predict_records
from core.errors import BadRecord, ConfigError, DataError
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
    error = prediction.record.meta.get("error")
    return json.dumps(
        {
            **({"error": error} if error else {}),
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
    """Records of all inputs in order. One that cannot be read is noted and keeps its place, with a blank answer."""
    for name in inputs:
        try:
            found = read_input(task, config, name)
            while True:
                try:
                    yield next(found)
                except BadRecord as error:
                    refused.append(str(error))
                    yield Record("", "", meta={"error": str(error)})
        except StopIteration:
            continue
        except DataError as error:  # a whole file: the others are still done
            refused.append(str(error))


def read_input(task: Task[Any], config: Any, name: str) -> Iterator[Record]:
    """`-` is standard input, in plain lines; files are told apart by their ending."""
    read = partial(task.read, config) if task.read else None
    if name == "-":
        return map(partial(as_record, read=read), standard_input())
    path = Path(name)
    if not path.is_file():
        raise DataError(f"{name}: no such file")
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return read_jsonl(path, read=read, targets=False)
    reader = native(task, path)
    if reader is not None:
        return map(without_target, reader(path))
    return map(partial(as_record, read=read), read_lines(path))


def standard_input() -> Iterator[Line]:
    """As `read_lines` of a file."""
    for number, raw in enumerate(sys.stdin.buffer, start=1):
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


def native(task: Task[Any], path: Path) -> Callable[[Path], Iterator[Record]] | None:
    """The task's reader for this ending."""
    able: list[Format] = [one for one in task.formats.values() if one.read is not None]
    return next((one.read for one in able if path.name.endswith(one.endings or ("\0",))), None)


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
