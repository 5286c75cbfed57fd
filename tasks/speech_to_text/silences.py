"""Where nobody speaks: whether anything is there at all, and where a long recording may be cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tasks.speech_to_text.recording import FRAME

FAINT = -40.0
"""dB below which an even loudness means noise; louder noise is left to the model."""
QUIET, LOUD = 0.10, 0.95
"""Quantiles of the loudness that stand for background and speech."""
ABOVE = 0.3
"""Speech is what exceeds the background by this share of the way (in dB) to the loud parts, by 6 dB at least."""
LEAST_ABOVE = 6.0
MARGIN = 0.15
"""Seconds of silence that a piece keeps on either side."""
SMOOTHED = 9
"""Frames over which loudness is averaged before a cut is placed in the midst of speech."""
LOWEST = -120.0


class Span(NamedTuple):
    """Seconds."""

    begin: float
    end: float


def levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Loudness of each 10 ms of int16 samples, in dB below full scale; a rest of less is left out but for the only one."""
    hop = round(rate * FRAME)
    count = max(len(samples) // hop, 1)
    frames = np.zeros((count, hop), np.float64)
    flat = samples[: count * hop].astype(np.float64) / 32768
    frames.reshape(-1)[: len(flat)] = flat
    frames -= frames.mean(1, keepdims=True)  # a constant offset is no sound
    power = (frames**2).mean(1)
    return np.maximum(10 * np.log10(np.maximum(power, 1e-12)), LOWEST)


def is_silent(level_S: np.ndarray, silence: float, dynamics: float) -> bool:
    """Nothing above `silence`, or a faint noise without the ups and downs of speech."""
    if not len(level_S):
        return True
    loud = float(np.quantile(level_S, LOUD))
    if float(smoothed(level_S, 3).max()) < silence:
        return True
    even = float(np.quantile(smoothed(level_S, SMOOTHED), LOUD)) - float(
        np.quantile(smoothed(level_S, SMOOTHED), QUIET)
    )
    return loud < FAINT and even < dynamics


def smoothed(level_S: np.ndarray, width: int) -> np.ndarray:
    """The mean over `width` frames, fewer at the ends."""
    if len(level_S) < 2:
        return level_S
    ones = np.ones(width)
    return (
        np.convolve(level_S, ones, "same")[: len(level_S)]
        / np.convolve(np.ones_like(level_S), ones, "same")[: len(level_S)]
    )


def threshold(level_S: np.ndarray, silence: float) -> float:
    """dB from which on a frame is speech."""
    quiet, loud = (float(np.quantile(level_S, q)) for q in (QUIET, LOUD))
    return max(quiet + max(ABOVE * (loud - quiet), LEAST_ABOVE), silence)


def pieces(level_S: np.ndarray, *, longest: float, pause: float, silence: float) -> list[Span]:
    """Stretches of speech of at most `longest` seconds each, in order: cut at pauses, where there are none at the quietest place."""
    speech_S = level_S >= threshold(level_S, silence)
    if not speech_S.any():
        return []
    at = np.flatnonzero(speech_S)
    gaps = np.flatnonzero(np.diff(at) > pause / FRAME)
    begins, ends = [int(at[0]), *at[gaps + 1].tolist()], [*(at[gaps] + 1).tolist(), int(at[-1]) + 1]
    margin = round(MARGIN / FRAME)
    found: list[Span] = []
    for begin, end in zip(begins, ends, strict=True):  # never joined: no utterance of train pauses so long
        wide = max(begin - margin, 0), min(end + margin, len(level_S))
        found.extend(Span(one * FRAME, two * FRAME) for one, two in cut(level_S, *wide, round(longest / FRAME)))
    return found


def cut(level_S: np.ndarray, begin: int, end: int, most: int) -> list[tuple[int, int]]:
    """[begin, end) in parts of at most `most` frames, parted where it is quietest in their second halves."""
    calm_S = smoothed(level_S, SMOOTHED)
    found: list[tuple[int, int]] = []
    while end - begin > most:
        low = begin + most // 2
        place = low + int(calm_S[low : begin + most].argmin())
        found.append((begin, place))
        begin = place
    return [*found, (begin, end)]
