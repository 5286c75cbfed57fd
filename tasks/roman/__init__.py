"""Roman numerals: "1984" -> "MCMLXXXIV". The smallest whole domain; `python -m tasks new NAME DIR` begins yours from one like it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs
from core.config import AtLeast1, Impossible, config
from core.data.config import DataConfig
from core.data.noise import Noise
from core.data.split import split_of
from core.errors import BadRecord
from core.metrics.exact import ExactMatch
from core.record import Record, Split
from core.task import Metric, Task

VALUES = (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1)
LOOKS = {"0": "O", "1": "l", "5": "S", "8": "B"}
LETTERS = ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I")


@config
class RomanConfig:
    """The [task] table."""

    largest: AtLeast1 = 3999
    """The numerals go no further without overlines."""

    def __post_init__(self) -> None:
        if not 100 <= self.largest <= 3999:
            raise Impossible("largest", f"{self.largest} is not between 100 and 3999")


def to_roman(number: int) -> str:
    """The numeral of a number from 1 to 3999."""
    numeral = ""
    for value, letters in zip(VALUES, LETTERS, strict=True):
        count, number = divmod(number, value)
        numeral += letters * count
    return numeral


def numbers(cfg: RomanConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Every number up to the largest; which split one belongs to is a hash of itself, so that it never changes."""
    for number in range(1, cfg.largest + 1):
        if split_of(key := str(number), dev=0.05, test=0.05) == split:
            yield Record(key, source=read(cfg, key, Path()), target=to_roman(number))


def read(cfg: RomanConfig, value: Any, folder: Path) -> str:
    """Four digits, so that each has its place: of numbers with one digit there are too few to learn what that means."""
    digits = value.strip() if isinstance(value, str) else ""
    if not (digits.isascii() and digits.isdigit()):
        raise BadRecord(f"{value!r} is no whole number in digits")
    significant = digits.lstrip("0").zfill(4)
    if len(significant) > 4 or not 1 <= int(significant) <= cfg.largest:
        raise BadRecord(f"{value!r} is not between 1 and {cfg.largest}")
    return significant


def codecs(cfg: RomanConfig, train: Iterable[Record]) -> Codecs:
    """Symbols are characters on both sides."""
    pairs = list(train)
    return Codecs(
        source=RegexTokenizer.fit(record.source for record in pairs),
        target=RegexTokenizer.fit(record.target for record in pairs),
    )


def metrics(cfg: RomanConfig) -> Sequence[Metric]:
    """One numeral is right, so exact match says it all."""
    return (ExactMatch(1), ExactMatch(5))


def unpadded(cfg: RomanConfig, record: Record, strength: float, random: np.random.Generator) -> Record:
    """Leading zeros left out, which `read` had put there."""
    return replace(record, source=record.source.lstrip("0"))


def alike(cfg: RomanConfig, record: Record, share: float, random: np.random.Generator) -> Record:
    """Letters that look like a digit in its place."""
    digits: str = record.source
    found = [LOOKS.get(digit, digit) if random.random() < share else digit for digit in digits]
    return replace(record, source="".join(found))


TASK = Task(
    name="roman",
    config=RomanConfig,
    sources={"numbers": numbers},
    codecs=codecs,
    licences={
        "numbers": "generated, free of rights",
    },
    metrics=metrics,
    read=read,
    noises={
        "unpadded": Noise(meaning="without leading zeros", change=unpadded),
        "lookalikes": Noise(meaning="O for 0, l for 1, S for 5, B for 8", change=alike, strength=0.2),
    },
)
