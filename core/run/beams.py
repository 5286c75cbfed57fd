"""Beams of 1 to 32 on the same records: metric, score, length, errors of the search, and what could have been chosen."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from core.decode.utility import by_expected_utility
from core.errors import UserError
from core.record import Hypothesis, Prediction
from core.report.forced import forced
from core.report.search import BeamRow, Modes
from core.run.answering import Answerer
from core.run.modes import modes
from core.run.stored import StoredRun
from core.task import Metric, OfOne

BEAMS = (1, 2, 4, 8, 16, 32)
CANDIDATES = 16
"""Answers of a record among which expected utility is computed: it costs their square."""
EMPTY = Hypothesis("", 0.0)
WORD = re.compile(r"\w+|[^\w\s]")
Watch = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]
"""How many records, and what is done to them: a bar (core.run.progress)."""


def unwatched(total: int, what: str) -> AbstractContextManager[Callable[[int], None]]:
    """No bar."""
    return nullcontext(lambda done: None)


@dataclass(frozen=True, slots=True)
class Beam:
    """What one width found."""

    width: int
    seconds: float
    answers: list[Prediction]

    @property
    def best(self) -> list[Hypothesis]:
        """One a record."""
        return [one.hypotheses[0] if one.hypotheses else EMPTY for one in self.answers]


@dataclass(frozen=True, slots=True)
class Searched:
    """What beams of every width found, and how far that is from the most probable output of all."""

    rows: Sequence[BeamRow] = ()
    note: str = ""
    missing: str = ""
    """Why there are no rows."""
    exact: Modes | None = None
    no_exact: str = ""


def beams(
    run: StoredRun, predictions: Sequence[Prediction], metric: Metric, stop: float, watch: Watch = unwatched
) -> Searched:
    """Of ever wider beams; one is begun only while some of `stop` seconds are left. A third of as many for exact search."""
    if run.config.search.strategy not in ("beam", "greedy"):
        strategy = run.config.search.strategy
        return Searched(missing=f"search.strategy = {strategy!r}: only beams and greedy search are compared")
    records = [one.record for one in predictions]
    found: list[Beam] = []
    begun = time.perf_counter()
    for width in BEAMS:
        if found and time.perf_counter() - begun + 2.2 * found[-1].seconds > stop:
            break
        search = replace(run.config.search, strategy="beam", beams=width, n_best=width, decide="score")
        answer = Answerer(run.task, replace(run.config, search=search), run.codecs, run.model, run.rule)
        before = time.perf_counter()
        with watch(len(records), f"a beam of {width}") as advance:
            answers = answer(records, advance)
        found.append(Beam(width, time.perf_counter() - before, answers))
    wide = [one.score for one in found[-1].best]
    reference = scores_of_references(run, predictions)
    rows: list[BeamRow] = []
    with watch(len(found), "what beams found") as advance:
        for one in found:
            if rows and time.perf_counter() - begun > 2 * stop:
                break
            rows.append(beam_row(run, one, metric, wide, reference))
            advance(1)
    left = [str(width) for width in BEAMS[len(rows) :]]
    note = (
        f"Beams of {', '.join(left)} were not tried: {stop:.0f} seconds are the limit for all (--seconds)."
        if left
        else ""
    )
    with watch(len(records), "the most probable of all") as advance:
        exact, no_exact = modes(run, [one.answers for one in found[: len(rows)]], metric, stop / 3, advance)
    return Searched(rows, note, "", exact, no_exact)


def scores_of_references(run: StoredRun, predictions: Sequence[Prediction]) -> list[float] | None:
    """As the search scores hypotheses; None where more than the decoder has a say in it, or it cannot be asked."""
    joint = run.model.ctc is not None and run.config.search.ctc_weight > 0
    if joint or run.rule is not None or run.task.solve is not None:
        return None
    try:
        found = forced(run.model, run.codecs, [one.record for one in predictions], longest=run.config.batch.longest)
    except UserError:
        return None
    return [one.total / run.config.search.divisor(len(one.logp)) for one in found]


def beam_row(
    run: StoredRun, beam: Beam, metric: Metric, wide: Sequence[float], reference: Sequence[float] | None
) -> BeamRow:
    """One line of the tables."""
    best = beam.best
    right = [len(run.codecs.target.encode(one.record.target)) for one in beam.answers]
    likeliest = [most_probable(one.hypotheses) for one in beam.answers]

    def value(chosen: Sequence[Hypothesis]) -> float:
        answers = [replace(one, hypotheses=(own,)) for one, own in zip(beam.answers, chosen, strict=True)]
        return metric.score(metric.statistics(answers))

    chosen = None
    if run.task.utility is not None or run.task.utilities is not None:
        some = [replace(one, hypotheses=one.hypotheses[:CANDIDATES]) for one in beam.answers]
        utilities = Answerer(run.task, run.config, run.codecs, run.model, run.rule).utilities()(some)
        chosen = [
            (by_expected_utility(one.hypotheses, utility, drawn=False) or (EMPTY,))[0]
            for one, utility in zip(some, utilities, strict=True)
        ]
    return BeamRow(
        beam.width,
        value(best),
        mean([one.score for one in best]),
        mean([one.total for one in best]),
        ratio(best, right),
        ratio(likeliest, right),
        mean([not one.output.strip() for one in best]),
        mean([one.finish == "length" for one in best]),
        mean([repeats(one.tokens) for one in best]),
        copied(beam.answers),
        mean([mine.score < there - 1e-4 for mine, there in zip(best, wide, strict=True)]),
        None
        if reference is None
        else mean([one.score < gold - 1e-4 for one, gold in zip(best, reference, strict=True)]),
        mean([distinct(one.hypotheses) for one in beam.answers]),
        mean([apart(one.hypotheses[:CANDIDATES]) for one in beam.answers]),
        value(likeliest),
        value(oracle(beam.answers, metric)),
        None if chosen is None else value(chosen),
        beam.seconds,
    )


def most_probable(hypotheses: Sequence[Hypothesis]) -> Hypothesis:
    """Among those that ended, where any did: one that was cut has not paid for its end."""
    ended = [one for one in hypotheses if one.finish != "length"]
    return max(ended or hypotheses or (EMPTY,), key=lambda one: one.total)


def mean(values: Sequence[float | bool]) -> float:
    """Of numbers, or the share of what is true."""
    return float(np.mean(values)) if len(values) else 0.0


def ratio(found: Sequence[Hypothesis], right: Sequence[int]) -> float:
    """Mean length over that of the reference, ends included, so that nothing is divided by zero."""
    return mean([(len(mine.tokens) + 1) / (size + 1) for mine, size in zip(found, right, strict=True)])


def oracle(answers: Sequence[Prediction], metric: Metric) -> list[Hypothesis]:
    """The best of each record by the metric of the record alone; the first of equals."""
    flat = [replace(one, hypotheses=(own,)) for one in answers for own in one.hypotheses]
    if not flat:
        return [EMPTY] * len(answers)
    rows = metric.statistics(flat)
    sign = 1.0 if metric.higher_is_better else -1.0
    values = iter(sign * (metric.alone(row) if isinstance(metric, OfOne) else metric.score(row[None])) for row in rows)
    chosen: list[Hypothesis] = []
    for one in answers:
        own = [next(values) for _ in one.hypotheses]
        chosen.append(one.hypotheses[int(np.argmax(own))] if own else EMPTY)
    return chosen


def repeats(tokens: Sequence[int], size: int = 3) -> bool:
    """Whether some `size` tokens stand twice, one right behind the other."""
    grams = range(len(tokens) - 2 * size + 1)
    return any(tokens[t : t + size] == tokens[t + size : t + 2 * size] for t in grams)


def copied(answers: Sequence[Prediction]) -> float | None:
    """Share of the words of all outputs that stand in their source; None where sources are no texts."""
    if not all(isinstance(one.record.source, str) for one in answers):
        return None
    pairs = [(set(WORD.findall(str(one.record.source))), WORD.findall(one.output)) for one in answers]
    total = sum(len(mine) for _, mine in pairs)
    return sum(word in source for source, mine in pairs for word in mine) / max(total, 1)


def distinct(hypotheses: Sequence[Hypothesis]) -> float:
    """Share of outputs that no better one is equal to."""
    return len({one.output for one in hypotheses}) / max(len(hypotheses), 1)


def apart(hypotheses: Sequence[Hypothesis]) -> float:
    """Mean over pairs of one minus twice the tokens in common over the tokens of both (Dice)."""
    bags = [set(one.tokens) for one in hypotheses]
    found = [1 - 2 * len(a & b) / max(len(a) + len(b), 1) if a or b else 0.0 for a, b in combinations(bags, 2)]
    return mean(found)
