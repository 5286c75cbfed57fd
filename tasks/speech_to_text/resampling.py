"""From one rate to another by torchaudio's windowed sinc, block by block, so that an hour needs no more memory than a minute."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from core.errors import ConfigError

WIDTH = 6
"""Zero crossings of the sinc on each side (torchaudio's lowpass_filter_width)."""
FINEST = 640
"""Odd ratios (47999 to 16000) are brought to the nearest fraction with no larger denominator: within 2e-6, and cheap."""


class Resampler:
    """Fed with blocks; what comes out is what the whole would give at once."""

    def __init__(self, rate: int | Fraction, wanted: int) -> None:
        """`rate` as a fraction of samples a second changes the speed, too."""
        ratio = (Fraction(wanted) / Fraction(rate)).limit_denominator(FINEST)
        self.into, self.out_of = ratio.denominator, ratio.numerator
        reach = -(-WIDTH * max(self.into, self.out_of) // self.out_of) + 1
        self.context = -(-reach // self.into) * self.into
        """Input samples on either side that an output may depend on, a multiple of `into`."""
        self.held = np.zeros(0, np.float32)
        self.before = 0
        """How many of the held samples are context that has been answered already."""

    def push(self, samples: np.ndarray) -> np.ndarray:
        """float32 in, float32 out: all that no later sample can change."""
        if self.into == self.out_of:
            return samples
        self.held = np.concatenate([self.held, samples])
        sure = (len(self.held) - self.before - self.context) // self.into * self.into
        if sure <= 0:
            return np.zeros(0, np.float32)
        found = self._answer(self.before, self.before + sure)
        keep_from = max(self.before + sure - self.context, 0)
        self.held, self.before = self.held[keep_from:], self.before + sure - keep_from
        return found

    def end(self) -> np.ndarray:
        """The rest."""
        if self.into == self.out_of or len(self.held) == self.before:
            return np.zeros(0, np.float32)
        return self._answer(self.before, len(self.held))

    def _answer(self, begin: int, end: int) -> np.ndarray:
        """For the held samples from `begin` (a multiple of `into`) to `end`."""
        torch, functional = torchaudio_functional()
        held = torch.from_numpy(self.held[: end + self.context])
        found = functional.resample(held, self.into, self.out_of, lowpass_filter_width=WIDTH).numpy()
        skip = begin // self.into * self.out_of
        return found[skip : skip - (-(end - begin) * self.out_of // self.into)]


def resampled(samples: np.ndarray, rate: int | Fraction, wanted: int) -> np.ndarray:
    """All at once."""
    one = Resampler(rate, wanted)
    first = one.push(samples)
    return np.concatenate([first, one.end()])


def torchaudio_functional() -> tuple[Any, Any]:
    """(torch, torchaudio.functional), or a plain message."""
    import torch

    try:
        from torchaudio import functional
    except ModuleNotFoundError:
        missing = "speech needs torchaudio: pip install 'transduce[speech_to_text]'"
        raise ConfigError(missing) from None
    except (ImportError, OSError, RuntimeError):  # built against another torch
        release = ".".join(torch.__version__.split("+")[0].split(".")[:2])
        raise ConfigError(
            f"torchaudio cannot be loaded with torch {torch.__version__}: the two must be of one release, "
            f"torch {release} with torchaudio {release}; pip install 'torchaudio=={release}.*'"
        ) from None
    return torch, functional
