"""Tokens put together to words, so that an alignment can be told in words as its field's tools count them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from core.codec.types import Tokenizer

# T target, S source, M words of the target, N words of the source

WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Aligned:
    """Words of both sides, and how much each of the output's looked at each of the source's."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    weight_MN: np.ndarray
    """Rows of sum 1, but for what fell on no word."""

    @property
    def links(self) -> list[tuple[int, int]]:
        """(source, target): of each word of the output the one that it looked at most."""
        if not self.weight_MN.size:
            return []
        return [(int(n), m) for m, n in enumerate(self.weight_MN.argmax(-1)) if self.weight_MN[m, n] > 0]

    def __str__(self) -> str:
        """Pharaoh's `source-target` pairs."""
        return " ".join(f"{n}-{m}" for n, m in self.links)


def words_of(
    tokenizer: Tokenizer, tokens: Sequence[int], extra: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[int]]:
    """The words that the tokens spell, and of each token the word that it belongs to, or -1 for none (a space alone)."""
    spelled = tokenizer.decode(tokens, extra)
    ends = [0, *(len(tokenizer.decode(tokens[:count], extra)) for count in range(1, len(tokens) + 1))]
    spans = [match.span() for match in WORD.finditer(spelled)]
    found: list[int] = []
    for begin, end in pairwise(ends):
        over = [min(end, last) - max(begin, first) for first, last in spans]
        most = max(over, default=0)
        found.append(over.index(most) if most > 0 else -1)
    return tuple(match.group() for match in WORD.finditer(spelled)), found


def aligned(
    weight_TS: np.ndarray,
    source: tuple[tuple[str, ...], Sequence[int]],
    target: tuple[tuple[str, ...], Sequence[int]],
) -> Aligned:
    """Weights of tokens, those of a word of the source added up, those of a word of the output averaged."""
    (from_words, from_token), (to_words, to_token) = source, target
    weight_MN = np.zeros((len(to_words), len(from_words)))
    count_M = np.zeros(len(to_words))
    for t, m in enumerate(to_token):
        if m < 0:
            continue
        count_M[m] += 1
        for s, n in enumerate(from_token):
            if n >= 0:
                weight_MN[m, n] += weight_TS[t, s]
    return Aligned(from_words, to_words, weight_MN / np.maximum(count_M, 1)[:, None])
