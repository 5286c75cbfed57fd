"""Which words of a source can be copied: their ids in the target's vocabulary, which the words that it lacks extend.

For a model that points, each place of the source is a word of its own: place s is id V + s, whatever stands there. A target
of places (`PlaceTokenizer`) names them; any other is read symbol by symbol, each being the first place that holds it and
has not been pointed at yet, or the first of all where all have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from core.codec.places import PlaceTokenizer
from core.codec.types import PAD, UNK, Codecs, Encoded, Featurizer, Spelling
from core.config import Impossible
from core.record import Record

# V size of the target's vocabulary

Copying = bool | Literal["places"]
"""What a model needs of its batches: no map, one of words, or one of places."""


def refusal(codecs: Codecs, how: Copying = True) -> str | None:
    """Why a model with these codecs cannot copy, or point; None if it can."""
    if isinstance(codecs.target, PlaceTokenizer):
        return (
            None if how == "places" else "the targets are places of the source: only model.head = 'pointer' says such"
        )
    if how == "places" and not (isinstance(codecs.source, Spelling) and isinstance(codecs.target, Spelling)):
        kinds = f"{codecs.source.kind!r} -> {codecs.target.kind!r}"
        return (
            f"a pointer's targets are places ('places'), or symbols that both sides spell (`cut`, `id_of`): not {kinds}"
        )
    if isinstance(codecs.source, Featurizer):
        return "the source is frames, which are no words: nothing can be copied"
    if not codecs.shared and not (isinstance(codecs.source, Spelling) and isinstance(codecs.target, Spelling)):
        kinds = f"{codecs.source.kind!r} -> {codecs.target.kind!r}"
        return f"source and target have two vocabularies ({kinds}), and not both spell their symbols (`cut`, `id_of`)"
    return None


def with_copies(
    record: Record, codecs: Codecs, source: Encoded, target: Sequence[int], how: Copying = True
) -> tuple[Encoded, Sequence[int]]:
    """The pair for a model that copies: unknown words of the target that stand in the source are those of the source."""
    source = copyable(record.source, codecs, source, how)
    return source, copies_wanted(record.target, codecs, target, source.words, how)


def copyable(value: Any, codecs: Codecs, source: Encoded, how: Copying = True) -> Encoded:
    """The source with its copy map; with none where one vocabulary has all its symbols."""
    if how == "places":
        return places_of(value, codecs, source)
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


def places_of(value: Any, codecs: Codecs, source: Encoded) -> Encoded:
    """The source with a word for each of its places, spelled as what stands there, or else by its number."""
    if (reason := refusal(codecs, "places")) is not None:
        raise Impossible("model.head", reason)
    count = len(source.values)
    words: Iterable[str] = map(str, range(count))
    if isinstance(codecs.source, Spelling) and not isinstance(codecs.target, PlaceTokenizer):
        words = spelled(codecs.source, value, range(count))
    extended = np.arange(codecs.target.size, codecs.target.size + count, dtype=np.int32)
    return source._replace(extended=extended, words=tuple(words))


def places_wanted(value: Any, codecs: Codecs, target: Sequence[int], words: Sequence[str]) -> Sequence[int]:
    """The places that a target means; unknown for what stands nowhere in the source."""
    size = codecs.target.size
    if isinstance(codecs.target, PlaceTokenizer) or not isinstance(codecs.target, Spelling):
        return [one if one < size + len(words) else UNK for one in target]
    free: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        free.setdefault(word, []).append(size + place)
    first = {word: places[0] for word, places in free.items()}
    symbols = spelled(codecs.target, value, target)
    return [free[one].pop(0) if free.get(one) else first.get(one, UNK) for one in symbols]


def copies_wanted(
    value: Any, codecs: Codecs, target: Sequence[int], words: Sequence[str], how: Copying = True
) -> Sequence[int]:
    """The target with the ids of `words` where it has them; what is unknown and not among them stays unknown."""
    if how == "places":
        return places_wanted(value, codecs, target, words)
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
