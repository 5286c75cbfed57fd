"""A user's dictionary of words that stand for others, one a line: WORD, a tab, and its synonyms with `|` between them.

Training sources are varied by it, anew each epoch (Zhang et al., 2015); targets stay as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data.lines import Line, read_lines
from core.data.text_noise import rewritten, text_of
from core.errors import ConfigError, DataError
from core.record import Record

WORD = re.compile(r"\w+(?:[-'’]\w+)*")


@dataclass(frozen=True, slots=True)
class Synonyms:
    """Words in small letters with what may stand in their place."""

    words: dict[str, tuple[str, ...]]
    share: float
    """Of the words that have synonyms, so many are replaced."""
    sha256: str
    """Of the file."""

    def varied(self, record: Record, random: np.random.Generator) -> Record:
        """Each known word with that probability; a word that begins with a capital, or is in capitals, still does and is."""

        def other(found: re.Match[str]) -> str:
            word = found[0]
            known = self.words.get(word.lower())
            if known is None or random.random() >= self.share:
                return word
            return dressed(known[int(random.integers(len(known)))], word)

        text = text_of(record)
        return rewritten(record, WORD.sub(other, text))

    def counted(self, records: Iterable[Record]) -> tuple[int, int]:
        """(words of the sources that have synonyms, all words)."""
        known = total = 0
        for record in records:
            words = WORD.findall(text_of(record).lower())
            total += len(words)
            known += sum(word in self.words for word in words)
        return known, total


def dressed(word: str, like: str) -> str:
    """In the case of another."""
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


def read_synonyms(path: Path, share: float) -> Synonyms:
    """Raises with file and line at the first that is wrong; empty lines and those that begin with # are passed over."""
    if not path.is_file():
        raise ConfigError(f"train.synonyms: {path}: no such file")
    words: dict[str, tuple[str, ...]] = {}
    places: dict[str, str] = {}
    for line in read_lines(path):
        if not line.text.strip() or line.text.startswith("#"):
            continue
        word, others = entry(line)
        if word in words:
            raise line.bad(f"{word!r} stands at {places[word]} already")
        words[word], places[word] = others, line.place
    if not words:
        raise DataError(f"{path}: holds no words; a line is WORD, a tab, and synonyms with | between them")
    return Synonyms(words, share, hashlib.sha256(path.read_bytes()).hexdigest())


def entry(line: Line) -> tuple[str, tuple[str, ...]]:
    """A word and what stands for it."""
    word, tab, rest = line.text.partition("\t")
    word = word.strip().lower()
    if not tab:
        raise line.bad("no tab; a line is WORD, a tab, and synonyms with | between them")
    if not WORD.fullmatch(word):
        raise line.bad(f"{word!r} is not one word; words are looked up one by one")
    others = tuple(dict.fromkeys(one.strip() for one in rest.split("|")))
    if "" in others:
        raise line.bad(f"an empty synonym of {word!r}")
    if any(one.lower() == word for one in others):
        raise line.bad(f"{word!r} is no synonym of itself")
    return word, others
