"""Toy speech that is none: digits coded as pairs of tones, made in memory; for checks without a network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from core.data.config import DataConfig
from core.record import Record, Split
from tasks.speech_to_text.recording import Recording
from tasks.speech_to_text.sentences import DIGITS
from tasks.speech_to_text.settings import SpeechConfig

RATE = 8_000
LOW = (400.0, 480.0, 570.0, 690.0, 830.0)
HIGH = (1100.0, 1700.0)
STRINGS: dict[Split, int] = {"train": 800, "dev": 100, "test": 100}
GRID = tuple(round(0.85 + 0.005 * step, 3) for step in range(51))
PITCHES: dict[Split, tuple[float, ...]] = {
    "train": tuple(pitch for step, pitch in enumerate(GRID) if step % 5 in (0, 2, 4)),
    "dev": GRID[1::5],
    "test": GRID[3::5],
}
"""What stands for voices: every split has its own; ten on test, so that an interval over them means something."""


def tones(cfg: SpeechConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """One to four digits; a string of digits is in one split only."""
    return iter(made(split))


@lru_cache(maxsize=3)
def made(split: Split) -> tuple[Record, ...]:
    """All of a split."""
    random = np.random.default_rng([11, list(STRINGS).index(split)])
    residue = list(STRINGS).index(split)
    found: dict[str, Record] = {}
    while len(found) < STRINGS[split]:
        digits = random.integers(10, size=int(random.integers(1, 5)))
        share = int(digits.sum() + 3 * len(digits)) % 10
        text = " ".join(DIGITS[digit] for digit in digits)
        if min(share, 2) != (2 if split == "train" else residue - 1) or text in found:
            continue
        pitch = float(random.choice(PITCHES[split]))
        samples = sung(digits.tolist(), pitch, random)
        source = Recording(f"tones/{text.replace(' ', '-')}", end=len(samples) / RATE, held=samples, rate=RATE)
        found[text] = Record(f"{split}-{len(found)}", source, text, {"group": f"{split} {pitch:g}"})
    return tuple(found.values())


def sung(digits: list[int], pitch: float, random: np.random.Generator) -> np.ndarray:
    """int16: each digit two tones for 200 to 320 ms, between short silences, in faint noise."""
    parts: list[np.ndarray] = [np.zeros(int(RATE * random.uniform(0.03, 0.1)))]
    for digit in digits:
        seconds = random.uniform(0.2, 0.32)
        at = np.arange(int(RATE * seconds)) / RATE
        both = np.sin(2 * np.pi * pitch * LOW[digit % 5] * at) + np.sin(2 * np.pi * pitch * HIGH[digit // 5] * at)
        fade = np.minimum(1.0, np.minimum(at, seconds - at) / 0.01)
        parts += [0.2 * both * fade, np.zeros(int(RATE * random.uniform(0.03, 0.08)))]
    whole = np.concatenate(parts)
    whole += random.normal(0.0, 0.003, len(whole))
    return np.round(np.clip(whole, -1, 1) * 32767).astype(np.int16)
