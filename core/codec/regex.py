"""Symbols cut out of text by a regular expression; by default every character is one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from core.codec.types import SPECIALS, UNK
from core.errors import ConfigError
from core.patterns import slow

CHARACTER = r"."


@dataclass(frozen=True, slots=True)
class RegexTokenizer:
    """Text between two matches is cut into characters, so that joined symbols always spell the text."""

    kind: ClassVar[str] = "regex"
    symbols: tuple[str, ...]
    """Ids from 4 on, the most frequent first."""
    pattern: str = CHARACTER
    ids: dict[str, int] = field(init=False, repr=False, compare=False)
    compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if why := slow(self.pattern):
            raise ConfigError(f"the pattern {self.pattern[:60]!r}: {why}")
        known = {symbol: number for number, symbol in enumerate(self.symbols, start=len(SPECIALS))}
        object.__setattr__(self, "ids", known)
        try:
            object.__setattr__(self, "compiled", re.compile(self.pattern, re.DOTALL))
        except (re.error, OverflowError) as error:
            raise ConfigError(f"the pattern {self.pattern[:60]!r}: {error}") from None

    @classmethod
    def fit(cls, texts: Iterable[str], pattern: str = CHARACTER, *, most: int = 0) -> Self:
        """The symbols that occur, by count and then by symbol; at most `most` of them unless it is 0."""
        cutter = cls((), pattern)
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(cutter.cut(text))
        ordered = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        return cls(tuple(ordered[:most] if most else ordered), pattern)

    def cut(self, text: str) -> list[str]:
        """Symbols whose join is the text."""
        if self.pattern == CHARACTER:
            return list(text)
        pieces: list[str] = []
        end = 0
        for match in self.compiled.finditer(text):
            if match.end() > match.start():
                pieces.extend(text[end : match.start()])
                pieces.append(match.group())
                end = match.end()
        pieces.extend(text[end:])
        return pieces

    @property
    def size(self) -> int:
        return len(SPECIALS) + len(self.symbols)

    def encode(self, value: Any) -> list[int]:
        """Symbols that were not fitted are UNK."""
        return [self.ids.get(symbol, UNK) for symbol in self.cut(value)]

    def id_of(self, symbol: str) -> int | None:
        """Of one symbol as the pattern cuts it."""
        known = self.ids.get(symbol)
        return UNK if known is None and self.cut(symbol) == [symbol] else known

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """The join of the symbols; UNK is spelled as the replacement character, the other specials as nothing."""
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
        return {"symbols": list(self.symbols), "pattern": self.pattern}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls(tuple(tree["symbols"]), tree["pattern"])
