"""When two sources are the same for a field, and when nearly: what `doctor` looks for between splits and within them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alike:
    """How a task's sources are compared."""

    texts: Callable[[Any], Sequence[str]]
    """A source -> what is compared of it: its one text, its two sequences, a canonical form. Equal texts: the same source."""
    letters: int = 5
    """Texts are taken apart into pieces of so many letters; 0: only equal ones are alike."""
    together: int = 4
    """So many of a text's least pieces make a key under which it is looked up: fewer find more, where strangers share few pieces."""
    least: float = 0.8
    """From here on two texts are nearly the same: the share of their pieces that both have, or the task's own measure."""
    measure: Callable[[str, str], float] | None = None
    """How alike two texts are, 0 to 1, asked of those that share many pieces."""
    said: str = "of their pieces of 5 letters in common"
    """What the number is a share of."""


def of_text(source: Any) -> Sequence[str]:
    """Without differences of case and white space."""
    return (" ".join(str(source).casefold().split()),)


TEXT = Alike(of_text)
"""Of a task that says nothing else."""
EQUAL = Alike(lambda source: (str(source),), letters=0, said="of all")
"""Of sources that are no text."""
