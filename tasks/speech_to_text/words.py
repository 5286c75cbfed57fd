"""Which word was said when, out of the frames of its tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.codec.types import Tokenizer
from core.record import Hypothesis
from tasks.speech_to_text.recording import FRAME

WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Word:
    """In seconds of the recording."""

    text: str
    begin: float
    end: float
    probability: float
    """The geometric mean of its tokens'."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What was recognised in one go."""

    begin: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    """Empty where no alignment was asked for."""


def timed_words(one: Hypothesis, tokenizer: Tokenizer, begin: float) -> tuple[Word, ...]:
    """Words of an aligned hypothesis; none without frames. `begin` is where its frames begin."""
    if not one.frames:
        return ()
    ends = [len(tokenizer.decode(one.tokens[:count])) for count in range(len(one.tokens) + 1)]
    found: list[Word] = []
    for match in WORD.finditer(one.output):
        own = [at for at in range(len(one.tokens)) if ends[at] < match.end() and ends[at + 1] > match.start()]
        spoken = [at for at in own if at < len(one.frames)]
        if spoken:
            first = min(one.frames[at][0] for at in spoken)
            last = max(one.frames[at][1] for at in spoken)
            probability = math.exp(mean([one.logp[at] for at in own if at < len(one.logp)]))
            found.append(Word(match.group(), begin + first * FRAME, begin + last * FRAME, probability))
    return tuple(found)


def mean(values: Sequence[float]) -> float:
    """0 for none."""
    return sum(values) / len(values) if values else 0.0
