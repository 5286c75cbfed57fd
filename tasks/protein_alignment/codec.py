"""Sequences as residue ids, alignments as columns: pair, first alone, second alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from core.codec.types import SPECIALS, Codecs, Encoded
from core.errors import DataError
from core.record import Record
from tasks.protein_alignment.alignment import CIGAR, GAPS, cigar_of, path_of, path_of_cigar, rows_of
from tasks.protein_alignment.config import AlignmentConfig

SEPARATOR = len(SPECIALS)
AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"
LETTERS = AMINO_ACIDS + "X"
"""What the model tells apart, from SEPARATOR + 1 on."""
READ_AS = {"U": "C", "O": "K"}
"""Selenocysteine and pyrrolysine are variants of these; B, Z, J, * and X itself are read as X."""
PAIR, FIRST, SECOND = (len(SPECIALS) + number for number in range(3))
MOVES = {"M": PAIR, "D": FIRST, "I": SECOND}


def read_as(sequence: str) -> str:
    """A sequence in the letters that the model tells apart."""
    return "".join(letter if letter in LETTERS else READ_AS.get(letter, "X") for letter in sequence.upper())


class ResidueCodec:
    """Sequences, each followed by a separator; positions begin anew in each, segments number them."""

    kind: ClassVar[str] = "residues"
    id_of: ClassVar[dict[str, int]] = {letter: SEPARATOR + 1 + n for n, letter in enumerate(LETTERS)}

    def dump(self) -> dict[str, Any]:
        """The letters, so that a run of other letters is noticed."""
        return {"kind": self.kind, "letters": LETTERS}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        """Refuses another alphabet."""
        if tree.get("letters") != LETTERS:
            raise DataError(f"a run over the residues {tree.get('letters')!r}; this version reads {LETTERS!r}")
        return cls()

    @property
    def size(self) -> int:
        """Specials, the separator, and the letters."""
        return SEPARATOR + 1 + len(LETTERS)

    def encode(self, value: Any) -> Any:
        """Two sequences as `Encoded`; more are aligned two at a time (`task.solve`)."""
        if len(value) != 2:
            raise DataError(f"{len(value)} sequences; the model reads two at a time: train on pairs")
        parts = [np.array([*(self.id_of[one] for one in read_as(sequence)), SEPARATOR], np.int32) for sequence in value]
        position = np.concatenate([np.arange(len(part), dtype=np.int32) for part in parts])
        segment = np.concatenate([np.full(len(part), number, np.int32) for number, part in enumerate(parts)])
        return Encoded(np.concatenate(parts), position, segment)

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """The sequences, a line each."""
        return "".join(self.label(one) if one > SEPARATOR else "\n" for one in ids).rstrip("\n")

    def same(self, decoded: str, value: Any) -> bool:
        """Both sequences, letter by letter, whatever stands between them."""
        return decoded.split("\n") == [sequence.upper() for sequence in value]

    def label(self, token: int) -> str:
        """A residue's letter."""
        if token < SEPARATOR:
            return SPECIALS[token]
        return "<sep>" if token == SEPARATOR else LETTERS[token - SEPARATOR - 1]


class ColumnCodec:
    """An alignment of two sequences, a token a column. It reads rows or a CIGAR, and writes a CIGAR.

    What the columns hold is no question of theirs: `task.solve` spells them with the letters of the input.
    """

    kind: ClassVar[str] = "columns"

    def dump(self) -> dict[str, Any]:
        """Nothing is learned."""
        return {"kind": self.kind}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        """All are equal."""
        return cls()

    @property
    def size(self) -> int:
        """Specials and three moves."""
        return len(SPECIALS) + len(MOVES)

    def encode(self, value: Any) -> list[int]:
        """Columns in canonical order."""
        if CIGAR.fullmatch(value):
            path = path_of_cigar(value)
        else:
            rows = rows_of(value.translate(GAPS))
            if len(rows) != 2:
                raise DataError(f"an alignment of {len(rows)} rows; the model learns from pairs")
            path = path_of(rows[0], rows[1])
        return [MOVES[move] for move in path]

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """A CIGAR, the first sequence being the reference."""
        move_of = {token: move for move, token in MOVES.items()}
        return cigar_of("".join(move_of[one] for one in ids if one in move_of))

    def same(self, decoded: str, value: Any) -> bool:
        """The same columns, as rows or as a CIGAR."""
        return self.encode(decoded) == self.encode(value)

    def label(self, token: int) -> str:
        """M, D or I."""
        return SPECIALS[token] if token < len(SPECIALS) else "MDI"[token - len(SPECIALS)]


def codecs(cfg: AlignmentConfig, train: Iterable[Record]) -> Codecs:
    """Nothing depends on the training records."""
    return Codecs(source=ResidueCodec(), target=ColumnCodec())
