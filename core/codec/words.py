"""Words with white space between them, or a whole text as one word: what classes and tags are, and sources of tagging."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from core.codec.types import SPECIALS, UNK

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class WordTokenizer:
    """One symbol a word. Runs of white space are one space after decoding; a word that was not fitted is UNK."""

    kind: ClassVar[str] = "words"
    words: tuple[str, ...]
    """Ids from 4 on, the most frequent first."""
    whole: bool = False
    """The text as it is, but for white space around it, is one word: a class "very good", say."""
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {word: number for number, word in enumerate(self.words, start=len(SPECIALS))}
        object.__setattr__(self, "ids", known)

    @classmethod
    def fit(cls, texts: Iterable[str], *, whole: bool = False, most: int = 0) -> Self:
        """The words that occur, by count and then by spelling; at most `most` of them unless it is 0."""
        cutter = cls((), whole)
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(cutter.cut(text))
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(tuple(ordered[:most] if most else ordered), whole)

    @property
    def size(self) -> int:
        return len(SPECIALS) + len(self.words)

    def cut(self, value: Any) -> list[str]:
        """The words, in order."""
        return [value.strip()] if self.whole else value.split()

    def id_of(self, symbol: str) -> int | None:
        """UNK for a word that was not fitted; None for what is not one word."""
        known = self.ids.get(symbol)
        return UNK if known is None and self.cut(symbol) == [symbol] else known

    def encode(self, value: Any) -> list[int]:
        return [self.ids.get(word, UNK) for word in self.cut(value)]

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """With one space between words; the specials but UNK are nothing."""
        return " ".join(word for one in ids if (word := self._spelled(one, extra)))

    def _spelled(self, token: int, extra: Sequence[str]) -> str:
        if token >= self.size:
            return extra[token - self.size]
        if token < len(SPECIALS):
            return UNKNOWN if token == UNK else ""
        return self.words[token - len(SPECIALS)]

    def label(self, token: int) -> str:
        return SPECIALS[token] if token < len(SPECIALS) else self.words[token - len(SPECIALS)]

    def dump(self) -> dict[str, Any]:
        return {"words": list(self.words), "whole": self.whole}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls(tuple(tree["words"]), tree["whole"])
