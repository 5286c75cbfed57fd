"""The true mode of each record, where it can be found: what beams of every width missed, and what the model would rather say."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from core.data.batch import collate
from core.decode.exact import Mode, mode
from core.errors import UserError
from core.record import Hypothesis, Prediction
from core.report.exposure import spelled, spells_itself
from core.report.forced import encoded, forced
from core.report.search import Modes
from core.run.stored import StoredRun
from core.task import Metric

APART = 1e-3
"""Log-probabilities of one output that differ by more were not found by one search of this model alone."""


def modes(
    run: StoredRun,
    answers: Sequence[Sequence[Prediction]],
    metric: Metric,
    stop: float,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Modes | None, str]:
    """Of as many records as can be decided within `stop` seconds; `answers` are those of each width, the widest last.

    The search is exhaustive (core.decode.exact), with the most probable answer of the widest beam as its bound. The second
    part says why there is nothing.
    """
    search = run.config.search
    if not run.model.reads_words:
        return None, "this decoder says all tokens at once: there is nothing to search through"
    if run.model.ctc is not None and search.ctc_weight > 0:
        return (
            None,
            "a CTC head has a say in the answers, so the most probable output of the decoder is not what was looked for",
        )
    if search.include or search.exclude or search.prefix or search.shortlist:
        return None, "search.include, exclude, prefix and shortlist are not followed there"
    begun = time.perf_counter()
    longest = run.config.batch.longest
    wanted = bounds(run, answers[-1])
    found: dict[int, Mode] = {}
    outputs: dict[int, str] = {}
    tried = 0
    for row, known in wanted.items():
        if tried and time.perf_counter() - begun > stop:
            break
        tried += 1
        progress(1)
        source = encoded(answers[-1][row].record, run.codecs, longest=longest, copy=run.model.copies)
        batch = collate([source], [[]], [0]).to(next(run.model.parameters()).device)
        best = mode(run.model, batch, search, known=(known.tokens, known.total), rule=run.rule)
        if best is not None:
            found[row], outputs[row] = best, spelled(run.codecs, best.tokens, source.words)
    if not found:
        why = (
            "too many outputs are about as probable as the best that beams found"
            if tried
            else "none was found by one search"
        )
        return None, f"no record could be decided: {why}"
    return measured(run, [[one[row] for row in found] for one in answers], metric, found, outputs, tried), ""


def bounds(run: StoredRun, answers: Sequence[Prediction]) -> dict[int, Hypothesis]:
    """Row -> its most probable answer, where the model alone believes of it what the search said."""
    best = {row: own for row, one in enumerate(answers) if (own := likeliest(one)) is not None}
    records, tokens = [answers[row].record for row in best], [list(own.tokens) for own in best.values()]
    try:
        alone = forced(run.model, run.codecs, records, longest=run.config.batch.longest, targets=tokens)
    except UserError:
        return {}
    pairs = zip(best.items(), alone, strict=True)
    return {row: own for (row, own), one in pairs if abs(one.total - own.total) <= APART}


def likeliest(answer: Prediction) -> Hypothesis | None:
    """Among those that ended by themselves; None where there is none of one search."""
    ended = [one for one in answer.hypotheses if one.finish == "end" and len(one.logp) == len(one.tokens) + 1]
    return max(ended, key=lambda one: one.total, default=None)


def measured(
    run: StoredRun,
    answers: Sequence[Sequence[Prediction]],
    metric: Metric,
    found: dict[int, Mode],
    outputs: dict[int, str],
    tried: int,
) -> Modes:
    """Over the records that were decided; the answers are theirs alone."""
    best = list(found.values())
    missed: list[float] = []
    for width in answers:
        short = [
            (own := likeliest(one)) is None or own.total < true.logp - APART
            for one, true in zip(width, best, strict=True)
        ]
        missed.append(sum(short) / len(short))
    records = [one.record for one in answers[-1]]
    said = [Prediction(one, (Hypothesis(output, 0.0),)) for one, output in zip(records, outputs.values(), strict=True)]
    right = [len(run.codecs.target.encode(one.target)) + 1 for one in records]
    plain = all(spells_itself(run.codecs, one) for one in answers[-1])
    return Modes(
        tried,
        len(found),
        tuple(missed),
        sum(not one.tokens for one in best) / len(best),
        sum((len(one.tokens) + 1) / size for one, size in zip(best, right, strict=True)) / len(best),
        metric.score(metric.statistics(said)) if plain else None,
        tuple(metric.score(metric.statistics(one)) for one in answers),
        sum(one.read for one in best) / len(best),
    )
