"""The [task] table of summarization."""

from __future__ import annotations

from typing import Literal

from core.codec.subword import SubwordKind
from core.config import AtLeast0, AtLeast1, Impossible, config


@config
class SummarizationConfig:
    """The [task] table."""

    vocabulary: int = 4000
    """Subwords in all, shared by texts and summaries, so that copying is copying of tokens."""
    subwords: SubwordKind = "bpe"
    longest_body: AtLeast0 = 0
    """Built-in data: leave out texts of more words, in all splits; 0 leaves none out. (What becomes of long texts otherwise
    is said by `data.long` and `batch.longest`.)"""
    rouge_stemmer: bool = True
    """Porter's stemmer before words are compared, as most papers do; for English only."""
    rouge_words: Literal["ascii", "unicode"] = "ascii"
    """`ascii`: rouge-score's own words (a-z, 0-9), which sees no other alphabet; `unicode`: letters and digits of all."""
    rouge_sentences: Literal["split", "lines"] = "split"
    """rougeLsum compares sentence by sentence: found in the text, or its lines as they are."""
    rouge_references: Literal["all", "first"] = "all"
    """Of several references the best counts, or the first alone: sets that have one for most and several for some are scored so."""
    novelty: AtLeast1 = 2
    """The n of the n-grams that the novelty metric counts."""
    article_column: str = ""
    """CSV and JSONL files: the name of the text's column; empty: article, document, text, body or source."""
    summary_column: str = ""
    """CSV and JSONL files: the name of the summary's column; empty: summary, highlights, abstract or target."""

    def __post_init__(self) -> None:
        if not 400 <= self.vocabulary <= 65_000:
            raise Impossible("vocabulary", f"{self.vocabulary} is not between 400 and 65000")
        if self.rouge_stemmer and self.rouge_words == "unicode":
            raise Impossible("rouge_words", "the stemmer is for English; set rouge_stemmer = false")
        if self.article_column and self.article_column == self.summary_column:
            raise Impossible("summary_column", f"{self.summary_column!r} is the text's column too")
