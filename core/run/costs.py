"""What an answer costs, by the metric that picks checkpoints: for minimum-risk training."""

from __future__ import annotations

from collections.abc import Sequence

from core.codec.types import Codecs
from core.record import Hypothesis, Prediction, Record
from core.task import Metric
from core.train.risk import Answers, Cost


def cost_of(metric: Metric, records: Sequence[Record], codecs: Codecs) -> Cost:
    """What is missing to the score of the true answer, as a share of it; of a metric of errors, which is in percent, its share."""

    def value(record: Record, tokens: tuple[int, ...], words: Sequence[str]) -> float:
        answer = Hypothesis(codecs.target.decode(tokens, words), 0.0, tokens)
        return metric.score(metric.statistics([Prediction(record, (answer,))]))

    def cost(row: int, answers: Answers, words: Sequence[str]) -> list[float]:
        values = [value(records[row], tokens, words) for tokens in answers]
        if not metric.higher_is_better:
            return [min(one / 100, 1.0) for one in values]
        best = values[0]  # the true answer stands first
        return [min(max(1 - one / best, 0.0), 1.0) if best > 0 else 0.0 for one in values]

    return cost
