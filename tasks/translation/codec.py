"""One subword vocabulary for both languages, learned from the training pairs alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from core.codec.subword import Sampled, SubwordTokenizer
from core.codec.types import Codecs
from core.record import Record
from tasks.translation.data import TranslationConfig


def codecs(cfg: TranslationConfig, train: Iterable[Record]) -> Codecs:
    """Shared, so that names and placeholders are the same tokens on both sides and embeddings can be tied."""
    texts = [text for record in train for text in (record.source, *record.references)]
    shared = SubwordTokenizer.fit(texts, cfg.vocabulary, cfg.subwords)
    return Codecs(source=shared, target=shared)


def augment(cfg: TranslationConfig) -> Callable[[Record, np.random.Generator], Record] | None:
    """BPE-dropout on both sides."""
    share = cfg.bpe_dropout
    if not share:
        return None

    def vary(record: Record, random: np.random.Generator) -> Record:
        source, target = (int(seed) for seed in random.integers(2**32, size=2))
        return replace(
            record, source=Sampled(record.source, share, source), target=Sampled(record.target, share, target)
        )

    return vary
