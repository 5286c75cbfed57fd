"""`predict`: inputs in the field's own formats, one answer each, in order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.decode.predict import BLANK
from core.errors import ConfigError, DataError
from core.record import Prediction, Record
from core.run.answering import Answerer
from core.run.attending import attention_folder
from core.run.confidence import confident, kept_temperature
from core.run.cut import Cut
from core.run.folder import existing_run
from core.run.growing import growing
from core.run.inputs import arriving, read_inputs
from core.run.progress import progress_bar
from core.run.reranking import judges
from core.run.stored import StoredRun, load_run, others_of, stored_config
from core.run.written import JSON, choose_format, destination, settings_of
from core.task import Format, Task

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
    ranked_by = judges(task, run.config.search, arguments.overrides)
    answer = Answerer(task, run.config, run.codecs, run.model, run.rule, others=others, ranked_by=ranked_by)
    refused: list[str] = []
    cut = Cut()
    if arguments.tokens:
        return growing(answer, form, refused)
    named = arguments.n_best is not None or any(one.startswith("search.n_best=") for one in arguments.overrides)
    count = run.config.search.n_best if named or form.shown is None else min(form.shown, run.config.search.n_best)
    believe = believer(run, form, alone=not others, least=arguments.abstain)
    with (
        attention_folder(run, arguments.attention) as look,
        destination(form, arguments.output, folder=arguments.folder) as write,
    ):
        if arguments.stream:
            parts = (answer([record], ignored) for record in arriving(task, run.config.task, refused))
        else:
            parts = answered(answer, read_inputs(task, run.config.task, arguments.inputs or ("-",), refused), refused)
        for predictions in parts:
            cut.count(predictions)
            for prediction in believe(predictions):
                write(prediction, count)
            look(predictions)
    if cut.words:
        print(cut.words, file=sys.stderr)
    for message in refused:
        print(f"error: {message}", file=sys.stderr)
    return DataError.exit_code if refused else 0


def believer(
    run: StoredRun, form: Format[Any], *, alone: bool, least: float | None
) -> Callable[[list[Prediction]], list[Prediction]]:
    """Adds confidence where the format tells it and the run has a temperature that was fitted for it alone.

    Answers less probable than `least` are left out.
    """
    temperature = kept_temperature(run.folder) if (form is JSON or least is not None) and alone else None
    if least is not None and temperature is None:
        reason = f"{run.folder.calibration} is missing; `train` and `report` write it" if alone else "not with --with"
        raise ConfigError(f"--abstain needs a temperature that was fitted on dev for this run alone: {reason}")
    if temperature is None:
        return lambda predictions: predictions
    longest = run.config.batch.longest

    def believed(predictions: list[Prediction]) -> list[Prediction]:
        found = confident(run.model, run.codecs, predictions, temperature, longest=longest)
        return found if least is None else [abstained(one, least) for one in found]

    return believed


def abstained(prediction: Prediction, least: float) -> Prediction:
    """A blank answer where the best one is less probable than that."""
    confidence = prediction.hypotheses[0].confidence if prediction.hypotheses else None
    if confidence is None or confidence >= least:
        return prediction
    meta = {**prediction.record.meta, "abstained": confidence}
    return Prediction(replace(prediction.record, meta=meta), (BLANK,))


def answered(answer: Answerer, inputs: Iterator[Record], refused: list[str]) -> Iterator[list[Prediction]]:
    """Chunk by chunk, with a bar where a person watches."""
    for records in chunks(inputs):
        begun = time.perf_counter()
        with progress_bar(len(records), "predicting") as advance:
            predictions = one_by_one(answer, records, refused, advance)
        if answer.task.cost is not None:
            print(answer.task.cost(predictions, time.perf_counter() - begun), file=sys.stderr)
        yield predictions


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
