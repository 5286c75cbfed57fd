"""BLEU by hand (Papineni et al., 2002): n-grams counted, clipped, divided; the textbook's 1/4 each, nothing smoothed.

sacreBLEU's figure for the same sentence stands beside it: it smooths orders without a match (Chen & Cherry, 2014, method 3),
and leaves out orders that the output is too short for. Where all four orders match, both are equal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.metrics.sacre import SacreMetric, library
from core.record import Prediction

ORDERS = 4


@dataclass(frozen=True, slots=True)
class Counts:
    """Of n-grams of one or more pairs of output and reference; order n stands at n - 1."""

    matched: tuple[int, ...]
    """Those of the output that the reference has, each at most as often as there."""
    total: tuple[int, ...]
    """Those of the output."""
    output_length: int
    reference_length: int

    @property
    def precisions(self) -> tuple[float, ...]:
        return tuple(matched / total if total else 0.0 for matched, total in zip(self.matched, self.total, strict=True))

    @property
    def brevity(self) -> float:
        """exp(1 - r/c) for an output shorter than its reference, else 1."""
        if not self.output_length:
            return 0.0
        return math.exp(min(0.0, 1 - self.reference_length / self.output_length))

    @property
    def textbook(self) -> float:
        """BP x exp(sum of 1/4 log p_n), of 100; 0 as soon as one precision is."""
        if not all(self.precisions):
            return 0.0
        return 100 * self.brevity * math.exp(sum(map(math.log, self.precisions)) / ORDERS)

    def tree(self) -> dict[str, Any]:
        """As result files hold it."""
        return {
            "matched": list(self.matched),
            "total": list(self.total),
            "output_length": self.output_length,
            "reference_length": self.reference_length,
            "precisions": list(self.precisions),
            "brevity": self.brevity,
            "textbook": self.textbook,
        }


def counted(output: Sequence[str], reference: Sequence[str]) -> Counts:
    """One sentence, one reference."""
    matched, total = list[int](), list[int]()
    for order in range(1, ORDERS + 1):
        own, wanted = Counter(grams(output, order)), Counter(grams(reference, order))
        matched.append((own & wanted).total())
        total.append(own.total())
    return Counts(tuple(matched), tuple(total), len(output), len(reference))


def grams(words: Sequence[str], order: int) -> Iterator[tuple[str, ...]]:
    """All of one order."""
    return (tuple(words[begin : begin + order]) for begin in range(len(words) - order + 1))


def tokens(text: str) -> list[str]:
    """As BLEU's tokeniser 13a parts them."""
    return library().BLEU(tokenize="13a").tokenizer(text).split()


def sentence(output: str, reference: str) -> dict[str, Any]:
    """Both arithmetics of one pair, with everything that they are made of."""
    own, wanted = tokens(output), tokens(reference)
    scorer = library().BLEU(tokenize="13a", effective_order=True)
    theirs = scorer.sentence_score(output, [reference])
    return {
        "output": output,
        "reference": reference,
        "output_tokens": own,
        "reference_tokens": wanted,
        **counted(own, wanted).tree(),
        "sacrebleu": theirs.score,
        "sacrebleu_precisions": list(theirs.precisions),
        "signature": scorer.get_signature().format(),
    }


def corpus(metric: SacreMetric, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Counts added over all records, then one division an order; beside it the mean of the sentences' textbook scores."""
    rows = metric.statistics(predictions)
    sums = [int(value) for value in rows.sum(axis=0)]
    own, wanted, matched, total = sums[0], sums[1], sums[2 : 2 + ORDERS], sums[2 + ORDERS :]
    alone = [
        Counts(tuple(map(int, row[2 : 2 + ORDERS])), tuple(map(int, row[2 + ORDERS :])), int(row[0]), int(row[1]))
        for row in rows
    ]
    return {
        **Counts(tuple(matched), tuple(total), own, wanted).tree(),
        "sacrebleu": metric.score(rows),
        "signature": metric.signature,
        "n": len(alone),
        "mean_of_sentences": sum(one.textbook for one in alone) / len(alone),
        "zero_sentences": sum(one.textbook == 0 for one in alone),
    }


def examples(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The first output that matches in all four orders, not all over and too short; and the first that matches, but not in four."""
    found: list[dict[str, Any] | None] = [None, None]
    for one in predictions:
        if one.record.meta.get("references") or not one.output.strip():
            continue
        pair = sentence(one.output, str(one.record.target))
        shapely = 0 < pair["textbook"] < 100 and pair["brevity"] < 1
        broken = pair["total"][-1] and not pair["matched"][-1] and pair["matched"][0]
        for place, fits in enumerate((shapely, broken)):
            if fits and found[place] is None:
                found[place] = {**pair, "key": one.record.key, "source": str(one.record.source)}
        if all(found):
            break
    return [one for one in found if one is not None]
