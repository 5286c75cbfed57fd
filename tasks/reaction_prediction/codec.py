"""SMILES cut atom by atom, one vocabulary for both sides, characters for whatever is not in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from core.codec.types import SPECIALS, UNK, Codecs
from core.record import Record
from tasks.reaction_prediction.settings import ReactionConfig

TOKEN = re.compile(r"\[[^\[\]]{1,30}\]|Br|Cl|%[0-9]{2}|->|<-|.", re.DOTALL)
"""Bounded, so that a long row of `[` costs time in proportion; every text is the join of its matches."""
CHARACTERS = tuple(map(chr, range(ord("!"), ord("~") + 1)))
RINGS = tuple(f"%{number}" for number in range(10, 100))
ALWAYS = (*CHARACTERS, "Br", "Cl", "->", "<-", *RINGS)
"""In every vocabulary: with these any SMILES can be spelled."""


@dataclass(frozen=True, slots=True)
class SmilesTokenizer:
    """Atom-wise (Schwaller et al., 2019); a bracket atom that was not fitted is spelled in characters."""

    kind: ClassVar[str] = "smiles"
    symbols: tuple[str, ...]
    """Ids from 4 on."""
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {symbol: number for number, symbol in enumerate(self.symbols, start=len(SPECIALS))}
        object.__setattr__(self, "ids", known)

    @classmethod
    def fit(cls, texts: Iterable[str]) -> Self:
        """Bracket atoms by count and then by text, each with its mirror image, which other roots need."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(piece for piece in TOKEN.findall(text) if piece[0] == "[" and len(piece) > 1)
        for symbol in list(counts):
            counts.setdefault(mirrored(symbol), 0)
        return cls((*ALWAYS, *sorted(counts, key=lambda symbol: (-counts[symbol], symbol))))

    @property
    def size(self) -> int:
        return len(SPECIALS) + len(self.symbols)

    def cut(self, text: str) -> list[str]:
        """Symbols whose join is the text."""
        pieces: list[str] = []
        for piece in TOKEN.findall(text):
            pieces.extend([piece] if piece in self.ids else piece)
        return pieces

    def encode(self, value: Any) -> list[int]:
        """Only characters outside of ASCII, which no SMILES has, are unknown."""
        return [self.ids.get(piece, UNK) for piece in self.cut(value)]

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """The join of the symbols."""
        return "".join(self.spelled(token, extra) for token in ids)

    def spelled(self, token: int, extra: Sequence[str] = ()) -> str:
        """What one id adds to the text."""
        if token >= self.size:
            return extra[token - self.size]
        if token < len(SPECIALS):
            return "\N{REPLACEMENT CHARACTER}" if token == UNK else ""
        return self.symbols[token - len(SPECIALS)]

    def label(self, token: int) -> str:
        return SPECIALS[token] if token < len(SPECIALS) else self.symbols[token - len(SPECIALS)]

    def dump(self) -> dict[str, Any]:
        return {"symbols": list(self.symbols)}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls(tuple(tree["symbols"]))


def mirrored(symbol: str) -> str:
    """`[C@H]` for `[C@@H]` and the other way round; itself where there is nothing to turn."""
    if "@@" in symbol:
        return symbol.replace("@@", "@")
    return symbol.replace("@", "@@")


def codecs(cfg: ReactionConfig, train: Iterable[Record]) -> Codecs:
    """Shared, so that embeddings can be tied: most of an answer is copied."""
    shared = SmilesTokenizer.fit(text for record in train for text in (record.source, *record.references))
    return Codecs(source=shared, target=shared)
