"""Exposure bias, measured: what it costs to read one's own words, or wrong ones, where training gave the right ones.

Ranzato et al. (2016) name it; the confidence in the right continuation under the right prefix and under the model's own is
compared position by position, and accuracy against the share of the prefix that was replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.codec.types import EOS, UNK, Codecs
from core.model.seq2seq import Seq2Seq
from core.record import Hypothesis, Prediction
from core.report.forced import Forced, encoded, forced, target_ids
from core.task import Metric

SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
READINGS = 2 + len(SHARES)
"""Of each record: after the right prefix, after the model's own, and after one that is replaced by each share."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Means over the records that reach a position."""

    positions: tuple[int, ...]
    under_gold: tuple[float, ...]
    """Probability of the right token after the right prefix."""
    under_own: tuple[float, ...]
    """After what the model said itself, as long as it went on."""
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    accuracy: tuple[float, ...]
    """How often the right token is the likeliest, when this share of the prefix is replaced by tokens of other targets."""
    metric_name: str = ""
    metric: tuple[float, ...] = ()
    """Of the outputs that the likeliest tokens make after those prefixes, one step each; none where they spell no whole answer."""
    ruled: bool = False
    """Whether a rule of decoding says what may follow a prefix, so that a wrong one can rule out the right token."""

    @property
    def gold(self) -> float:
        """Mean probability of the right token after the right prefix."""
        return self.mean(self.under_gold)

    @property
    def own(self) -> float:
        """After the model's own."""
        return self.mean(self.under_own)

    def mean(self, values: Sequence[float]) -> float:
        """Each position by how many reach it."""
        return float(np.average(values, weights=self.counts)) if len(values) else 0.0

    @property
    def lost(self) -> float:
        """The mean difference of the two, in probability, each position by how many reach it."""
        return self.gold - self.own


def exposure(
    model: Seq2Seq,
    codecs: Codecs,
    predictions: Sequence[Prediction],
    *,
    longest: int,
    metric: Metric | None = None,
    positions: int = 40,
    seed: int = 1,
    ruled: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Exposure:
    """Records with a target; the model's own prefix is its best answer. The metric is of every step's likeliest tokens."""
    records = [one.record for one in predictions]
    copy = model.copies
    sources = [encoded(one, codecs, longest=longest, copy=copy) for one in records]
    gold = [target_ids(one, codecs, source, copy) for one, source in zip(records, sources, strict=True)]
    extra = [source.words for source in sources]
    own = [list(one.hypotheses[0].tokens) if one.hypotheses else [] for one in predictions]
    read = [[*mine[: len(right)], *right[len(mine) :]] for mine, right in zip(own, gold, strict=True)]
    under_gold = forced(model, codecs, records, longest=longest, targets=gold, progress=progress)
    under_own = forced(model, codecs, records, longest=longest, targets=gold, given=read, progress=progress)
    pairs = [
        (one.logp[: len(mine) + 1], other.logp[: len(mine) + 1])
        for one, other, mine in zip(under_gold, under_own, own, strict=True)
    ]
    least = max(2, len(pairs) // 20)
    found: list[tuple[int, float, float, int]] = []
    for t in range(positions):
        at = [(float(np.exp(one[t])), float(np.exp(other[t]))) for one, other in pairs if len(one) > t]
        if len(at) < least:
            break
        right, mine = np.mean(at, 0).tolist()
        found.append((t, right, mine, len(at)))
    accurate: list[float] = []
    worth: list[float] = []
    for share in SHARES:
        given = replaced(gold, share, size=codecs.target.size, seed=seed)
        steps = forced(model, codecs, records, longest=longest, targets=gold, given=given, progress=progress)
        accurate.append(accuracy(steps))
        if metric is not None:
            outputs = [spelled(codecs, one.said, words) for one, words in zip(steps, extra, strict=True)]
            answers = [
                Prediction(record, (Hypothesis(output, 0.0),)) for record, output in zip(records, outputs, strict=True)
            ]
            worth.append(metric.score(metric.statistics(answers)))
    columns = list(zip(*found, strict=True)) if found else [(), (), (), ()]
    return Exposure(
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        SHARES,
        tuple(accurate),
        "" if metric is None else metric.name,
        tuple(worth),
        ruled,
    )


def spelled(codecs: Codecs, tokens: Sequence[int], words: Sequence[str]) -> str:
    """Up to the first end."""
    size = codecs.target.size + len(words)  # a copy of a place that no word of this source stands at spells nothing
    until = list(tokens).index(EOS) if EOS in tokens else len(tokens)
    return codecs.target.decode([token for token in tokens[:until] if token < size], words)


def spells_itself(codecs: Codecs, prediction: Prediction) -> bool:
    """Whether the best answer is what its tokens spell: nothing was completed or put together afterwards.

    Words that the source lends are taken at their word.
    """
    best = prediction.hypotheses[0]
    lent = any(token >= codecs.target.size for token in best.tokens)
    return lent or codecs.target.decode(best.tokens) == best.output


def accuracy(found: Sequence[Forced]) -> float:
    """Of all tokens."""
    return float(np.concatenate([one.right for one in found]).mean())


def replaced(targets: Sequence[Sequence[int]], share: float, *, size: int, seed: int) -> list[list[int]]:
    """Each token by chance by one of the vocabulary that some target has; the same tokens at a larger share, and more."""
    random = np.random.default_rng(seed)
    plain = np.array([token for one in targets for token in one if token < size] or [UNK])
    made: list[list[int]] = []
    for one in targets:
        draw, other = random.random(len(one)), plain[random.integers(len(plain), size=len(one))]
        made.append([int(new) if u < share else int(old) for old, new, u in zip(one, other, draw, strict=True)])
    return made
