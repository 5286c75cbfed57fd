"""What a report asks of a trained model: attention, exposure bias, calibration. Each part is measured or says why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from core.errors import UserError
from core.record import Prediction
from core.report.attention import Attention, attend_to
from core.report.calibration import by_coverage, fit_temperature, reliability, risk_coverage
from core.report.diagnoses import Calibrated
from core.report.examples import as_text
from core.report.exposure import Exposure, exposure, spells_itself
from core.report.forced import forced
from core.run.confidence import kept_temperature
from core.run.stored import StoredRun
from core.task import Metric

T = TypeVar("T")
Progress = Callable[[int], None]
"""Told how many more outputs, of those that a part looks at, are done."""
ATTENDED = 40
"""Outputs whose attention is looked at."""
FULL = 10
"""Of those that get a second opinion, which costs a reading of the source for every step."""


def tried(measure: Callable[[], T]) -> tuple[T | None, str]:
    """What was found, or the reason of a refusal."""
    try:
        return measure(), ""
    except UserError as reason:
        return None, str(reason)


def own_tokens(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Answers that are one search's own: pieces, votes and the like have no tokens to look at."""
    return [
        one for one in predictions if one.hypotheses and len(one.hypotheses[0].logp) >= 1 and one.hypotheses[0].tokens
    ]


def quiet(done: int) -> None:
    """Where nobody watches."""


def attentions(
    run: StoredRun, predictions: Sequence[Prediction], progress: Progress = quiet
) -> tuple[list[Attention], str]:
    """Of the best answers, ATTENDED at most."""
    answered = own_tokens(predictions)
    if not answered:
        return [], "the answers have no tokens of one search, since the task solves records in several"

    def look() -> list[Attention]:
        longest, found = run.config.batch.longest, list[Attention | None]()
        for row, one in enumerate(answered[:ATTENDED]):
            best, full = one.hypotheses[0], row < FULL
            found.append(attend_to(run.model, run.codecs, one.record, best, longest=longest, full=full))
            progress(1)
        return [one for one in found if one is not None]

    found, reason = tried(look)
    return found or [], reason or ("" if found else "this decoder has no attention")


def exposed(
    run: StoredRun, predictions: Sequence[Prediction], metric: Metric, progress: Progress = quiet
) -> tuple[Exposure | None, str]:
    """Under the right prefix, its own, and corrupted ones; the metric only of tasks whose answers are what their tokens spell.

    Each output is read core.report.exposure.READINGS times, and `progress` is told of each.
    """
    if not run.model.reads_words:
        return None, "this decoder says all tokens at once: what it says does not depend on what it said before"
    answered = own_tokens(predictions)
    if len(answered) < 2:
        return None, "fewer than two answers have tokens of one search"
    longest = run.config.batch.longest
    measured = metric if all(spells_itself(run.codecs, one) for one in answered) else None
    ruled = run.rule is not None
    return tried(
        lambda: exposure(
            run.model, run.codecs, answered, longest=longest, metric=measured, ruled=ruled, progress=progress
        )
    )


def judgings(count: int, split: str) -> int:
    """What calibration reads of so many answers: targets and answers of those that it judges, as trained and with a temperature."""
    return 4 * (count // 2 if split == "dev" else count)


def same_answer(run: StoredRun, output: str, target: object) -> bool:
    """By the task's canonical form where it has one."""
    form = run.task.canonical(run.config.task) if run.task.canonical else None
    right = as_text(target)
    if form is None:
        return output.strip() == right.strip()
    mine = form(output)
    return mine is not None and mine == form(right)


def calibrated(
    run: StoredRun,
    predictions: Sequence[Prediction],
    split: str,
    metric: Metric | None = None,
    progress: Progress = quiet,
) -> tuple[Calibrated | None, str]:
    """On dev the temperature is fitted on every second record and judged on the others; elsewhere the run's own is judged.

    Of what is read `progress` is told, `judgings` in all.
    """
    kept = kept_temperature(run.folder) if split != "dev" else None
    fitted, judged = ([], list(predictions)) if kept else (predictions[::2], predictions[1::2])
    if len(judged) < 10:
        few = f"{len(predictions)} records are too few"
        return None, few if kept else f"{few} to fit a temperature on one half and judge it on the other"
    longest = run.config.batch.longest

    def measure() -> Calibrated:
        temperature = kept or fit_temperature(run.model, run.codecs, [one.record for one in fitted], longest=longest)
        temperatures = (1.0, temperature)
        records = [one.record for one in judged]
        tokens = [
            reliability(
                np.exp(np.concatenate([one.best for one in found])), np.concatenate([one.right for one in found])
            )
            for found in (
                forced(run.model, run.codecs, records, longest=longest, temperature=t, progress=progress)
                for t in temperatures
            )
        ]
        answered = own_tokens(judged)
        whole, coverage, worth = None, (), ()
        if len(answered) == len(judged):
            ids = [list(one.hypotheses[0].tokens) for one in answered]
            right = np.array([same_answer(run, one.output, one.record.target) for one in answered], float)
            said = [
                forced(run.model, run.codecs, records, longest=longest, targets=ids, temperature=t, progress=progress)
                for t in temperatures
            ]
            sure = [np.exp([one.total for one in found]) for found in said]
            mean = np.exp([one.total / len(one.logp) for one in said[1]])
            whole = (reliability(sure[0], right), reliability(sure[1], right))
            orders = (("by the answer's probability", sure[1]), ("by its mean per token", mean))
            coverage = tuple((name, *risk_coverage(by, 1 - right)) for name, by in orders)
            if metric is not None:
                rows, value = metric.statistics(judged), metric.score
                worth = tuple((name, *by_coverage(by, lambda some: value(rows[some]))) for name, by in orders)
        else:
            progress(len(temperatures) * len(judged))
        return Calibrated(
            temperature,
            len(fitted),
            len(judged),
            (tokens[0], tokens[1]),
            whole,
            "" if whole else "not all answers have tokens of one search",
            coverage,
            run.config.train.label_smoothing,
            "" if metric is None else metric.name,
            worth,
        )

    return tried(measure)
