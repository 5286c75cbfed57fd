"""S7: tokenizers and readers of text given a million hostile characters: their time grows with the text, and not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.torture.rows import Row, Trial, hold
from core.codec.places import PlaceTokenizer
from core.codec.regex import RegexTokenizer
from core.codec.subword import SubwordTokenizer
from core.codec.wordpiece import NAMES, WordPieceTokenizer
from core.codec.words import WordTokenizer
from core.config_toml import lines_of
from core.data.jsonl import json_object
from core.data.lines import Line
from core.doctor.damage import damage
from core.errors import UserError
from core.record import Record
from tasks import TASKS

MILLION = 1_000_000
QUICK = 30_000
MOST_SECONDS = 1.0
"""Of the processor's, for a million characters."""
LINES, MOST_SECONDS_OF_LINES = "line feeds", 5.0
"""Of a million line feeds, which are a million records to some readers."""
MOST_GROWTH = 2.5
"""Of the time, when the text is twice as long: 2 is in proportion, 4 is the square."""
DOUBLINGS = 3
"""Over which growth is taken: one alone may be where a list no longer fits into a cache."""
MEASURABLE = 0.2
"""Seconds: who takes less for a million characters harms nobody, and so little says nothing about growth."""
TRIES = 4
"""More, where the first says too long: the least is the reader's own."""
HOSTILE: dict[str, str] = {
    "one letter": "a",
    "blanks": " ",
    LINES: "\n",
    "brackets that open": "[",
    "brackets": "[C]",
    "parentheses that open": "(",
    "braces": "{a",
    "quotes": '"',
    "backslashes": "\\",
    "full stops and blanks": ". ",
    "a stop, then quotes": ".\"'",
    "accents on one letter": "\u0301",
    "emoji": "\U0001f468\u200d",
    "digits": "9",
    "equals signs and blanks": "= ",
    "ampersands": "&amp",
    "Chinese": "\u4e2d",
    "apostrophes": "a'",
}


@cache
def readers() -> dict[str, Callable[[str], Any]]:
    """By name; each takes a text, and may refuse it."""
    texts = ["a bc def [C] 9 . = é", "the cat sat. on [the] mat"] * 3
    found: dict[str, Callable[[str], Any]] = {
        "characters": RegexTokenizer.fit(texts).encode,
        "a pattern": RegexTokenizer.fit(texts, r"\[[^\[\]]{1,30}\]|\w+|.").encode,
        "subwords (BPE)": SubwordTokenizer.fit(texts, 400).encode,
        "subwords (unigram)": SubwordTokenizer.fit(texts, 400, "unigram").encode,
        "words": WordTokenizer.fit(texts).encode,
        "word pieces": WordPieceTokenizer((*NAMES[1:], "a", "##a", "b")).encode,
        "places": PlaceTokenizer().encode,
        "encoding damage": damage,
        "lines of a config": lines_of,
        "a line of JSON": lambda text: json_object(Line(Path("x"), 1, text.encode("utf-8", "replace"))),
    }
    for name in ("reaction_prediction", "code_synthesis", "summarization", "translation"):
        task = TASKS[name]
        config: Any = task.config(vocabulary=400) if "vocabulary" in task.config.__annotations__ else task.config()
        codecs = task.codecs(config, [Record(str(n), one, one) for n, one in enumerate(texts)])
        found[f"{name}: source"], found[f"{name}: target"] = codecs.source.encode, codecs.target.encode
        found |= files_of(name, config)
    proteins, sounds = TASKS["protein_alignment"].config(), TASKS["speech_to_text"].config()
    residues = TASKS["protein_alignment"].codecs(proteins, []).source
    found["protein_alignment: source"] = lambda text: residues.encode((text, "MKV"))
    return found | files_of("protein_alignment", proteins) | files_of("speech_to_text", sounds)


def files_of(name: str, config: Any) -> dict[str, Callable[[str], Any]]:
    """A task's formats."""
    found: dict[str, Callable[[str], Any]] = {}
    for kind, form in TASKS[name].formats.items():
        endings = [ending for ending in form.endings if not ending.endswith(".gz")]
        if form.read is not None and endings:
            found[f"{name}: {kind}"] = partial(through, form.read, config, endings[0])
    return found


PLACE: list[Path] = []
"""The trial's folder, for what reads files."""


def through(read: Any, config: Any, ending: str, text: str) -> None:
    """A file that holds the text, read."""
    path = PLACE[0] / f"x{ending}"
    path.write_text(text, encoding="utf-8", errors="replace")
    found = iter(read(config, path))
    while True:
        try:
            if next(found, None) is None:
                return
        except UserError:
            if not hasattr(found, "__next__"):
                return


def timed(read: Callable[[str], Any], text: str) -> float:
    """The processor's seconds."""
    begun = time.process_time()
    with suppress(UserError):
        read(text)
    return time.process_time() - begun


def trial(trial: Trial) -> None:
    """One reader, all texts."""
    PLACE[:] = [trial.place]
    names = list(readers())
    size = QUICK if trial.quick else MILLION
    chosen = names if trial.quick else [names[trial.number % len(names)]]
    for name in chosen:
        read = readers()[name]
        timed(read, "a")  # what is imported or compiled then is not counted
        for what in HOSTILE if not trial.quick else trial.random.sample(list(HOSTILE), 3):
            unit = HOSTILE[what]
            text = (unit * (size // len(unit) + 1))[:size]
            most = MOST_SECONDS_OF_LINES if what == LINES else MOST_SECONDS
            seconds = timed(read, text)
            for _ in range(TRIES):  # what else the machine does can only add to it
                if seconds < most:
                    break
                seconds = min(seconds, timed(read, text))
            trial.count("texts")
            trial.measure("longest in seconds", seconds)
            hold(seconds < most, f"{name}: {seconds:.2f} s for {size:,} characters of {what}")
            if seconds > MEASURABLE and not trial.quick:
                part = text[: size // 2**DOUBLINGS]
                some = timed(read, part)
                for _ in range(TRIES):
                    if seconds < MOST_GROWTH**DOUBLINGS * some:
                        break
                    seconds, some = min(seconds, timed(read, text)), min(some, timed(read, part))
                growth = (seconds / max(some, 1e-9)) ** (1 / DOUBLINGS)
                trial.measure("largest growth for twice the text", growth)
                hold(
                    growth < MOST_GROWTH,
                    f"{name}: {what}: {some:.3f} s become {seconds:.3f} s in {DOUBLINGS} doublings",
                )


ROWS = (
    Row(
        "S7",
        threat="a million hostile characters given to every tokenizer and every reader of text",
        promise="Under a second of the processor's (five for a million empty records), and at most 2.5 times as long for twice the text.",
        trial=trial,
        unit="texts",
        goal=750,
        full=43,
        quick=1,
        seconds=15.0,
        limit=300.0,
        alone=True,
    ),
)
