"""Targets that are places of the source: "2 0 1", counted from 0. For models that point (`model.head = "pointer"`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from core.codec.types import SPECIALS
from core.errors import DataError

LONGEST = 9
"""Digits of a place: ids fit 32 bits."""


@dataclass(frozen=True, slots=True)
class PlaceTokenizer:
    """A vocabulary of nothing but the four specials: place s of the source is the id that follows them by s."""

    kind: ClassVar[str] = "places"

    @property
    def size(self) -> int:
        return len(SPECIALS)

    def encode(self, value: Any) -> list[int]:
        """Numbers with white space between them; a list of numbers, as JSON has it, is read as well."""
        parts = value.split() if isinstance(value, str) else [str(part) for part in value]
        if wrong := [part for part in parts if not part.isdecimal() or len(part) > LONGEST]:
            raise DataError(f"{wrong[0][:40]!r} is no place of the source: these are counted from 0, like '2 0 1'")
        return [self.size + int(part) for part in parts]

    def decode(self, ids: Sequence[int], extra: Sequence[str] = ()) -> str:
        """The numbers again; specials are nothing."""
        return " ".join(str(one - self.size) for one in ids if one >= self.size)

    def label(self, token: int) -> str:
        return SPECIALS[token] if token < self.size else str(token - self.size)

    def dump(self) -> dict[str, Any]:
        return {}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls()
