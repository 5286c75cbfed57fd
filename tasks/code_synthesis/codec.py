"""One vocabulary for instructions and code: words, signs, digits and indents, cut so that what is copied is the same tokens.

A piece that begins a word has a space before it where it follows a word, so `sort the list` is three tokens and `f(x)` four;
what continues a word (`camelCase`, rare words) has pieces of its own. All other spaces are spelled out, alone or as part of
signs (` = `, `, `). Digits stand alone. Characters without a piece are spelled as UTF-8 bytes; lone surrogates, which no
UTF-8 text has, become U+FFFD.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from string import ascii_letters, digits, punctuation
from typing import Any, ClassVar, Self

from core.codec.types import SPECIALS, Codecs
from core.codec.words import WordTokenizer
from core.record import Record
from tasks.code_synthesis.config import CodeConfig

CUT = re.compile(
    r"[A-Z]{1,40}(?![a-z])|[A-Z]?[a-z]{1,40}"  # a word or part of one
    r"|[0-9_]"
    r"| ?(?:\*\*=|//=|>>=|<<=|\.\.\.|\*\*|//|>>|<<|==|!=|<=|>=|->|:=|[-+*/%&|^@]=|[!-/:-@\[-^`{-~]) ?"
    r"|\n {0,32}| {1,16}|[^ ]"
)
WORD = frozenset(ascii_letters)
BYTES = tuple(byte for byte in range(256) if byte != ord("\n") and not 32 <= byte < 127)
"""Those that no piece of one character spells."""
FIRST = len(SPECIALS) + len(BYTES)
LEAST = 2
"""A piece occurs so often."""
CONTINUES = "##"
"""Before the label of a piece that continues a word."""


@dataclass(frozen=True)
class CodeTokenizer:
    """Ids: four specials, bytes, words (which begin a word), continuations, signs."""

    kind: ClassVar[str] = "code"
    words: tuple[str, ...]
    continuations: tuple[str, ...]
    signs: tuple[str, ...]
    ids: dict[str, int] = field(init=False, repr=False, compare=False)
    """Words and signs."""
    rest: dict[str, int] = field(init=False, repr=False, compare=False)
    """Continuations."""
    beginnings: frozenset[str] = field(init=False, repr=False, compare=False)
    """Of words and continuations: where none goes on, no longer one is looked for."""

    def __post_init__(self) -> None:
        begin = FIRST + len(self.words)
        ids = {piece: number for number, piece in enumerate(self.words, FIRST)}
        ids |= {piece: number for number, piece in enumerate(self.signs, begin + len(self.continuations))}
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "rest", {piece: number for number, piece in enumerate(self.continuations, begin)})
        begun = (piece[:n] for piece in (*self.words, *self.continuations) for n in range(1, len(piece) + 1))
        object.__setattr__(self, "beginnings", frozenset(begun))

    @classmethod
    def fit(cls, texts: Iterable[str], size: int) -> Self:
        """All letters and signs of ASCII, and the most frequent pieces that occur at least twice; at most `size` ids."""
        begins: Counter[str] = Counter()
        continues: Counter[str] = Counter()
        signs: Counter[str] = Counter()
        for text in texts:
            inside = False
            for piece in CUT.findall(clean(text)):
                if piece[0] in WORD:
                    (continues if inside else begins)[piece] += 1
                    inside = True
                else:
                    inside = False
                    if piece.isascii() or len(piece) == 1:
                        signs[piece] += 1
        always = ["\n", " ", *digits, *punctuation]
        room = size - FIRST - 2 * len(ascii_letters) - len(always)
        ranked = sorted(
            (
                (-count, kind, piece)
                for kind, counts in enumerate((begins, parts_of_rare(begins, continues), signs))
                for piece, count in counts.items()
                if count >= LEAST and (len(piece) > 1 or not piece.isascii()) and piece not in always
            )
        )[: max(room, 0)]
        chosen = [sorted(piece for _, kind, piece in ranked if kind == wanted) for wanted in range(3)]
        return cls((*ascii_letters, *chosen[0]), (*ascii_letters, *chosen[1]), (*always, *chosen[2]))

    @property
    def size(self) -> int:
        return FIRST + len(self.words) + len(self.continuations) + len(self.signs)

    def encode(self, value: Any) -> list[int]:
        """Spells any text."""
        ids: list[int] = []
        after_word = False
        pieces = CUT.findall(clean(value))
        known = dict[tuple[str, bool], list[int]]()
        for at, piece in enumerate(pieces):
            if piece[0] in WORD:
                if (some := known.get((piece, after_word))) is None:
                    some = known[piece, after_word] = self.word(piece, continues=after_word)
                after_word = True
            elif piece == " " and after_word and at + 1 < len(pieces) and pieces[at + 1][0] in WORD:
                some, after_word = (), False  # the next word brings this space
            else:
                if (some := known.get((piece, False))) is None:
                    some = known[piece, False] = self.sign(piece)
                after_word = False
            ids += some
        return ids

    def word(self, piece: str, *, continues: bool) -> list[int]:
        """The longest known pieces, from the left."""
        ids: list[int] = []
        while piece:
            known = self.rest if continues else self.ids
            length, n = 1, 1
            while n <= len(piece) and (head := piece[:n]) in self.beginnings:
                length = n if head in known else length
                n += 1
            ids.append(known[piece[:length]])
            piece, continues = piece[length:], True
        return ids

    def sign(self, piece: str) -> list[int]:
        """One token, or its characters, or their bytes."""
        if (number := self.ids.get(piece)) is not None:
            return [number]
        if len(piece) > 1 and piece.strip() and (number := self.ids.get(piece.strip())) is not None:
            before, after = piece.startswith(" "), piece.endswith(" ")
            return [*[self.ids[" "]] * before, number, *[self.ids[" "]] * after]
        ids: list[int] = []
        for letter in piece:
            number = self.ids.get(letter)
            ids.extend([number] if number is not None else [BYTE_IDS[byte] for byte in letter.encode()])
        return ids

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """Bytes that are no UTF-8 (a model may say anything) become U+FFFD."""
        out = bytearray()
        after_word = False
        for number in ids:
            if number >= self.size:
                text, begins, is_word = extra[number - self.size], True, True
            else:
                begins, is_word = self.begins_word(number), self.is_word(number)
                if len(SPECIALS) <= number < FIRST:
                    out.append(BYTES[number - len(SPECIALS)])
                    after_word = False
                    continue
                text = self.spelled(number)
            out += (" " + text if begins and after_word else text).encode()
            after_word = is_word
        return out.decode("utf-8", "replace")

    def begins_word(self, number: int) -> bool:
        """Whether a space stands before it after a word."""
        return FIRST <= number < FIRST + len(self.words)

    def is_word(self, number: int) -> bool:
        """Whether it is part of a word."""
        return FIRST <= number < FIRST + len(self.words) + len(self.continuations)

    def spelled(self, number: int) -> str:
        """The text of a piece, alone; empty for specials and bytes."""
        return self.table[number]

    @cached_property
    def table(self) -> tuple[str, ...]:
        """Id -> text."""
        return (*("" for _ in range(FIRST)), *self.words, *self.continuations, *self.signs)

    def label(self, token: int) -> str:
        if token < len(SPECIALS):
            return SPECIALS[token]
        if token < FIRST:
            return f"<0x{BYTES[token - len(SPECIALS)]:02X}>"
        text = self.spelled(token).replace("\n", "⏎").replace(" ", "␣")
        return CONTINUES + text if self.is_word(token) and not self.begins_word(token) else text

    def dump(self) -> dict[str, Any]:
        return {"words": list(self.words), "continuations": list(self.continuations), "signs": list(self.signs)}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls(tuple(tree["words"]), tuple(tree["continuations"]), tuple(tree["signs"]))


BYTE_IDS = {byte: number for number, byte in enumerate(BYTES, len(SPECIALS))}


def parts_of_rare(begins: Counter[str], continues: Counter[str]) -> Counter[str]:
    """Continuations as they occur, and two or three letters on end in words too rare for a piece of their own."""
    found = Counter(continues)
    for counts in (begins, continues):
        for word, count in counts.items():
            if count < LEAST:
                for length in (2, 3):
                    found.update(word[at : at + length] for at in range(1, len(word) - length + 1))
    return found


def clean(text: str) -> str:
    """The text, if it can be written as UTF-8 at all."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def codecs(cfg: CodeConfig, train: Iterable[Record]) -> Codecs:
    """Shared, so that names, strings and numbers can be copied."""
    texts = [text for record in train for text in (record.source, *record.references)]
    if cfg.tokens == "words":
        words = WordTokenizer.fit(texts, most=cfg.vocabulary - len(SPECIALS))
        return Codecs(source=words, target=words)
    shared = CodeTokenizer.fit(texts, cfg.vocabulary)
    return Codecs(source=shared, target=shared)
