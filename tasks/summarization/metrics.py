"""ROUGE through rouge-score, and two descriptions of what kind of summary it is: novelty and compression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from core.errors import ConfigError
from core.record import Prediction, Record
from core.task import Metric
from tasks.summarization import sentences as splitter
from tasks.summarization.sentences import sentences, words
from tasks.summarization.settings import SummarizationConfig

KINDS = ("rougeL", "rouge1", "rouge2", "rougeLsum")


@dataclass(frozen=True, slots=True)
class Rouge:
    """F1 of one kind of ROUGE (Lin 2004), the best of several references for each record, in percent."""

    name: str
    stemmer: bool = True
    unicode: bool = False
    split: bool = True
    """rougeLsum: find the sentences, or take lines for them."""
    first: bool = False
    """The first reference alone counts."""

    @property
    def higher_is_better(self) -> bool:
        return True

    @property
    def signature(self) -> str:
        stem = f"porter-nltk:{version('nltk')}" if self.stemmer else "no"
        parts = [self.name, "f1", f"stem:{stem}", f"words:{'unicode' if self.unicode else 'ascii'}", "case:no"]
        if self.name == "rougeLsum":
            parts.append(f"sentences:{splitter.NAME if self.split else 'lines'}")
        return "|".join(
            (
                *parts,
                "refs:first" if self.first else "refs:max",
                "mean",
                "percent",
                f"rouge-score:{version('rouge-score')}",
            )
        )

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """F1 of each record."""
        options = self.stemmer, self.unicode, self.split
        most = 1 if self.first else None
        references = [tuple(map(str, one.record.references[:most])) for one in predictions]
        rows = [
            rouge(prediction.output, texts, *options)[self.name]
            for prediction, texts in zip(predictions, references, strict=True)
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 1)

    def score(self, rows: np.ndarray) -> float:
        """The mean over records."""
        return float(100 * rows.mean()) if len(rows) else float("nan")


@dataclass(frozen=True, slots=True)
class Novelty:
    """Percent of the n-grams of a summary that its article does not have (See et al. 2017), averaged over summaries.

    A description: read it beside the references' own. It counts as lower-is-better, since what the article does not say
    is what may be made up; a summary without any n-gram counts as new.
    """

    n: int = 2

    @property
    def name(self) -> str:
        return f"novelty{self.n}"

    @property
    def higher_is_better(self) -> bool:
        return False

    @property
    def signature(self) -> str:
        return f"{self.name}|n:{self.n}|of:types|words:unicode|case:no|empty:100|mean|percent|describes|v:1"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """The share of each record."""
        rows = [novel(str(one.record.source), one.output, self.n) for one in predictions]
        return np.array(rows, dtype=np.float64).reshape(-1, 1)

    def score(self, rows: np.ndarray) -> float:
        """The mean over records."""
        return float(100 * rows.mean()) if len(rows) else float("nan")


@dataclass(frozen=True, slots=True)
class Compression:
    """Words of all articles for each word of their summaries (Grusky et al. 2018, over the whole set).

    A description: read it beside the references' own. It counts as lower-is-better, since empty summaries compress most.
    """

    @property
    def name(self) -> str:
        return "compression"

    @property
    def higher_is_better(self) -> bool:
        return False

    @property
    def signature(self) -> str:
        return f"{self.name}|article/summary|words:unicode|sum|empty:1-word-in-all|ratio|describes|v:1"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """Words of article and summary."""
        rows = [(len(words(str(one.record.source))), len(words(one.output))) for one in predictions]
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def score(self, rows: np.ndarray) -> float:
        """A ratio of sums."""
        article, summary = rows.sum(axis=0) if len(rows) else (float("nan"), 1.0)
        return float(article / max(summary, 1.0))


def metrics(cfg: SummarizationConfig) -> Sequence[Metric]:
    """rougeL picks checkpoints."""
    rouge_library()
    unicode, split = cfg.rouge_words == "unicode", cfg.rouge_sentences == "split"
    first = cfg.rouge_references == "first"
    found = [Rouge(kind, stemmer=cfg.rouge_stemmer, unicode=unicode, split=split, first=first) for kind in KINDS]
    return (*found, Novelty(cfg.novelty), Compression())


@lru_cache(maxsize=50_000)
def rouge(output: str, references: tuple[str, ...], stemmer: bool, unicode: bool, split: bool) -> dict[str, float]:
    """All kinds at once: four metrics ask for the same texts."""
    if split:  # only rougeLsum sees lines
        output, references = "\n".join(sentences(output)), tuple("\n".join(sentences(text)) for text in references)
    found = scorer(stemmer, unicode).score_multi(references, output)
    return {kind: float(found[kind].fmeasure) for kind in KINDS}


@cache
def scorer(stemmer: bool, unicode: bool) -> Any:
    """rouge-score's."""
    return rouge_library().RougeScorer(list(KINDS), use_stemmer=stemmer, tokenizer=UnicodeWords() if unicode else None)


class UnicodeWords:
    """A tokenizer for rouge-score that sees every alphabet."""

    def tokenize(self, text: str) -> list[str]:
        """Runs of letters and digits, case folded."""
        return words(text)


def novel(article: str, summary: str, n: int) -> float:
    """Share of the different n-grams of a summary that are not in the article; of a shorter one, the whole of it."""
    said = words(summary)
    if not said:
        return 1.0
    n = min(n, len(said))
    grams = ngrams(said, n)
    return len(grams - ngrams(words(article), n)) / len(grams)


def ngrams(sequence: Sequence[str], n: int) -> set[tuple[str, ...]]:
    """The different ones."""
    return {tuple(sequence[at : at + n]) for at in range(len(sequence) - n + 1)}


def overlap(record: Record) -> str:
    """How much of the reference a copying system could take from the text."""
    wanted, there = words(str(record.target)), set(words(str(record.source)))
    share = sum(word in there for word in wanted) / max(len(wanted), 1)
    return "all" if share == 1 else "half or more" if share >= 0.5 else "less than half"


def rouge_l(output: str, reference: str) -> float:
    """What minimum-Bayes-risk decoding maximises."""
    return rouge(output, (reference,), True, False, True)["rougeL"]


def rouge_library() -> Any:
    """The library, or a plain message."""
    try:
        from rouge_score import rouge_scorer
    except ImportError:
        raise ConfigError("ROUGE needs the library rouge-score: pip install 'transduce[summarization]'") from None
    return rouge_scorer
