"""Toy tasks as whole domains: copy, reverse and sort strings, or recall how they began. What cannot learn these cannot learn anything."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs
from core.config import AtLeast0, AtLeast1, config
from core.data.config import DataConfig
from core.data.split import split_of
from core.metrics.exact import ExactMatch
from core.record import Record, Split
from core.task import Metric, Task

What = Literal["copy", "reverse", "sort", "recall"]
"""`recall`: a copy of what stands before the bar; noise follows it."""
BAR = "|"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@config
class ToyConfig:
    """The [task] table of a toy."""

    """What the strings are like, and what becomes of them."""

    what: What = "copy"
    letters: AtLeast1 = 8
    """Size of the alphabet."""
    longest: AtLeast1 = 8
    train: AtLeast1 = 2000
    """Strings to learn from, about."""
    noise: AtLeast0 = 0
    """`recall`: so many letters stand behind the bar."""
    held_out: AtLeast1 = 100
    """Strings of dev and of test, about; none of them occurs in train."""


def answer(what: What, text: str) -> str:
    """What the model shall learn."""
    match what:
        case "copy":
            return text
        case "reverse":
            return text[::-1]
        case "sort":
            return "".join(sorted(text))
        case "recall":
            return text.partition(BAR)[0]


def strings(cfg: ToyConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Different random strings; a hash says which split one belongs to, so that all splits have the same lengths."""
    draw = random.Random(0)
    total = cfg.train + 2 * cfg.held_out
    share = cfg.held_out / total
    possible = sum(cfg.letters**n for n in range(1, cfg.longest + 1))
    seen: set[str] = set()
    while len(seen) < min(total, possible):
        text = "".join(draw.choices(LETTERS[: cfg.letters], k=draw.randint(1, cfg.longest)))
        if text not in seen:
            seen.add(text)
            own = split_of(text, dev=share, test=share)
            if cfg.what == "recall":
                text += BAR + "".join(draw.choices(LETTERS[: cfg.letters], k=cfg.noise))
            if own == split:
                yield Record(text, text, answer(cfg.what, text))


def codecs(cfg: ToyConfig, train: Iterable[Record]) -> Codecs:
    """One alphabet for both sides."""
    both = RegexTokenizer.fit(record.source for record in train)
    return Codecs(source=both, target=both)


def metrics(cfg: ToyConfig) -> Sequence[Metric]:
    """Right or wrong."""
    return (ExactMatch(1),)


TOY = Task(name="toy", config=ToyConfig, sources={"strings": strings}, codecs=codecs, metrics=metrics)
