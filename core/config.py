"""Config as frozen dataclasses, validated strictly against their annotations (see docs/adr/0002).

A config class is plain data: `@config class X: width: AtLeast1 = 256`. A string below a field is its documentation.
Several classes in a union are told apart by their `kind: Literal[...]`. `Impossible` from `__post_init__` refuses
values that do not go together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers that a field takes, both ends included unless `open_low` / `open_high`."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False


AtLeast0 = Annotated[int, Bounds(low=0)]
AtLeast1 = Annotated[int, Bounds(low=1)]
Share = Annotated[float, Bounds(low=0, high=1)]
Dropout = Annotated[float, Bounds(low=0, high=1, open_high=True)]
NotNegative = Annotated[float, Bounds(low=0)]
Positive = Annotated[float, Bounds(low=0, open_low=True)]


class Impossible(ValueError):
    """Raised by a config's `__post_init__`: the field, and what would be possible."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


@dataclass_transform(kw_only_default=True, frozen_default=True)
def config(kind: type[T]) -> type[T]:
    """A config table: a frozen, keyword-only, slotted dataclass that the strict loader knows."""
    return dataclass(frozen=True, kw_only=True, slots=True)(kind)
