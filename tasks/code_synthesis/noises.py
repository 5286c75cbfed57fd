"""Requests as people write them: with errors, in other words, politely. Numbers and quoted constants stay, for the answer has them."""

from __future__ import annotations

import re

import numpy as np

from core.data.noise import Noise
from core.data.text_noise import rewritten, text_noises, text_of
from core.record import Record
from tasks.code_synthesis.config import CodeConfig

CONSTANT = r"'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?"
OTHERS = {
    "list": ("array", "sequence"),
    "numbers": ("integers", "values"),
    "number": ("integer", "value"),
    "text": ("string",),
    "string": ("text",),
    "words": ("terms",),
    "word": ("term",),
    "table": ("mapping",),
    "dictionary": ("mapping",),
    "return": ("give back", "give"),
    "remove": ("delete", "drop"),
    "sort": ("order", "arrange"),
    "reverse": ("turn round",),
    "count": ("tell the number of",),
    "keep": ("retain",),
    "only": ("just",),
    "every": ("each",),
    "each": ("every",),
    "all": ("all of",),
    "then": ("afterwards", "next"),
    "function": ("routine", "method"),
    "given": ("taking", "with"),
    "takes": ("gets", "accepts"),
    "write": ("make", "create"),
    "largest": ("greatest", "biggest"),
    "smallest": ("least",),
    "finally": ("in the end",),
}
"""Word -> others that ask for the same."""
WORD = re.compile(rf"{CONSTANT}|[A-Za-z]+")
FILLERS = ("please ", "could you ", "i need you to ", "hi, ", "ok so ", "can someone ")


def rephrased(cfg: CodeConfig, record: Record, share: float, random: np.random.Generator) -> Record:
    """Each word that another could stand for, with that probability."""

    def other(found: re.Match[str]) -> str:
        known = OTHERS.get(found[0].lower())
        if known is None or random.random() >= share:
            return found[0]
        return known[int(random.integers(len(known)))]

    return rewritten(record, WORD.sub(other, text_of(record)))


def polite(cfg: CodeConfig, record: Record, strength: float, random: np.random.Generator) -> Record:
    """A few words before it that ask for nothing."""
    return rewritten(record, FILLERS[int(random.integers(len(FILLERS)))] + text_of(record))


NOISES = {
    "rephrased": Noise(meaning="words replaced by others that ask for the same", change=rephrased, strength=0.5),
    "polite": Noise(meaning="words before the request that ask for nothing", change=polite),
    **text_noises(CONSTANT),
}
