"""Sound files as samples: any format that libsndfile knows, any rate and number of channels; what is broken is refused."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BadRecord, ConfigError
from tasks.speech_to_text.keeping import Keeping
from tasks.speech_to_text.resampling import Resampler

ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64", ".caf")
SHORTEST = 0.025
"""Seconds of one window."""
LONGEST_HOURS = 24
SLOWEST_RATE, FASTEST_RATE = 4_000, 768_000
BLOCK = 1 << 18
LOUDEST = 8.0
"""Sound in floats lies within 1; far more are whole numbers written as floats."""
UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""What those write into a WAV header who do not know yet how much will come."""
EXACT = ("WAV", "WAVEX", "FLAC", "AIFF", "AU", "W64", "CAF")
"""Formats whose header says how many frames there are."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A whole file, mono, at the rate that was asked for."""

    samples: np.ndarray
    """int16 [N]."""
    sha256: str


SOUNDS: Keeping[Sound] = Keeping(1 << 30)


def sound_of(path: Path, rate: int) -> Sound:
    """Read, or still kept from before; raises BadRecord with the path."""
    try:
        stat = path.stat()
        if not path.is_file():
            raise BadRecord(f"{path}: not a file")
        key = (str(path), stat.st_mtime_ns, stat.st_size, rate)
        return SOUNDS.get(key) or SOUNDS.put(key, (one := read_sound(path, rate)), one.samples.nbytes)
    except FileNotFoundError:
        raise BadRecord(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise BadRecord(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def read_sound(path: Path, rate: int) -> Sound:
    """A file's."""
    return decoded(path.read_bytes(), str(path), rate)


def decoded(raw: bytes, path: str, rate: int) -> Sound:
    """The bytes of a file of that name. Channels are averaged."""
    if not raw:
        raise BadRecord(f"{path}: an empty file")
    if reason := broken_promise(raw):
        raise BadRecord(f"{path}: {reason}")
    sf = soundfile()
    try:
        with sf.SoundFile(io.BytesIO(raw)) as file:
            native, promised = int(file.samplerate), int(file.frames)
            if not SLOWEST_RATE <= native <= FASTEST_RATE:
                raise BadRecord(f"{path}: a rate of {native} Hz; between {SLOWEST_RATE} and {FASTEST_RATE} is right")
            resampler = Resampler(native, rate)
            frames, parts = 0, list[np.ndarray]()
            for block in blocks(file):
                parts.append(as_int16(resampler.push(checked(block, path, frames / native))))
                frames += len(block)
                if frames > LONGEST_HOURS * 3600 * native:
                    raise BadRecord(f"{path}: longer than {LONGEST_HOURS} hours; cut it first")
            parts.append(as_int16(resampler.end()))
            if file.format in EXACT and frames < promised < 1 << 40:
                raise BadRecord(
                    f"{path}: truncated: {frames / native:.3f} of {promised / native:.3f} seconds are there"
                )
    except sf.LibsndfileError as error:
        raise BadRecord(f"{path}: no sound that can be read ({error.error_string.rstrip('.')})") from None
    except sf.SoundFileError as error:
        raise BadRecord(f"{path}: no sound that can be read ({error})") from None
    samples = np.concatenate(parts)
    if frames < SHORTEST * native or len(samples) < SHORTEST * rate:
        raise BadRecord(f"{path}: {1000 * frames / native:.3g} ms of sound; at least {1000 * SHORTEST:g} are needed")
    return Sound(samples, hashlib.sha256(raw).hexdigest())


def blocks(file: Any) -> Iterator[np.ndarray]:
    """float32 [N, channels], bounded in memory for any number of channels."""
    size = max(BLOCK // max(int(file.channels), 1), 1024)
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        yield block


def checked(block: np.ndarray, path: str, at: float) -> np.ndarray:
    """One channel; NaN, Inf and wild numbers are refused with their place."""
    if not np.isfinite(block).all():
        raise BadRecord(f"{path}: a sample after {at:.3f} seconds is no number (NaN or Inf)")
    if (peak := float(np.abs(block).max())) > LOUDEST:
        raise BadRecord(f"{path}: samples reach {peak:.3g} after {at:.3f} seconds; those of sound lie between -1 and 1")
    return block.mean(1) if block.shape[1] > 1 else block[:, 0]


def as_int16(samples: np.ndarray) -> np.ndarray:
    """Always, so that what is kept and what is read anew are the same."""
    return np.round(np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)


def broken_promise(raw: bytes) -> str:
    """Why a RIFF file is not what its header says; libsndfile reads a truncated one as if it were whole."""
    if len(raw) < 12 or raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        return ""
    at = 12
    while at + 8 <= len(raw):
        name, size = struct.unpack_from("<4sI", raw, at)
        if name == b"data":
            there = len(raw) - at - 8
            lies = size not in UNKNOWN_SIZES and size > there
            return f"truncated: the header promises {size:,} bytes of samples, {there:,} are there" if lies else ""
        at += 8 + size + size % 2
    return "truncated: its header has no samples behind it"


def soundfile() -> Any:
    """The library, or a plain message."""
    try:
        import soundfile
    except (ImportError, OSError):
        raise ConfigError("sound files need the library soundfile: pip install 'transduce[speech_to_text]'") from None
    return soundfile
