"""Did you mean? The known word that is nearest to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The most similar of the known words, if any is similar at all."""
    found = difflib.get_close_matches(word[:200], list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message: what was probably meant, or nothing."""
    guess = nearest(word, known)
    return f"; did you mean {guess}?" if guess else ""
