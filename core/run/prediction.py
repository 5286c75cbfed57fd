"""`predict`: inputs in the field's own formats, one answer each, in order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.decode.predict import BLANK
from core.errors import DataError
from core.record import Prediction, Record
from core.run.answering import Answerer
from core.run.folder import existing_run
from core.run.inputs import arriving, read_inputs
from core.run.progress import progress_bar
from core.run.stored import load_run, others_of, stored_config
from core.run.written import choose_format, destination, settings_of
from core.task import Task

if TYPE_CHECKING:
    from core.cli import PredictArguments

CHUNK = 10_000
"""Records decoded and written at a time, so that a long file answers as it goes."""


def predict(task: Task[Any], arguments: PredictArguments) -> int:
    """Results to --output or standard output; 3 if any input could not be read (the others are still done)."""
    form = choose_format(task, arguments.format)
    asked = (f"search.n_best={arguments.n_best}",) if arguments.n_best is not None else ()
    told = (*settings_of(form, arguments.overrides), *arguments.overrides)
    settings = (*told, *widened(task, arguments, told), *asked)
    run = load_run(task, existing_run(arguments.run), settings)
    others = others_of(run, arguments.others)
    answer = Answerer(task, run.config, run.codecs, run.model, run.rule, others=others)
    refused: list[str] = []
    named = arguments.n_best is not None or any(one.startswith("search.n_best=") for one in arguments.overrides)
    count = run.config.search.n_best if named or form.shown is None else min(form.shown, run.config.search.n_best)
    with destination(form, arguments.output, folder=arguments.folder) as write:
        if arguments.stream:
            for record in arriving(task, run.config.task, refused):
                write(answer([record], ignored)[0], count)
        else:
            inputs = read_inputs(task, run.config.task, arguments.inputs or ("-",), refused)
            for prediction in answered(answer, inputs, refused):
                write(prediction, count)
    for message in refused:
        print(f"error: {message}", file=sys.stderr)
    return DataError.exit_code if refused else 0


def answered(answer: Answerer, inputs: Iterator[Record], refused: list[str]) -> Iterator[Prediction]:
    """Chunk by chunk, with a bar where a person watches."""
    for records in chunks(inputs):
        begun = time.perf_counter()
        with progress_bar(len(records), "predicting") as advance:
            predictions = one_by_one(answer, records, refused, advance)
        if answer.task.cost is not None:
            print(answer.task.cost(predictions, time.perf_counter() - begun), file=sys.stderr)
        yield from predictions


def one_by_one(
    answer: Answerer, records: list[Record], refused: list[str], progress: Callable[[int], None]
) -> list[Prediction]:
    """All at once; where that fails for one of them, halves, until that one is alone, refused, with a blank answer."""
    try:
        return answer(records, progress)
    except DataError as error:
        if len(records) == 1:
            refused.append(str(error))
            (record,) = records
            return [Prediction(replace(record, meta={**record.meta, "error": str(error)}), (BLANK,))]
        half = len(records) // 2
        parts = records[:half], records[half:]
        return [one for part in parts for one in one_by_one(answer, part, refused, ignored)]


def ignored(done: int) -> None:
    """Progress that nobody watches."""


def widened(task: Task[Any], arguments: PredictArguments, told: Sequence[str]) -> tuple[str, ...]:
    """More answers than the stored search has beams: as many beams as answers, unless the user says how many."""
    asked = arguments.n_best
    if asked is None or any(
        one.partition("=")[0].strip() in ("search.beams", "search.strategy") for one in arguments.overrides
    ):
        return ()
    search = stored_config(task, existing_run(arguments.run), (*told, "search.n_best=1")).search
    return (f"search.beams={asked}",) if search.strategy != "greedy" and asked > search.beams else ()


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
