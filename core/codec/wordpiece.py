"""WordPiece over a published vocab.txt, as encoders of BERT's shape read text (Wu et al., 2016; Devlin et al., 2019).

Text is cleaned, lower-cased and freed of accents where the vocabulary is uncased, cut at white space, around punctuation and
around each Chinese character, and each word into the longest pieces from its left that the vocabulary has; a word that cannot be
cut so, or is longer than 100 letters, is unknown. As a source it stands between [CLS] and [SEP], which are our beginning and end.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from core.codec.types import BOS, EOS, SPECIALS, UNK
from core.errors import DataError

NAMES = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
"""Of our specials, in a vocab.txt."""
LONGEST = 100
LETTERS_KEPT = 70_000
"""Of a text with every letter that there is, all would be a burden."""
CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


@dataclass(frozen=True, slots=True)
class WordPieceTokenizer:
    """Ids are ours: the four specials, then the other pieces in the order of the file."""

    kind: ClassVar[str] = "wordpiece"
    pieces: tuple[str, ...]
    lower: bool = True
    """The vocabulary is uncased."""
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {piece: number for number, piece in enumerate(self.pieces, start=len(SPECIALS))}
        object.__setattr__(self, "ids", known)

    @classmethod
    def read(cls, path: Path, *, lower: bool = True) -> Self:
        """From a vocab.txt, one piece a line."""
        try:
            pieces = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: {error}") from None
        if missing := [name for name in NAMES if name not in pieces]:
            raise DataError(f"{path}: no line is {missing[0]}, which a vocabulary of pieces has")
        return cls(tuple(piece for piece in pieces if piece not in NAMES), lower)

    @property
    def size(self) -> int:
        return len(SPECIALS) + len(self.pieces)

    def encode(self, value: Any) -> list[int]:
        """With both ends."""
        found, cut = [BOS], dict[str, list[int]]()
        for word in words(value, lower=self.lower):
            if (ids := cut.get(word)) is None:
                ids = cut[word] = self._cut(word)
            found += ids
        return [*found, EOS]

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """Pieces that continue a word joined to it; cleaning and lower-casing cannot be undone."""
        text = ""
        for one in ids:
            if one in (UNK, *range(len(SPECIALS), self.size)) or one >= self.size:
                piece = extra[one - self.size] if one >= self.size else self.label(one)
                text += piece.removeprefix("##") if piece.startswith("##") else f" {piece}"
        return text.strip()

    def label(self, token: int) -> str:
        return NAMES[token] if token < len(SPECIALS) else self.pieces[token - len(SPECIALS)]

    def dump(self) -> dict[str, Any]:
        return {"pieces": list(self.pieces), "lower": self.lower}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls(tuple(tree["pieces"]), tree["lower"])

    def _cut(self, word: str) -> list[int]:
        if len(word) > LONGEST:
            return [UNK]
        found: list[int] = []
        begin = 0
        while begin < len(word):
            prefix = "##" if begin else ""
            ends = range(len(word), begin, -1)
            end = next((end for end in ends if prefix + word[begin:end] in self.ids), None)
            if end is None:
                return [UNK]
            found.append(self.ids[prefix + word[begin:end]])
            begin = end
        return found


def words(text: str, *, lower: bool) -> Iterator[str]:
    """Cleaned, and cut into words and single marks."""
    spaced = text.translate(CLEANED)
    if lower:
        spaced = unicodedata.normalize("NFD", spaced).translate(WITHOUT_ACCENTS).lower()
    yield from spaced.translate(MARKED).split()


class Letters(dict[int, str]):
    """What becomes of each letter, found out when it is first met."""

    def __init__(self, becomes: Callable[[str], str]) -> None:
        super().__init__()
        self.becomes = becomes

    def __missing__(self, letter: int) -> str:
        found = self.becomes(chr(letter))
        if len(self) < LETTERS_KEPT:
            self[letter] = found
        return found


def cleaned(one: str) -> str:
    """No control characters; any white space is a space; an ideograph stands alone."""
    if one.isspace():
        return " "
    if one in "\0\N{REPLACEMENT CHARACTER}" or unicodedata.category(one).startswith("C"):
        return ""
    return f" {one} " if is_chinese(one) else one


def without_accent(one: str) -> str:
    """Nothing, where it is one."""
    return "" if unicodedata.category(one) == "Mn" else one


def marked(one: str) -> str:
    """A mark stands alone."""
    return f" {one} " if is_mark(one) else one


def is_mark(one: str) -> bool:
    """Punctuation, and whatever is neither letter nor digit in ASCII."""
    ascii_mark = 33 <= ord(one) <= 47 or 58 <= ord(one) <= 64 or 91 <= ord(one) <= 96 or 123 <= ord(one) <= 126
    return ascii_mark or unicodedata.category(one).startswith("P")


def is_chinese(one: str) -> bool:
    """An ideograph of the Chinese script, which stands for itself."""
    return any(first <= ord(one) <= last for first, last in CHINESE)


CLEANED, WITHOUT_ACCENTS, MARKED = Letters(cleaned), Letters(without_accent), Letters(marked)
