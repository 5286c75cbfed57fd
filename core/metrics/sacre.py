"""BLEU, chrF and TER through sacreBLEU, as statistics per record: the score of all rows is sacreBLEU's corpus score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import ConfigError
from core.record import Prediction


@dataclass(frozen=True, slots=True)
class SacreMetric:
    """One metric object of sacreBLEU. Corpus scores come from sums of its per-sentence statistics."""

    name: str
    scorer: Any
    higher_is_better: bool
    width: int
    """Numbers per record."""

    @property
    def signature(self) -> str:
        """sacreBLEU's; `nrefs:var`, since every record may bring references of its own."""
        self.scorer.num_refs = -1
        return f"{self.name}|{self.scorer.get_signature().format()}"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """N-gram counts and lengths (or edits), summed by `score`."""
        if not predictions:
            return np.zeros((0, self.width))
        references = [[str(text) for text in prediction.record.references] for prediction in predictions]
        most = max(len(texts) for texts in references)
        streams = [[texts[at] if at < len(texts) else None for texts in references] for at in range(most)]
        outputs = [prediction.output for prediction in predictions]
        return np.array(self.scorer._extract_corpus_statistics(outputs, streams), dtype=np.float64)

    def score(self, rows: np.ndarray) -> float:
        """In percent."""
        if not len(rows):
            return float("nan")
        return float(self.scorer._compute_score_from_stats(rows.sum(axis=0).tolist()).score)

    def alone(self, row: np.ndarray) -> float:
        """Of one record: BLEU over the orders of n-grams that the output has at all, as sacreBLEU's sentence scores are.

        The corpus formula would give an output of one word, right as it may be, 0: it has no pair of words.
        """
        if not hasattr(self.scorer, "compute_bleu"):
            return self.score(row[None])
        order, of = self.scorer.max_ngram_order, self.scorer
        ours, theirs, *counts = row.tolist()
        found = of.compute_bleu(
            counts[:order],
            counts[order:],
            int(ours),
            int(theirs),
            smooth_method=of.smooth_method,
            smooth_value=of.smooth_value,
            effective_order=True,
            max_ngram_order=order,
        )
        return float(found.score)


def bleu(tokenize: str = "13a", *, lowercase: bool = False) -> SacreMetric:
    """BLEU (Papineni et al. 2002) as sacreBLEU computes it (Post 2018)."""
    chosen = library().BLEU
    try:  # with `none` texts are tokenised on purpose: `force` keeps sacreBLEU from warning of it
        made = chosen(tokenize=tokenize, lowercase=lowercase, force=tokenize == "none")
    except RuntimeError:  # it lacks what Japanese and Korean words need
        raise ConfigError(
            f"BLEU's tokeniser {tokenize} needs more libraries: pip install 'sacrebleu[{tokenize[:2]}]'"
        ) from None
    return SacreMetric("bleu", made, higher_is_better=True, width=10)


def chrf() -> SacreMetric:
    """chrF2 (Popović 2015): character n-grams up to 6, recall counted twice."""
    return SacreMetric("chrf", library().CHRF(), higher_is_better=True, width=18)


def ter() -> SacreMetric:
    """Translation edit rate (Snover et al. 2006)."""
    return SacreMetric("ter", library().TER(), higher_is_better=False, width=2)


def library() -> Any:
    """sacreBLEU's metrics, or a plain message."""
    try:
        from sacrebleu import metrics
    except ImportError:
        raise ConfigError("BLEU, chrF and TER need the library sacrebleu: pip install sacrebleu") from None
    return metrics
