"""One subword vocabulary for texts and summaries, learned from the training pairs alone."""

from __future__ import annotations

from collections.abc import Iterable

from core.codec.subword import SubwordTokenizer
from core.codec.types import Codecs
from core.record import Record
from tasks.summarization.settings import SummarizationConfig


def codecs(cfg: SummarizationConfig, train: Iterable[Record]) -> Codecs:
    """Shared, so that a token of the text can be copied into the summary and embeddings can be tied."""
    texts = (text for record in train for text in (record.source, *record.references))
    shared = SubwordTokenizer.fit(texts, cfg.vocabulary, cfg.subwords)
    return Codecs(source=shared, target=shared)
