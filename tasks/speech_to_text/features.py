"""Frames for the model: log-mel spectrograms of sound, or features that were computed before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from tokenize import TokenError
from typing import Any, ClassVar, Literal, Self

import numpy as np

from core.codec.types import Encoded
from core.errors import BadRecord, DataError
from tasks.speech_to_text.audio import sound_of
from tasks.speech_to_text.keeping import Keeping
from tasks.speech_to_text.recording import FRAME, Heard, Recording
from tasks.speech_to_text.resampling import resampled, torchaudio_functional
from tasks.speech_to_text.variation import Masks, noisy

Normalise = Literal["utterance", "global"]
WINDOW = 0.025
LOWEST = 20.0
"""Hz, where the bands begin."""
FLOOR = 1e-10
LEAST_DEVIATION = 1e-3
THESE = {"sound": "this is sound", "features (.npy)": "these are features (.npy)"}
WIDEST, LONGEST_FRAMES = 4096, 24 * 360_000

FRAMES: Keeping[np.ndarray] = Keeping(1 << 30)


@dataclass(frozen=True, slots=True)
class SpeechFeatures:
    """A recording -> float32 [S, F], each band with mean 0 and deviation 1."""

    kind: ClassVar[str] = "speech-features"
    width: int
    rate: int
    """Of the sound; 0: features come as files."""
    normalise: Normalise
    longest: float
    """Seconds of the longest training recording."""
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    """Of each band, over train."""
    masks: Masks = Masks()  # noqa: RUF009 (frozen)

    @property
    def frame_seconds(self) -> float:
        """For pictures and alignments."""
        return FRAME

    def encode(self, value: Heard) -> Encoded:
        """Raises DataError with the file where it cannot be read any more."""
        if isinstance(value, Recording):
            return Encoded(self.normalised(self.frames(value, 1.0)))
        parts = [self.frames(part, speed) for part, speed in zip(value.parts, value.speeds, strict=True)]
        frames_SF = parts[0] if len(parts) == 1 else np.concatenate(parts)
        random = np.random.default_rng(value.seed)
        if value.noise and self.rate:
            frames_SF = noisy(frames_SF, random)
        return Encoded(self.masks.applied(self.normalised(frames_SF), random))

    def frames(self, one: Recording, speed: float) -> np.ndarray:
        """As they are before normalisation, float32 [S, F]."""
        if one.is_features != (self.rate == 0):
            kinds = "features (.npy)", "sound"
            known, given = kinds if self.rate == 0 else kinds[::-1]
            raise DataError(f"{one}: this model was trained on {known}, and {THESE[given]}")
        if one.is_features:
            found = given_frames(one)
            if found.shape[1] != self.width:
                raise DataError(f"{one}: {found.shape[1]} features a frame; the model was trained on {self.width}")
            return found
        return spectrogram(one, self.rate, self.width, speed).astype(np.float32)

    def normalised(self, frames_SF: np.ndarray) -> np.ndarray:
        """By the utterance's own statistics, or by those of train."""
        if self.normalise == "global":
            mean_F, deviation_F = np.array(self.mean, np.float32), np.array(self.deviation, np.float32)
        else:
            mean_F, deviation_F = frames_SF.mean(0), frames_SF.std(0)
        return (frames_SF - mean_F) / np.maximum(deviation_F, LEAST_DEVIATION)

    def dump(self) -> dict[str, Any]:
        return {
            "width": self.width,
            "rate": self.rate,
            "normalise": self.normalise,
            "longest": self.longest,
            "mean": list(self.mean),
            "deviation": list(self.deviation),
            "masks": self.masks.dump(),
        }

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls(
            tree["width"],
            tree["rate"],
            tree["normalise"],
            tree["longest"],
            tuple(tree["mean"]),
            tuple(tree["deviation"]),
            Masks(**tree["masks"]),
        )


def fitted(
    recordings: Iterable[Recording], *, rate: int, bands: int, normalise: Normalise, masks: Masks
) -> SpeechFeatures:
    """Width, longest and statistics of the training recordings."""
    total, count, longest, width = np.zeros(0), 0, 0.0, 0
    kind: bool | None = None
    for one in recordings:
        if kind not in (None, one.is_features):
            raise DataError(f"{one}: sound and features (.npy) are mixed in one training set; one kind is right")
        kind, longest = one.is_features, max(longest, one.seconds)
        if normalise == "utterance" and width:
            continue
        frames_SF = given_frames(one) if one.is_features else spectrogram(one, rate, bands, 1.0)
        if width not in (0, frames_SF.shape[1]):
            raise DataError(f"{one}: {frames_SF.shape[1]} features a frame, those before have {width}")
        width = frames_SF.shape[1]
        if normalise == "global":
            exact_SF = frames_SF.astype(np.float64)
            total = np.zeros((2, width)) if not len(total) else total
            total += np.stack([exact_SF.sum(0), (exact_SF**2).sum(0)])
            count += len(exact_SF)
    rounded = round(longest, 3)
    if normalise == "utterance":
        return SpeechFeatures(width or bands, 0 if kind else rate, normalise, rounded, masks=masks)
    mean_F, square_F = total / max(count, 1)
    deviation_F = np.sqrt(np.maximum(square_F - mean_F**2, LEAST_DEVIATION**2))
    numbers = (tuple(float(np.float32(x)) for x in of_F) for of_F in (mean_F, deviation_F))
    return SpeechFeatures(width, 0 if kind else rate, normalise, rounded, *numbers, masks=masks)


def samples_of(one: Recording, rate: int) -> np.ndarray:
    """int16 [N], of the stretch alone."""
    if one.held is not None:
        if one.rate == rate:
            return one.held
        return as_int16_of(resampled(one.held.astype(np.float32) / 32767, one.rate, rate))
    sound = sound_of(Path(one.path), rate)
    unchanged(one, sound.sha256)
    samples = sound.samples
    return samples if one.whole else samples[round(one.begin * rate) : round(one.end * rate)]


def as_int16_of(samples: np.ndarray) -> np.ndarray:
    """Rounded."""
    return np.round(np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)


def spectrogram(one: Recording, rate: int, bands: int, speed: float) -> np.ndarray:
    """Log-mel, float16 [S, F], still there from before or computed now."""
    key = (one.path, one.sha256, one.begin, one.end, rate, bands, speed) if one.held is None else None
    if key is not None and (kept := FRAMES.get(key)) is not None:
        return kept
    samples = samples_of(one, rate).astype(np.float32) / 32767
    if speed != 1.0:
        samples = resampled(samples, rate * Fraction(speed).limit_denominator(20), rate)
    found = log_mel(samples, rate, bands).astype(np.float16)
    return found if key is None else FRAMES.put(key, found, found.nbytes)


def log_mel(samples: np.ndarray, rate: int, bands: int) -> np.ndarray:
    """Hann windows of 25 ms every 10 ms, centred; the logarithm of mel-band energies."""
    import torch

    window, hop = round(WINDOW * rate), round(FRAME * rate)
    points = 1 << (window - 1).bit_length()
    with torch.no_grad():
        padded = torch.from_numpy(samples)
        if len(padded) <= points // 2:  # what is reflected at the ends must be there
            padded = torch.nn.functional.pad(padded, (0, points // 2 + 1 - len(padded)))
        spectrum_KS = torch.stft(
            padded, points, hop, window, torch.hann_window(window), center=True, return_complex=True
        )
        power_KS = spectrum_KS.real.square() + spectrum_KS.imag.square()
        mel_SF = power_KS.T @ filters(points, rate, bands)
        return mel_SF.clamp_(min=FLOOR).log_().numpy()


@lru_cache(maxsize=4)
def filters(points: int, rate: int, bands: int) -> Any:
    """Slaney's triangles, [points // 2 + 1, bands]: linear below 1 kHz, so that narrow bands still hold a frequency."""
    _, functional = torchaudio_functional()
    return functional.melscale_fbanks(points // 2 + 1, LOWEST, rate / 2, bands, rate, norm="slaney", mel_scale="slaney")


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """Features computed before."""

    frames_SF: np.ndarray
    """float32."""
    sha256: str


FILES: Keeping[FeatureFile] = Keeping(1 << 30)


def features_of(path: Path) -> FeatureFile:
    """Read and checked, or still kept; raises BadRecord with the path."""
    try:
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        return FILES.get(key) or FILES.put(key, (one := read_features(path)), one.frames_SF.nbytes)
    except FileNotFoundError:
        raise BadRecord(f"{path}: no such file") from None
    except OSError as error:
        raise BadRecord(f"{path}: {error.strerror or error}") from None


def read_features(path: Path) -> FeatureFile:
    """A matrix of numbers, a row a frame."""
    if path.stat().st_size == 0:
        raise BadRecord(f"{path}: an empty file")
    try:
        raw: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, KeyError, TypeError, OverflowError, TokenError) as error:
        raise BadRecord(f"{path}: no .npy file that can be read ({str(error).splitlines()[0][:100]})") from None
    if not isinstance(raw, np.ndarray) or raw.ndim != 2 or raw.dtype.kind not in "fiu":
        shape = getattr(raw, "shape", "no shape")
        raise BadRecord(
            f"{path}: an array of {shape} {getattr(raw, 'dtype', '')}; numbers [frames, features] are right"
        )
    S, F = raw.shape
    if not 0 < S <= LONGEST_FRAMES or not 0 < F <= WIDEST:
        raise BadRecord(f"{path}: {S} frames of {F} features; 1 to {WIDEST} features of at least one frame are right")
    with np.errstate(over="ignore"):
        frames_SF = np.array(raw, dtype=np.float32)
    if not (finite_S := np.isfinite(frames_SF).all(1)).all():
        raise BadRecord(f"{path}: frame {int((~finite_S).argmax())} holds NaN, Inf or more than float32 does")
    return FeatureFile(frames_SF, hashlib.sha256(path.read_bytes()).hexdigest())


def given_frames(one: Recording) -> np.ndarray:
    """The features of a stretch, which are still those that were listed."""
    found = features_of(Path(one.path))
    unchanged(one, found.sha256)
    return found.frames_SF if one.whole else found.frames_SF[round(one.begin / FRAME) : round(one.end / FRAME)]


def unchanged(one: Recording, sha256: str) -> None:
    """Raises DataError where a file is another than when it was listed."""
    if one.sha256 and one.sha256 != sha256:
        raise DataError(f"{one.path}: its sha256 is {sha256}, listed is {one.sha256}")
