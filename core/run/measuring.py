"""What a report asks of a trained model: attention, exposure bias, calibration, beams. Each part is measured or says why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from core.errors import UserError
from core.record import Hypothesis, Prediction
from core.report.attention import Attention, attend_to
from core.report.calibration import fit_temperature, reliability, risk_coverage
from core.report.diagnoses import BeamRow, Calibrated
from core.report.examples import as_text
from core.report.exposure import Exposure, exposure
from core.report.forced import forced
from core.run.answering import Answerer
from core.run.stored import StoredRun
from core.task import Metric

T = TypeVar("T")
BEAMS = (1, 2, 4, 8, 16, 32)
SECONDS = 90.0
"""For all widths of beam together: a wider one is begun only while there is time left."""
ATTENDED = 40
"""Outputs whose attention is looked at."""


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


def attentions(run: StoredRun, predictions: Sequence[Prediction]) -> tuple[list[Attention], str]:
    """Of the best answers."""
    answered = own_tokens(predictions)
    if not answered:
        return [], "the answers have no tokens of one search, since the task solves records in several"

    def look() -> list[Attention]:
        longest = run.config.batch.longest
        found = [
            attend_to(run.model, run.codecs, one.record, one.hypotheses[0], longest=longest)
            for one in answered[:ATTENDED]
        ]
        return [one for one in found if one is not None]

    found, reason = tried(look)
    return found or [], reason or ("" if found else "this decoder has no attention")


def exposed(run: StoredRun, predictions: Sequence[Prediction]) -> tuple[Exposure | None, str]:
    """Under the right prefix, its own, and corrupted ones."""
    if run.model.features is not None:
        return None, "what this task tells its decoder of the prefix is defined for legal prefixes alone"
    answered = own_tokens(predictions)
    if len(answered) < 2:
        return None, "fewer than two answers have tokens of one search"
    return tried(lambda: exposure(run.model, run.codecs, answered, longest=run.config.batch.longest))


def same_answer(run: StoredRun, output: str, target: object) -> bool:
    """By the task's canonical form where it has one."""
    form = run.task.canonical(run.config.task) if run.task.canonical else None
    right = as_text(target)
    if form is None:
        return output.strip() == right.strip()
    mine = form(output)
    return mine is not None and mine == form(right)


def calibrated(run: StoredRun, predictions: Sequence[Prediction]) -> tuple[Calibrated | None, str]:
    """The temperature is fitted on every second record and judged on the others."""
    fitted, judged = predictions[::2], predictions[1::2]
    if len(judged) < 10:
        return (
            None,
            f"{len(predictions)} records are too few to fit a temperature on one half and judge it on the other",
        )

    def measure() -> Calibrated:
        longest = run.config.batch.longest
        temperature = fit_temperature(run.model, run.codecs, [one.record for one in fitted], longest=longest)
        records = [one.record for one in judged]
        before, after = (
            forced(run.model, run.codecs, records, longest=longest, temperature=t) for t in (1.0, temperature)
        )
        tokens = tuple(
            reliability(
                np.exp(np.concatenate([one.best for one in found])), np.concatenate([one.right for one in found])
            )
            for found in (before, after)
        )
        answered = own_tokens(judged)
        whole, coverage, missing = None, None, ""
        if len(answered) == len(judged):
            ids = [list(one.hypotheses[0].tokens) for one in answered]
            right = np.array([same_answer(run, one.output, one.record.target) for one in answered], float)
            sure = [
                np.exp(
                    [
                        one.total
                        for one in forced(run.model, run.codecs, records, longest=longest, targets=ids, temperature=t)
                    ]
                )
                for t in (1.0, temperature)
            ]
            whole = (reliability(sure[0], right), reliability(sure[1], right))
            coverage = risk_coverage(sure[1], 1 - right)
        else:
            missing = "not all answers have tokens of one search"
        return Calibrated(
            temperature,
            len(fitted),
            len(judged),
            (tokens[0], tokens[1]),
            whole,
            missing,
            coverage,
            run.config.train.label_smoothing,
        )

    return tried(measure)


def beams(
    run: StoredRun, predictions: Sequence[Prediction], metric: Metric, stop: float = SECONDS
) -> tuple[list[BeamRow], str, str]:
    """(rows, a note, why there are none) of ever wider beams, while time is left."""
    if run.config.search.strategy not in ("beam", "greedy"):
        return [], "", f"search.strategy = {run.config.search.strategy!r}: only beams and greedy search are compared"
    records = [one.record for one in predictions]
    best: list[list[Hypothesis]] = []
    found: list[tuple[int, float, list[Prediction]]] = []
    begun = time.perf_counter()
    for width in BEAMS:
        if found and time.perf_counter() - begun + 2.2 * found[-1][1] > stop:
            break
        search = replace(run.config.search, strategy="beam", beams=width, n_best=1)
        answer = Answerer(run.task, replace(run.config, search=search), run.codecs, run.model, run.rule)
        before = time.perf_counter()
        answers = answer(records, lambda done: None)
        found.append((width, time.perf_counter() - before, answers))
        best.append([one.hypotheses[0] if one.hypotheses else Hypothesis("", 0.0) for one in answers])
    wide = [one.total for one in best[-1]]
    rows = [beam_row(run, width, seconds, answers, metric, wide) for width, seconds, answers in found]
    left = [str(width) for width in BEAMS[len(found) :]]
    note = f"Beams of {', '.join(left)} were not tried: {stop:.0f} seconds are the limit for all." if left else ""
    return rows, note, ""


def beam_row(
    run: StoredRun, width: int, seconds: float, answers: Sequence[Prediction], metric: Metric, wide: Sequence[float]
) -> BeamRow:
    """One line of the table."""
    best = [one.hypotheses[0] if one.hypotheses else Hypothesis("", 0.0) for one in answers]
    right = [len(run.codecs.target.encode(one.record.target)) for one in answers]
    ratio = [(len(mine.tokens) + 1) / (size + 1) for mine, size in zip(best, right, strict=True)]
    return BeamRow(
        width,
        metric.score(metric.statistics(answers)),
        float(np.mean([one.total for one in best])),
        float(np.mean(ratio)),
        float(np.mean([one.finish == "length" for one in best])),
        float(np.mean([repeats(one.tokens) for one in best])),
        float(np.mean([mine.total < there - 1e-4 for mine, there in zip(best, wide, strict=True)])),
        seconds,
    )


def repeats(tokens: Sequence[int], size: int = 3) -> bool:
    """Whether some `size` tokens stand twice, one right behind the other."""
    grams = range(len(tokens) - 2 * size + 1)
    return any(tokens[t : t + size] == tokens[t + size : t + 2 * size] for t in grams)
