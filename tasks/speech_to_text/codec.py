"""Sound to frames, texts to characters or subwords, both fitted on the training recordings."""

from __future__ import annotations

from collections.abc import Iterable

from core.codec.regex import RegexTokenizer
from core.codec.subword import SubwordTokenizer
from core.codec.types import Codecs
from core.record import Record
from tasks.speech_to_text.features import fitted
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.variation import Masks, masks


def codecs(cfg: SpeechConfig, train: Iterable[Record]) -> Codecs:
    """Width, statistics and longest of the recordings; symbols of the texts."""
    records = list(train)
    texts = [record.target for record in records]
    subwords = cfg.tokens == "subwords"
    target = SubwordTokenizer.fit(texts, cfg.vocabulary, cfg.subwords) if subwords else RegexTokenizer.fit(texts)
    source = fitted(
        (record.source for record in records),
        rate=cfg.rate,
        bands=cfg.bands,
        normalise=cfg.normalise,
        masks=masks(cfg) or Masks(),
    )
    return Codecs(source=source, target=target)
