"""What may happen to a recording before it is recognised: noise, a telephone, an echo, another pace, a faint voice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from core.data.noise import Noise
from core.errors import ConfigError
from core.record import Record
from tasks.speech_to_text.features import as_int16_of, samples_of
from tasks.speech_to_text.recording import Recording, Varied
from tasks.speech_to_text.resampling import resampled
from tasks.speech_to_text.settings import FASTEST, SLOWEST, SpeechConfig

Change = Callable[[np.ndarray, int, float, np.random.Generator], np.ndarray]
"""(float32 samples, their rate, strength, random numbers) -> samples."""
TELEPHONE = 300.0, 3400.0
"""Hz that pass."""
LOST = 60.0
"""dB by which an echo has died away after its time."""


def noise(
    change: Change, meaning: str, *, strength: float | None, low: float = 0.0, high: float = 1.0, unit: str = ""
) -> Noise[SpeechConfig]:
    """Of samples at `task.rate`; every part of a training variant suffers it."""

    def changed(cfg: SpeechConfig, record: Record, strength: float, random: np.random.Generator) -> Record:
        def heard(one: Recording) -> Recording:
            if one.is_features:
                raise ConfigError(f"{one}: features that were computed before hold no sound to perturb")
            samples = samples_of(one, cfg.rate).astype(np.float32) / 32767
            held = as_int16_of(change(samples, cfg.rate, strength, random))
            end = one.begin + len(held) / cfg.rate
            return replace(one, path="", sha256="", end=end, held=held, rate=cfg.rate)

        source = record.source
        if isinstance(source, Varied):
            return replace(record, source=replace(source, parts=tuple(map(heard, source.parts))))
        return replace(record, source=heard(source))

    return Noise(meaning=meaning, change=changed, strength=strength, low=low, high=high, unit=unit)


def white(samples: np.ndarray, rate: int, below: float, random: np.random.Generator) -> np.ndarray:
    """Gaussian noise whose power is so many dB below that of the whole recording."""
    return samples + scaled(random.normal(size=len(samples)), samples, below)


def pink(samples: np.ndarray, rate: int, below: float, random: np.random.Generator) -> np.ndarray:
    """The same with a power that falls as 1 / frequency, as that of rooms and traffic does."""
    spectrum = np.fft.rfft(random.normal(size=len(samples)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return samples + scaled(np.fft.irfft(spectrum, len(samples)), samples, below)


def scaled(sound: np.ndarray, beside: np.ndarray, below: float) -> np.ndarray:
    """Brought to a power so many dB below another's."""
    power = float((beside.astype(np.float64) ** 2).mean()) if len(beside) else 0.0
    own = float((sound**2).mean()) if len(sound) else 0.0
    return (sound * np.sqrt(power / max(own, 1e-20) * 10 ** (-below / 10))).astype(np.float32)


def telephone(samples: np.ndarray, rate: int, strength: float, random: np.random.Generator) -> np.ndarray:
    """Only what a telephone lets pass."""
    spectrum, hertz = np.fft.rfft(samples), np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum[(hertz < TELEPHONE[0]) | (hertz > TELEPHONE[1])] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def echo(samples: np.ndarray, rate: int, seconds: float, random: np.random.Generator) -> np.ndarray:
    """A room: the sound itself, and noise that dies away by 60 dB in so many seconds, as loud together as the sound."""
    length = max(round(seconds * rate), 1)
    tail = random.normal(size=length) * 10 ** (-LOST / 20 * np.arange(length) / length)
    tail /= np.sqrt((tail**2).sum())
    size = len(samples) + length
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    return ((samples + wet) / np.sqrt(2)).astype(np.float32)


def speed(samples: np.ndarray, rate: int, factor: float, random: np.random.Generator) -> np.ndarray:
    """Played faster or slower, higher or lower with it."""
    return resampled(samples, rate * Fraction(factor).limit_denominator(20), rate)


def faint(samples: np.ndarray, rate: int, below: float, random: np.random.Generator) -> np.ndarray:
    """Softer by so many dB, in 16 bits as before."""
    return (samples * 10 ** (-below / 20)).astype(np.float32)


NOISES = {
    "speech-noise": noise(white, "white noise, so far below the speech", strength=10, low=-20, high=60, unit="dB"),
    "speech-pink": noise(pink, "pink noise, so far below the speech", strength=10, low=-20, high=60, unit="dB"),
    "speech-echo": noise(echo, "a room that echoes for so long", strength=0.5, low=0.01, high=5, unit="s"),
    "speech-telephone": noise(telephone, "300 to 3400 Hz alone", strength=None),
    "speech-speed": noise(
        speed, "faster or slower, with its pitch", strength=1.15, low=SLOWEST, high=FASTEST, unit="x"
    ),
    "speech-faint": noise(faint, "softer by so much", strength=20, low=0, high=60, unit="dB"),
}
