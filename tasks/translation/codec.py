"""One subword vocabulary for both languages, learned from the training pairs alone."""

from __future__ import annotations

from collections.abc import Iterable

from core.codec.subword import SubwordTokenizer
from core.codec.types import Codecs
from core.record import Record
from tasks.translation.data import TranslationConfig


def codecs(cfg: TranslationConfig, train: Iterable[Record]) -> Codecs:
    """Shared, so that names and placeholders are the same tokens on both sides and embeddings can be tied."""
    texts = [text for record in train for text in (record.source, *record.references)]
    shared = SubwordTokenizer.fit(texts, cfg.vocabulary, cfg.subwords)
    return Codecs(source=shared, target=shared)
