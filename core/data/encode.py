"""Records -> numbers, with what was too long counted and said."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.codec.types import Codecs, Encoded, as_encoded
from core.data.answerable import Head, unanswerable
from core.data.copying import Copying, copyable, with_copies
from core.data.examples import Examples
from core.errors import DataError
from core.record import Record


@dataclass(frozen=True, slots=True)
class EncodedSplit:
    """The records that training sees, and their numbers, row by row."""

    records: list[Record]
    examples: Examples
    too_long: int
    """Dropped or truncated, as `data.long` says."""
    unanswerable: int = 0
    """Left out, for the head could not say their targets."""
    reason: str = ""
    """Where the first of these stands, and why."""


def encode_split(
    records: Sequence[Record],
    codecs: Codecs,
    *,
    longest: int,
    long: Literal["drop", "truncate", "stop"],
    copy: Copying = False,
    head: Head = "words",
) -> EncodedSplit:
    """Sources and targets of training records that the head can say; with their copy maps for a model that copies."""
    kept: list[Record] = []
    too_long, unsayable, first = 0, 0, ""

    def pairs() -> Iterator[tuple[Encoded, Sequence[int]]]:
        nonlocal too_long, unsayable, first
        sources, targets = encode_all(records, codecs)
        for record, source, target in zip(records, sources, targets, strict=True):
            if len(source.values) > longest or len(target) > longest:
                if long == "stop":
                    size = max(len(source.values), len(target))
                    raise DataError(f"{place(record)}: {size} tokens; `batch.longest` allows {longest}")
                too_long += 1
                if long == "drop":
                    continue
                source, target = shorten(source, longest), target[:longest]
            if copy:
                source, target = with_copies(record, codecs, source, target, copy)
            if why := unanswerable(head, source, target):
                unsayable, first = unsayable + 1, first or f"{place(record)}: {why}"
                continue
            kept.append(record)
            yield source, target

    examples = Examples.build(pairs())
    return EncodedSplit(kept, examples, too_long, unsayable, first)


def encode_sources(records: Sequence[Record], codecs: Codecs, *, longest: int, copy: Copying = False) -> Examples:
    """Sources alone, for the search; what is longer than the model was trained for is cut, and this is said."""
    encoded = [as_encoded(codecs.source.encode(record.source)) for record in records]
    cut = [record for record, one in zip(records, encoded, strict=True) if len(one.values) > longest]
    if cut:
        more = f" and {len(cut) - 1} more" if len(cut) > 1 else ""
        print(f"{place(cut[0])}{more}: longer than `batch.longest` = {longest}, cut there", file=sys.stderr)
    short = [shorten(one, longest) for one in encoded]
    if copy:
        short = [copyable(record.source, codecs, one, copy) for record, one in zip(records, short, strict=True)]
    return Examples.build((one, None) for one in short)


def encode_all(records: Sequence[Record], codecs: Codecs) -> tuple[list[Encoded], list[list[int]]]:
    """Both sides of all records, by the tokenizer's own batch call where it has one."""
    sources = many(codecs.source)([record.source for record in records])
    targets = many(codecs.target)([record.target for record in records])
    return [as_encoded(one) for one in sources], [list(one) for one in targets]


def many(codec: object) -> Callable[[list[object]], list[list[int]]]:
    """`encode_all` of a codec, or one by one."""
    whole = getattr(codec, "encode_all", None)
    if whole is not None:
        return whole
    encode = codec.encode  # pyright: ignore[reportAttributeAccessIssue]
    return lambda values: [encode(value) for value in values]


def shorten(one: Encoded, longest: int) -> Encoded:
    """The first `longest` symbols."""
    if len(one.values) <= longest:
        return one
    cut: Callable[[np.ndarray | None], np.ndarray | None] = lambda x: None if x is None else x[:longest]  # noqa: E731
    return Encoded(one.values[:longest], cut(one.position), cut(one.segment))


def place(record: Record) -> str:
    """Where a record comes from, for messages."""
    return str(record.meta.get("place") or record.key)
