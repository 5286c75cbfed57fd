"""Variants of training recordings: other speeds, another utterance behind, noise, and stripes blanked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from core.record import Record
from tasks.speech_to_text.recording import FRAME, Recording, Varied
from tasks.speech_to_text.settings import SpeechConfig

QUIETEST, LOUDEST = 0.0, 30.0
"""dB that noise lies below speech."""
ENVELOPE = 2.0
"""Deviation (natural logarithm) of the noise's level between bands: its colour."""


@dataclass(frozen=True, slots=True)
class Masks:
    """SpecAugment (Park et al., 2019) without time warping; blanks are 0, the mean."""

    bands: int = 0
    band: float = 0.0
    times: float = 0.0
    time: float = 0.0

    def dump(self) -> dict[str, Any]:
        """For codecs.json."""
        return asdict(self)

    def applied(self, frames_SF: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """In place: the frames are this variant's own."""
        S, F = frames_SF.shape
        for _ in range(self.bands):
            width = int(random.integers(0, max(round(self.band * F), 1) + 1))
            begin = int(random.integers(0, F - width + 1))
            frames_SF[:, begin : begin + width] = 0.0
        for _ in range(int(random.poisson(self.times * S * FRAME)) if self.times else 0):
            length = min(int(random.integers(0, round(self.time / FRAME) + 1)), S)
            begin = int(random.integers(0, S - length + 1))
            frames_SF[begin : begin + length] = 0.0
        return frames_SF


def noisy(frames_SF: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Energies of stationary coloured noise added in each band: exponential in time, as those of Gaussian noise are."""
    S, F = frames_SF.shape
    speech = float(np.quantile(frames_SF.mean(1), 0.9))
    level = speech - random.uniform(QUIETEST, LOUDEST) * np.log(10) / 10
    knots = random.normal(0.0, ENVELOPE, size=4)
    colour_F = np.interp(np.linspace(0, 3, F), np.arange(4), knots)
    natural_SF = np.log(np.maximum(random.gamma(2.0, 0.5, size=(S, F)), 1e-4))
    return np.logaddexp(frames_SF, (level + colour_F + natural_SF).astype(np.float32))


def augment(cfg: SpeechConfig) -> Callable[[Record, np.random.Generator], Record] | None:
    """Speed, noise and masks of one record."""
    if cfg.speeds == (1.0,) and not cfg.noise and not masks(cfg):
        return None

    def vary(record: Record, random: np.random.Generator) -> Record:
        return replace(record, source=varied(cfg, (record.source,), random))

    return vary


def augment_among(
    cfg: SpeechConfig,
) -> Callable[[Record, Sequence[Record], np.random.Generator], Record] | None:
    """Other training utterances behind this one, with one text."""
    if not cfg.concatenated:
        return None
    voices = Voices()

    def vary(record: Record, others: Sequence[Record], random: np.random.Generator) -> Record:
        parts = [record]
        if random.random() < cfg.concatenated:
            among = voices.of(record, others) if cfg.concatenated_voice == "same" else others
            count = int(random.integers(cfg.concatenated_most)) + 1 if cfg.concatenated_most > 1 else 1
            parts += [among[int(random.integers(len(among)))] for _ in range(count)]
        target = " ".join(one.target for one in parts if one.target)
        return replace(record, source=varied(cfg, tuple(one.source for one in parts), random), target=target)

    return vary


class Voices:
    """Training records by who speaks, sorted out once; threads that prepare batches may ask at the same time."""

    def __init__(self) -> None:
        self.known: tuple[Sequence[Record], dict[str, list[Record]]] = ((), {})

    def of(self, record: Record, others: Sequence[Record]) -> Sequence[Record]:
        """Those of this record's speaker; all where that is not said."""
        sorted_out, by_name = self.known
        if sorted_out is not others:
            by_name = dict[str, list[Record]]()
            for one in others:
                by_name.setdefault(speaker(one), []).append(one)
            self.known = (others, by_name)
        return by_name.get(speaker(record), others) if speaker(record) else others


def speaker(record: Record) -> str:
    """Who speaks; empty where that is not said."""
    return str(record.meta.get("speaker", ""))


def varied(cfg: SpeechConfig, parts: tuple[Recording, ...], random: np.random.Generator) -> Varied:
    """How these recordings sound this time; features that were computed before keep their speed."""
    fixed = any(part.is_features for part in parts)
    speeds = tuple(1.0 if fixed else float(random.choice(cfg.speeds)) for _ in parts)
    return Varied(parts, speeds, bool(random.random() < cfg.noise), int(random.integers(2**63)))


def masks(cfg: SpeechConfig) -> Masks | None:
    """None where nothing is blanked."""
    bands, times = cfg.masked_bands and cfg.masked_band, cfg.masked_times and cfg.masked_time
    if not bands and not times:
        return None
    return Masks(cfg.masked_bands if bands else 0, cfg.masked_band, cfg.masked_times if times else 0.0, cfg.masked_time)
