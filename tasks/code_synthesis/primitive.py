"""What generated programs are composed of: a line of Python, what it does, and how people ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["ints", "int", "str", "strs", "dict", "bool"]
NAMES: Mapping[Kind, str] = {
    "ints": "numbers",
    "int": "n",
    "str": "text",
    "strs": "words",
    "dict": "table",
    "bool": "answer",
}
"""The variable that holds a value of this kind."""
VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Primitive:
    """`code` is an expression (or lines, the last of them an expression) over `{v}`; `{k}` `{c}` `{w}` are its constant."""

    takes: Kind
    gives: Kind
    code: str
    does: Callable[[Any, Any], Any]
    phrases: tuple[str, ...]

    @property
    def constant(self) -> Literal["k", "c", "w", ""]:
        """A number, a letter, a word, or none."""
        found = [kind for kind in ("k", "c", "w") if "{" + kind + "}" in self.code]
        return found[0] if found else ""  # pyright: ignore[reportReturnType]


def counts(values: Any) -> dict[Any, int]:
    """How often each occurs, in order of first sight."""
    found: dict[Any, int] = {}
    for one in values:
        found[one] = found.get(one, 0) + 1
    return found
