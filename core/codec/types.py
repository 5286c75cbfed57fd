"""What a tokenizer and a featurizer must offer, and the pair of them that a run keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
"""The first ids of every vocabulary, in this order."""


class Encoded(NamedTuple):
    """A source as numbers."""

    values: np.ndarray
    """int32 [S] ids, or float32 [S, F] frames."""
    position: np.ndarray | None = None
    """int32 [S], where positions do not simply count up (A <sep> B restarts them)."""
    segment: np.ndarray | None = None
    """int32 [S], which part of the source a symbol belongs to."""
    extended: np.ndarray | None = None
    """int32 [S], for models that copy: what each symbol is in the target (PAD: nothing), `words` from the size on. None: itself."""
    words: tuple[str, ...] = ()
    """Words of this source that the target's vocabulary lacks."""


class Codec(Protocol):
    """Anything that is saved in codecs.json."""

    kind: ClassVar[str]
    """Names the type in codecs.json."""

    def dump(self) -> dict[str, Any]:
        """Plain JSON from which `load` makes an equal codec."""
        ...

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self: ...


@runtime_checkable
class Tokenizer(Codec, Protocol):
    """Text <-> ids, without BOS and EOS; `decode(encode(text))` is the text, but for documented normalisation."""

    @property
    def size(self) -> int:
        """Ids are below this; the four specials come first."""
        ...

    def encode(self, value: Any) -> list[int]: ...
    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """`extra` spells the ids from `size` on: words copied from the source."""
        ...

    def label(self, token: int) -> str:
        """A token as a person reads it, for pictures."""
        ...


@runtime_checkable
class Rewriting(Tokenizer, Protocol):
    """A tokenizer that spells the same value in another way than it may have been given."""

    def same(self, decoded: str, value: Any) -> bool:
        """Whether this is what was given, written otherwise."""
        ...


@runtime_checkable
class Spelling(Codec, Protocol):
    """A tokenizer whose symbols have a spelling each, so that they can be copied into another vocabulary, or verbatim."""

    def cut(self, value: Any) -> list[str]:
        """The symbols that `encode` gives ids, in order."""
        ...

    def id_of(self, symbol: str) -> int | None:
        """UNK if it would be one unknown symbol here; None if it would not be one symbol."""
        ...


@runtime_checkable
class Featurizer(Codec, Protocol):
    """A raw source -> frames; the model picks its front-end by this type."""

    @property
    def width(self) -> int: ...
    def encode(self, value: Any) -> Encoded: ...


@runtime_checkable
class Timed(Featurizer, Protocol):
    """One whose frames are stretches of time, so that pictures and alignments can be told in seconds."""

    @property
    def frame_seconds(self) -> float:
        """From one frame to the next."""
        ...


@dataclass(frozen=True, slots=True)
class Codecs:
    """The two sides of a task. One object on both sides means a shared vocabulary, whose embeddings can be tied."""

    source: Tokenizer | Featurizer
    target: Tokenizer

    @property
    def shared(self) -> bool:
        return self.source is self.target


def as_encoded(value: Sequence[int] | np.ndarray | Encoded) -> Encoded:
    """A tokenizer may return plain ids: they are a source whose positions count up."""
    return value if isinstance(value, Encoded) else Encoded(np.asarray(value, dtype=np.int32))
