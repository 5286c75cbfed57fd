"""Toy announcements of made-up programs: what matters stands somewhere among what does not, and names are new each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from core.data.config import DataConfig
from core.data.split import split_of
from core.record import Record, Split
from tasks.summarization.settings import SummarizationConfig

COUNT = 4000
SYLLABLES = (
    *("ba", "ca", "da", "fo", "ga", "hu", "ji", "ka", "lo", "mi", "na", "or"),
    *("pi", "qua", "ra", "sto", "tri", "ul", "ve", "wi", "xa", "yo", "zen"),
)
KINDS = ("editor", "player", "viewer", "library", "compiler", "game", "server", "monitor", "converter", "driver")
SUBJECTS = (
    *("audio files", "city maps", "chess games", "crystal structures", "tax forms", "weather data", "web pages"),
    *("old photos", "knitting patterns", "train timetables", "star charts", "recipes", "network traffic", "poems"),
)
MANNERS = ("fast", "small", "simple", "colourful", "scriptable", "portable", "interactive", "lightweight")
LANGUAGES = ("Python", "Fortran", "Lisp", "Haskell", "Ada", "Perl")
ASIDES = (
    "It is written in {language}.",
    "The first version appeared in {year}.",
    "Many people have asked for it.",
    "Bugs may be reported on its web site.",
    "Version {number} is the one described here.",
    "Its authors live in three countries.",
    "It needs {number} megabytes of memory.",
)
STATEMENTS = (
    "{name} is a {manner} {kind} for {subject}.",
    "With {name} there is at last a {manner} {kind} that was made for {subject}.",
    "For {subject} this package has {name}, a {kind} that is {manner}.",
)


class Choices:
    """Choices drawn from a hash: the same ones on every machine and version of Python."""

    def __init__(self, number: int) -> None:
        self.left = int.from_bytes(blake2b(f"announcement {number}".encode(), digest_size=48).digest())

    def below(self, count: int) -> int:
        """A number from 0 to count - 1."""
        self.left, chosen = divmod(self.left, count)
        return chosen

    def of(self, options: Sequence[str]) -> str:
        """One of them."""
        return options[self.below(len(options))]


def toy(cfg: SummarizationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Generated, and said so: no text here was written by anyone. Split by the program's name."""
    seen: set[str] = set()
    for number in range(COUNT):
        name, body, summary = announcement(Choices(number))
        if name not in seen and split_of(name, 0.05, 0.1) == split:
            yield Record(f"toy-{number}", body, summary)
        seen.add(name)


def announcement(choose: Choices) -> tuple[str, str, str]:
    """Name, text and summary: "NAME - MANNER KIND for SUBJECT"."""
    name = "".join(choose.of(SYLLABLES) for _ in range(3)).capitalize()
    kind, subject, manner = choose.of(KINDS), choose.of(SUBJECTS), choose.of(MANNERS)
    statement = choose.of(STATEMENTS).format(name=name, kind=kind, subject=subject, manner=manner)
    asides = list(ASIDES)
    lines: list[str] = []
    for _ in range(1 + choose.below(3)):
        aside = asides.pop(choose.below(len(asides)))
        year, number = str(1980 + choose.below(40)), str(2 + choose.below(90))
        lines.append(aside.format(language=choose.of(LANGUAGES), year=year, number=number))
    lines.insert(choose.below(len(lines) + 1), statement)
    return name, " ".join(lines), f"{name} - {manner} {kind} for {subject}"
