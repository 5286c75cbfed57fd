"""Which words of a source can be copied: their ids in the target's vocabulary, which the words that it lacks extend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.codec.types import PAD, UNK, Codecs, Encoded, Featurizer, Spelling
from core.config import Impossible
from core.record import Record

# V size of the target's vocabulary


def refusal(codecs: Codecs) -> str | None:
    """Why a model with these codecs cannot copy; None if it can."""
    if isinstance(codecs.source, Featurizer):
        return "the source is frames, which are no words: nothing can be copied"
    if not codecs.shared and not (isinstance(codecs.source, Spelling) and isinstance(codecs.target, Spelling)):
        kinds = f"{codecs.source.kind!r} -> {codecs.target.kind!r}"
        return f"source and target have two vocabularies ({kinds}), and not both spell their symbols (`cut`, `id_of`)"
    return None


def with_copies(
    record: Record, codecs: Codecs, source: Encoded, target: Sequence[int]
) -> tuple[Encoded, Sequence[int]]:
    """The pair for a model that copies: unknown words of the target that stand in the source are those of the source."""
    source = copyable(record.source, codecs, source)
    return source, copies_wanted(record.target, codecs, target, source.words)


def copyable(value: Any, codecs: Codecs, source: Encoded) -> Encoded:
    """The source with its copy map; with none where one vocabulary has all its symbols."""
    codec, target, ids = codecs.source, codecs.target, source.values.tolist()
    if codecs.shared and (UNK not in ids or not isinstance(codec, Spelling)):
        return source
    if not isinstance(codec, Spelling) or not isinstance(target, Spelling):
        raise Impossible("model.copy", refusal(codecs) or "")
    symbols = spelled(codec, value, ids)
    words: dict[str, int] = {}
    extended = np.full(len(ids), PAD, dtype=np.int32)
    for place, symbol in enumerate(symbols):
        known = target.id_of(symbol)
        if known == UNK:
            known = words.setdefault(symbol, codecs.target.size + len(words))
        if known is not None:
            extended[place] = known
    return source._replace(extended=extended, words=tuple(words))


def copies_wanted(value: Any, codecs: Codecs, target: Sequence[int], words: Sequence[str]) -> Sequence[int]:
    """The target with the ids of `words` where it has them; what is unknown and not among them stays unknown."""
    if not words or UNK not in target or not isinstance(codecs.target, Spelling):
        return target
    ids = {word: number for number, word in enumerate(words, codecs.target.size)}
    symbols = spelled(codecs.target, value, target)
    return [ids.get(symbol, UNK) if one == UNK else one for one, symbol in zip(target, symbols, strict=True)]


def spelled(codec: Spelling, value: Any, ids: Sequence[int]) -> list[str]:
    """The symbols of these ids, which may have been cut at the end."""
    symbols = codec.cut(value)
    if len(symbols) < len(ids):
        raise ValueError(f"{codec.kind}: `cut` gives {len(symbols)} symbols where `encode` gives {len(ids)}")
    return symbols[: len(ids)]
