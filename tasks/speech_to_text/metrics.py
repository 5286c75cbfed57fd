"""WER and CER with their substitutions, deletions and insertions, as jiwer aligns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.errors import ConfigError
from core.metrics.edit import edit_share
from core.record import Prediction
from core.task import Metric
from tasks.speech_to_text.normaliser import VERSIONS, basic, normalised
from tasks.speech_to_text.settings import SpeechConfig

Unit = Literal["words", "characters"]
Part = Literal["all", "substitutions", "deletions", "insertions"]
COLUMNS: dict[Part, tuple[int, ...]] = {
    "all": (0, 1, 2),
    "substitutions": (0,),
    "deletions": (1,),
    "insertions": (2,),
}


def metrics(cfg: SpeechConfig) -> Sequence[Metric]:
    """WER picks checkpoints."""
    parts: tuple[Part, ...] = ("substitutions", "deletions", "insertions")
    found: list[Metric] = [ErrorRate("words", "all", cfg.normaliser), ErrorRate("characters", "all", cfg.normaliser)]
    found.extend(ErrorRate("words", part, cfg.normaliser) for part in parts)
    if cfg.character_parts:
        found.extend(ErrorRate("characters", part, cfg.normaliser) for part in parts)
    return found


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors of all records by the words (or characters) of all references, in percent: never a mean of rates.

    References without a word count as insertions against one word in all.
    """

    unit: Unit
    part: Part
    normaliser: str
    higher_is_better = False

    @property
    def name(self) -> str:
        short = "wer" if self.unit == "words" else "cer"
        return short if self.part == "all" else f"{short}_{self.part[:3]}"

    @property
    def signature(self) -> str:
        counted = "S+D+I" if self.part == "all" else self.part[0].upper()
        return f"{counted}/{self.unit}|norm:{VERSIONS[self.normaliser]}|refs:1|jiwer:{version()}|percent|v:1"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """Substitutions, deletions, insertions, and the length of the reference."""
        rows = [self.row(str(one.record.target), one.output) for one in predictions]
        return np.array(rows, dtype=np.float64).reshape(-1, 4)

    def row(self, reference: str, output: str) -> tuple[int, int, int, int]:
        """Of one record."""
        reference, output = (normalised(text, self.normaliser) for text in (reference, output))
        if not reference:
            return 0, 0, len(output.split() if self.unit == "words" else output), 0
        process = library().process_words if self.unit == "words" else library().process_characters
        found = process(reference, output)
        return (
            found.substitutions,
            found.deletions,
            found.insertions,
            found.hits + found.substitutions + found.deletions,
        )

    def score(self, rows: np.ndarray) -> float:
        """In percent; it may exceed 100."""
        if not len(rows):
            return float("nan")
        total = rows.sum(0)
        return float(100 * total[list(COLUMNS[self.part])].sum() / max(total[3], 1.0))


def canonical(cfg: SpeechConfig) -> Any:
    """Two texts are the same answer where nothing but what the normaliser removes tells them apart."""
    return lambda text: normalised(text, cfg.normaliser)


def utility(one: str, other: str) -> float:
    """The share of words that agree."""
    return 1.0 - edit_share(basic(one).split(), basic(other).split())


def library() -> Any:
    """jiwer, or a plain message."""
    try:
        import jiwer
    except ImportError:
        raise ConfigError("WER needs the library jiwer: pip install 'transduce[speech_to_text]'") from None
    return jiwer


def version() -> str:
    """Of jiwer; `-` where it is missing, which `library` says plainly."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("jiwer")
    except PackageNotFoundError:
        return "-"
