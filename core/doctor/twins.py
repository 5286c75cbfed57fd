"""Sources that stand twice, or nearly: MinHash (Broder, 1997) and banding find who may be alike, and each pair is then measured."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.data.alike import Alike
from core.record import Record
from core.run.progress import progress_bar

# N texts, P permutations, C pieces

HASHES = 48
"""In bands of four, half of all pairs with 55 % of their pieces in common meet in one, and 99 of 100 with 80 %; in bands of two,
all but one in 10,000 of the former do."""
TOGETHER = 512
"""Texts whose signatures are made at a time."""
MEASURED = 3
"""A task's own measure is asked of the texts with the most pieces in common only,"""
LIKELY = 0.5
"""of those that hold this share of the shorter one's: a letter in ten that differs spoils three in ten pieces of three letters."""
CROWD = 64
"""Of one band's bucket so many texts are looked at: what thousands have in common says little."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A record and the one that is like it."""

    place: str
    other: str
    share: float
    text: str


class Crowd:
    """The different texts of some records, each with the place where it stands first."""

    def __init__(self, alike: Alike, records: Sequence[Record]) -> None:
        self.alike = alike
        self.place: dict[str, str] = {}
        for record in records:
            for text in alike.texts(record.source):
                self.place.setdefault(text, place_of(record))
        self.texts = list(self.place)
        self.parts = [pieces(text, alike.letters) for text in self.texts] if alike.letters else []
        self.bands = [*signatures(self.texts, alike)] if alike.letters else []
        self.buckets: list[dict[bytes, list[int]]] = [{} for _ in range(HASHES // alike.together)]
        for number, bands in enumerate(self.bands):
            for bucket, band in zip(self.buckets, bands, strict=True):
                bucket.setdefault(band, []).append(number)

    def nearest(self, text: str, bands: Sequence[bytes], *, before: int | None = None) -> tuple[int, float] | None:
        """The most alike other text, if any is alike at all; `before`: only texts with lower numbers."""
        found: set[int] = set()
        for bucket, band in zip(self.buckets, bands, strict=True):
            found.update(bucket.get(band, ())[:CROWD])
        own = pieces(text, self.alike.letters)
        share = common if self.alike.measure is None else held
        shares = [
            (share(own, self.parts[number]), number)
            for number in sorted(found)
            if self.texts[number] != text and (before is None or number < before)
        ]
        if self.alike.measure is not None:
            likely = [one for one in shares if one[0] >= LIKELY]
            first = sorted(likely, key=lambda one: (-one[0], one[1]))[:MEASURED]
            shares = [(self.alike.measure(text, self.texts[number]), number) for _, number in first]
        best = max(shares, key=lambda one: (one[0], -one[1]), default=None)
        return None if best is None or best[0] < self.alike.least else (best[1], best[0])


def twins(crowd: Crowd, records: Sequence[Record]) -> tuple[list[Twin], list[Twin]]:
    """(the same, nearly the same): records of another split by what this one holds. A record counts once."""
    same: list[Twin] = []
    near: list[Twin] = []
    texts = [tuple(crowd.alike.texts(record.source)) for record in records]
    bands = bands_of({text for own in texts for text in own}, crowd.alike)
    with progress_bar(len(records), "comparing splits") as advance:
        for record, own in zip(records, texts, strict=True):
            advance(1)
            if all(text in crowd.place for text in own):
                same.append(Twin(place_of(record), crowd.place[own[0]], 1.0, shown(own)))
                continue
            twin = next((one for one in map(partial_twin(crowd, bands), own) if one is not None), None)
            if twin is not None:
                near.append(Twin(place_of(record), twin[0], twin[1], shown(own)))
    return same, near


def partial_twin(crowd: Crowd, bands: dict[str, Sequence[bytes]]) -> Callable[[str], tuple[str, float] | None]:
    """One text of a source -> (where its twin stands, how alike they are)."""

    def look(text: str) -> tuple[str, float] | None:
        if text in crowd.place:
            return crowd.place[text], 1.0
        found = crowd.nearest(text, bands[text]) if bands else None
        return None if found is None else (crowd.place[crowd.texts[found[0]]], found[1])

    return look


def repeated(alike: Alike, records: Sequence[Record]) -> tuple[list[Twin], list[Twin]]:
    """(source and target, source alone): records that say again what an earlier one of the same split said."""
    first: dict[tuple[str, ...], Record] = {}
    whole: dict[tuple[tuple[str, ...], str], Record] = {}
    again: list[Twin] = []
    otherwise: list[Twin] = []
    for record in records:
        own = tuple(alike.texts(record.source))
        key = own, str(record.target)
        if key in whole:
            again.append(Twin(place_of(record), place_of(whole[key]), 1.0, shown(own)))
        elif own in first:
            otherwise.append(Twin(place_of(record), place_of(first[own]), 1.0, shown(own)))
        whole.setdefault(key, record)
        first.setdefault(own, record)
    return again, otherwise


def nearly_repeated(crowd: Crowd) -> list[Twin]:
    """Different texts of one split that are nearly an earlier one."""
    found: list[Twin] = []
    with progress_bar(len(crowd.bands), "comparing records") as advance:
        for number, (text, bands) in enumerate(zip(crowd.texts, crowd.bands, strict=False)):
            advance(1)
            if near := crowd.nearest(text, bands, before=number):
                found.append(Twin(crowd.place[text], crowd.place[crowd.texts[near[0]]], near[1], shown((text,))))
    return found


def bands_of(texts: set[str], alike: Alike) -> dict[str, Sequence[bytes]]:
    """Of each text, where texts are taken apart at all."""
    if not alike.letters:
        return {}
    listed = sorted(texts)
    return dict(zip(listed, signatures(listed, alike), strict=True))


def signatures(texts: Sequence[str], alike: Alike) -> Iterator[tuple[bytes, ...]]:
    """The bands of each text's MinHash."""
    random = np.random.default_rng(1)
    factor_P1 = (random.integers(1 << 63, size=(HASHES, 1), dtype=np.uint64) << np.uint64(1)) | np.uint64(1)
    offset_P1 = random.integers(1 << 63, size=(HASHES, 1), dtype=np.uint64)
    for begin in range(0, len(texts), TOGETHER):
        parts = [sorted(pieces(text, alike.letters)) for text in texts[begin : begin + TOGETHER]]
        piece_C = np.array([piece for own in parts for piece in own], dtype=np.uint64)
        first_N = np.cumsum([0, *(len(own) for own in parts[:-1])])
        # Multiply and shift (Dietzfelbinger et al., 1997): the upper half of an odd multiple
        shuffled_PC = (factor_P1 * piece_C + offset_P1) >> np.uint64(32)
        least_NP = np.minimum.reduceat(shuffled_PC, first_N, axis=1).astype(np.uint32).T
        for row_P in least_NP:
            yield tuple(row_P[at : at + alike.together].tobytes() for at in range(0, HASHES, alike.together))


def pieces(text: str, letters: int) -> set[int]:
    """All runs of so many letters, as numbers; a shorter text is one piece."""
    starts = range(max(len(text) - letters + 1, 1))
    return {zlib.crc32(text[at : at + letters].encode("utf-8", "surrogatepass")) for at in starts}


def common(one: set[int], other: set[int]) -> float:
    """Jaccard's index."""
    return len(one & other) / len(one | other)


def held(one: set[int], other: set[int]) -> float:
    """The share of the smaller set that the other holds, too: a part of a text is like the whole."""
    return len(one & other) / min(len(one), len(other))


def place_of(record: Record) -> str:
    """file:line where there is one."""
    return str(record.meta.get("place") or record.key)


def shown(texts: Sequence[str]) -> str:
    """The beginning of a source."""
    return " | ".join(texts)[:80]
