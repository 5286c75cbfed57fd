"""Subwords (BPE, unigram) that spell any text: characters outside the alphabet fall back to their UTF-8 bytes.

Lossless: no normalisation, spaces are ordinary characters of the pieces. A text is read as if a space stood before it,
so that a word is the same at the start and inside, and decoding takes that space away again. Lone surrogates, which no
UTF-8 text has, become U+FFFD. BPE is learned bit for bit alike each time; unigram up to ties of its probabilities.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from core.codec.types import SPECIALS
from core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer as Engine

SubwordKind = Literal["bpe", "unigram"]
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
FIRST = len(SPECIALS) + len(BYTES)
"""Ids below are specials and bytes; pieces follow."""
WORD = r" ?\{\w{1,40}\}| ?[\p{L}\p{M}]+| ?\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s"
"""Pieces never cross these: a placeholder in braces, a run of letters, one digit, a run of other signs, white space."""


class Sampled(str):
    """A text that is to be segmented anew, by BPE-dropout: what augmentation makes of a text."""

    share: float
    seed: int

    def __new__(cls, text: str, share: float, seed: int) -> Self:
        made = super().__new__(cls, text)
        made.share, made.seed = share, seed
        return made


LONG = 10_000
"""Characters of a text for which it pays not to ask for the place of each piece, too."""


@dataclass(frozen=True)
class SubwordTokenizer:
    """Ids: four specials, 256 bytes, then `pieces`."""

    kind: ClassVar[str] = "subword"
    model: SubwordKind
    pieces: tuple[str, ...]
    """User symbols first, then the alphabet, then what was learned."""
    merges: tuple[tuple[int, int], ...] = ()
    """BPE: pairs of numbers of pieces, in order of rank."""
    scores: tuple[float, ...] = ()
    """Unigram: log-probabilities of the pieces."""
    user_symbols: tuple[str, ...] = ()
    """Always one token each, wherever they occur."""
    spelling: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spelled = (
            *(b"" for _ in SPECIALS),
            *(bytes([byte]) for byte in range(256)),
            *(p.encode() for p in self.pieces),
        )
        object.__setattr__(self, "spelling", spelled)

    @classmethod
    def fit(cls, texts: Iterable[str], size: int, kind: SubwordKind = "bpe", user_symbols: Sequence[str] = ()) -> Self:
        """At most `size` ids in all; user symbols are one token wherever they occur."""
        prefixed = [" " + clean(text) for text in texts if text]
        symbols = tuple(dict.fromkeys(user_symbols))
        if taken := {*SPECIALS, *BYTES, ""}.intersection(symbols):  # what is learned cannot be: WORD would cut it
            raise ConfigError(f"user symbol {min(taken)!r}: this name is taken")
        room = size - FIRST - len(symbols)
        if room < 64:
            raise ConfigError(
                f"a subword vocabulary of {size}: too small; specials, bytes and user symbols take "
                f"{FIRST + len(symbols)}, so {FIRST + len(symbols) + 64} is the least"
            )
        alphabet = frequent_characters(prefixed, room // 2)
        match kind:
            case "bpe":
                learned, merges = fit_bpe(prefixed, room, alphabet, symbols)
                number = {piece: place for place, piece in enumerate(learned, start=len(symbols))}
                pairs = tuple((number[left], number[right]) for left, right in merges)
                return cls("bpe", (*symbols, *learned), merges=pairs, user_symbols=symbols)
            case "unigram":
                scored = fit_unigram(prefixed, room, alphabet, symbols)
                pieces = (*symbols, *(piece for piece, _ in scored))
                scores = (*(0.0 for _ in symbols), *(score for _, score in scored))
                return cls("unigram", pieces, scores=scores, user_symbols=symbols)

    @cached_property
    def engine(self) -> Engine:
        """The compiled tokenizer."""
        names = [*SPECIALS, *BYTES, *self.pieces]
        library = tokenizers_library()
        match self.model:
            case "bpe":
                vocabulary = {name: number for number, name in enumerate(names)}
                merges = [(self.pieces[left], self.pieces[right]) for left, right in self.merges]
                model = library.models.BPE(vocabulary, merges, unk_token=SPECIALS[3], byte_fallback=True)
            case "unigram":
                low = min(self.scores, default=0.0) - 20.0
                scored = [*((name, low) for name in names[:FIRST]), *zip(self.pieces, self.scores, strict=True)]
                model = library.models.Unigram(scored, unk_id=3, byte_fallback=True)
        engine = library.Tokenizer(model)
        engine.pre_tokenizer = splitter()
        engine.add_tokens([library.AddedToken(symbol, normalized=False) for symbol in self.user_symbols])
        return engine

    @property
    def size(self) -> int:
        return FIRST + len(self.pieces)

    def encode(self, value: Any) -> list[int]:
        """The one best segmentation, but for texts that ask for another."""
        if isinstance(value, Sampled):
            import numpy as np

            return self.sample(str(value), np.random.default_rng(value.seed), value.share)
        if len(value) > LONG:
            return self.long(" " + clean(value))
        return self.engine.encode(" " + clean(value)).ids if value else []

    def long(self, text: str) -> list[int]:
        """The same, of a text that may have been written to take long: places are not asked for, and of letters without a piece in a
        row, which nothing joins, all but the outer ones are spelled here."""
        parts: list[str] = []
        bytes_: list[bytes] = []
        begin = 0
        for run in self.strange.finditer(text):
            parts.append(text[begin : run.start() + 1])
            bytes_.append(run[0][1:-1].encode())
            begin = run.end() - 1
        parts.append(text[begin:])
        first, *others = (one.ids for one in self.engine.encode_batch_fast(parts))
        for inner, after in zip(bytes_, others, strict=True):
            first += [len(SPECIALS) + byte for byte in inner]
            first += after
        return first

    @cached_property
    def strange(self) -> re.Pattern[str]:
        """Letters of which no piece is made, three and more in a row."""
        letters = "".join(sorted(set("".join(self.pieces))))
        return re.compile(f"[^{re.escape(letters)}]{{3,}}" if letters else "(?s:.){3,}")

    def encode_all(self, values: Sequence[Any]) -> list[list[int]]:
        """The same, for many texts at once."""
        encoded = self.engine.encode_batch_fast([" " + clean(value) if value else "" for value in values])
        return [one.ids for one in encoded]

    def cut(self, value: Any) -> list[str]:
        """The pieces and bytes, by name."""
        return [BYTES[one - len(SPECIALS)] if one < FIRST else self.pieces[one - FIRST] for one in self.encode(value)]

    def id_of(self, symbol: str) -> int | None:
        """Never unknown: what has no piece is spelled by several."""
        known = self.numbers.get(symbol)
        return len(SPECIALS) + BYTES.index(symbol) if known is None and symbol in BYTES else known

    def sample(self, value: Any, random: np.random.Generator, share: float) -> list[int]:
        """BPE-dropout (Provilkov et al. 2020): a merge that could be made is passed over with probability `share`."""
        if self.model != "bpe":
            raise ConfigError("BPE-dropout needs a BPE vocabulary, this one is unigram")
        splitting: Any = self.engine.pre_tokenizer
        ids: list[int] = []
        for part in cut_out(" " + clean(value), self.user_symbols) if value else ():
            if part in self.user_symbols:
                ids.append(self.numbers[part])
            else:
                for word, _ in splitting.pre_tokenize_str(part):
                    ids.extend(self.sample_word(word, random, share))
        return ids

    def sample_word(self, word: str, random: np.random.Generator, share: float) -> list[int]:
        """One word of `sample`."""
        parts = [part for letter in word for part in self.letter(letter)]
        while len(parts) > 1:
            kept = random.random(len(parts) - 1) >= share
            ranked = [
                (rank, place)
                for place in range(len(parts) - 1)
                if kept[place] and (rank := self.ranks.get((parts[place], parts[place + 1]))) is not None
            ]
            if not ranked:
                break
            rank, place = min(ranked)
            parts[place : place + 2] = [self.merged[rank]]
        return parts

    def letter(self, letter: str) -> list[int]:
        """A character's id, or those of its bytes."""
        number = self.numbers.get(letter)
        return [number] if number is not None else [len(SPECIALS) + byte for byte in letter.encode()]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Piece -> id."""
        return {piece: number for number, piece in enumerate(self.pieces, start=FIRST)}

    @cached_property
    def ranks(self) -> dict[tuple[int, int], int]:
        """Pair of ids -> its rank among the merges."""
        return {(FIRST + left, FIRST + right): rank for rank, (left, right) in enumerate(self.merges)}

    @cached_property
    def merged(self) -> list[int]:
        """Rank -> the id that the merge makes."""
        return [self.numbers[self.pieces[left] + self.pieces[right]] for left, right in self.merges]

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """Bytes that are no UTF-8 (a model may say anything) become U+FFFD."""
        size = self.size
        parts = (self.spelling[one] if one < size else extra[one - size].encode() for one in ids)
        return b"".join(parts).decode("utf-8", "replace").removeprefix(" ")

    def label(self, token: int) -> str:
        """Spaces are shown as the low line that people know from SentencePiece."""
        if token < FIRST:
            return (*SPECIALS, *BYTES)[token]
        return self.pieces[token - FIRST].replace(" ", "\N{LOWER ONE EIGHTH BLOCK}")

    def dump(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "pieces": list(self.pieces),
            "merges": [list(pair) for pair in self.merges],
            "scores": list(self.scores),
            "user_symbols": list(self.user_symbols),
        }

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        """Refuses what the compiled tokenizer would stumble over when the first text comes."""
        pieces: list[str] = tree["pieces"]
        known, count = set(pieces), len(pieces)
        for left, right in tree["merges"]:
            if not (0 <= left < count and 0 <= right < count and pieces[left] + pieces[right] in known):
                raise ValueError(f"no merge of {left} and {right}")
        if not known.issuperset(tree["user_symbols"]) or "" in known or known.intersection((*SPECIALS, *BYTES)):
            raise ValueError("a piece that cannot be")
        if tree["model"] == "unigram" and (len(tree["scores"]) != count or not all(map(isfinite, tree["scores"]))):
            raise ValueError(f"{count} pieces need as many scores")
        return cls(
            tree["model"],
            tuple(tree["pieces"]),
            tuple((left, right) for left, right in tree["merges"]),
            tuple(tree["scores"]),
            tuple(tree["user_symbols"]),
        )


def clean(text: str) -> str:
    """The text, if it can be written as UTF-8 at all."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def frequent_characters(texts: Sequence[str], most: int) -> list[str]:
    """The alphabet: characters seen at least twice, at most so many; the space always."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    seen = sorted((letter for letter in counts if counts[letter] > 1), key=lambda letter: (-counts[letter], letter))
    return sorted({" ", *seen[:most]})


def tokenizers_library() -> Any:
    """The library, or a plain message."""
    try:
        import tokenizers
    except ImportError:
        raise ConfigError("a subword vocabulary needs the library tokenizers: pip install tokenizers") from None
    return tokenizers


def splitter() -> Any:
    """What pieces never cross."""
    library = tokenizers_library()
    return library.pre_tokenizers.Split(library.Regex(WORD), "isolated")


def fit_bpe(
    texts: Sequence[str], size: int, alphabet: Sequence[str], user_symbols: Sequence[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """The pieces (alphabet first) and the merges, by rank."""
    library = tokenizers_library()
    engine = library.Tokenizer(library.models.BPE())
    engine.pre_tokenizer = splitter()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        initial_alphabet=list(alphabet),
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    engine.train_from_iterator(without(texts, user_symbols), trainer)
    model = json.loads(engine.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return pieces, [(left, right) for left, right in model["merges"]]


def fit_unigram(
    texts: Sequence[str], size: int, alphabet: Sequence[str], user_symbols: Sequence[str]
) -> list[tuple[str, float]]:
    """Pieces with their log-probabilities, the most probable first."""
    library = tokenizers_library()
    engine = library.Tokenizer(library.models.Unigram())
    engine.pre_tokenizer = splitter()
    trainer = library.trainers.UnigramTrainer(
        vocab_size=size, initial_alphabet=list(alphabet), show_progress=False, max_piece_length=20
    )
    engine.train_from_iterator(without(texts, user_symbols), trainer)
    known = set(alphabet)
    scored = [
        (piece, round(score, 3))  # the library sums in the order of its threads
        for piece, score in json.loads(engine.to_str())["model"]["vocab"]
        if known.issuperset(piece)
    ]
    return sorted(scored, key=lambda entry: (-entry[1], entry[0]))[:size]


def without(texts: Sequence[str], user_symbols: Sequence[str]) -> Iterable[str]:
    """Texts to learn from: nothing is learned about what is one token anyhow."""
    return (part for text in texts for part in cut_out(text, user_symbols) if part not in user_symbols)


def cut_out(text: str, user_symbols: Sequence[str]) -> list[str]:
    """User symbols, and what stands between them."""
    if not user_symbols:
        return [text]
    longest_first = sorted(user_symbols, key=lambda symbol: (-len(symbol), symbol))
    pattern = "|".join(re.escape(symbol) for symbol in longest_first)
    return [part for part in re.split(f"({pattern})", text) if part]
