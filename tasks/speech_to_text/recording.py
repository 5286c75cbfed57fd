"""What a model hears: a stretch of a sound file, of features, or of samples in memory; and a training variant of some."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BadRecord
from core.record import Record

FEATURES = ".npy"
FRAME = 0.01
"""Seconds from one frame to the next, also assumed of features that are given."""


@dataclass(frozen=True)
class Recording:
    """A stretch of sound. It is written as it was named: FILE, or FILE#t=BEGIN,END in seconds."""

    name: str
    """As whoever gave it calls it."""
    path: str = ""
    """Where the file lies; empty where samples are held."""
    begin: float = 0.0
    end: float = 0.0
    """Seconds, within the file (or the stream)."""
    whole: bool = True
    """Whether it is all of the file."""
    sha256: str = ""
    """Of the file's bytes, so that data that has changed is told."""
    held: np.ndarray | None = field(default=None, repr=False, compare=False)
    """int16 [N] samples of this stretch, at `rate`."""
    rate: int = 0
    """Of the samples that are held."""

    def __str__(self) -> str:
        return self.name if self.whole else f"{self.name}#t={self.begin:.3f},{self.end:.3f}"

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    @property
    def is_features(self) -> bool:
        """Frames rather than samples."""
        return self.held is None and self.path.endswith(FEATURES)

    @property
    def value(self) -> Any:
        """As JSON that reads back."""
        return self.path if self.whole else {"path": self.path, "start": self.begin, "end": self.end}

    @cached_property
    def identity(self) -> str:
        """The same for the same sound under the same name, wherever it lies."""
        content = self.sha256 or ("" if self.held is None else hashlib.sha256(self.held.tobytes()).hexdigest())
        return f"{self} {content}"

    def part(self, begin: float, end: float) -> Recording:
        """From `begin` to `end`, counted as this one counts."""
        held = self.held
        if held is not None:
            held = held[round((begin - self.begin) * self.rate) : round((end - self.begin) * self.rate)]
        return Recording(self.name, self.path, begin, end, False, self.sha256, held, self.rate)


@dataclass(frozen=True, slots=True)
class Varied:
    """A training variant: recordings one after the other, at their speeds, noisy and masked as a seed says."""

    parts: tuple[Recording, ...]
    speeds: tuple[float, ...]
    noise: bool
    seed: int

    @property
    def seconds(self) -> float:
        return sum(part.seconds / speed for part, speed in zip(self.parts, self.speeds, strict=True))


Heard = Recording | Varied


@dataclass(frozen=True, slots=True)
class Named:
    """A recording as a manifest names it."""

    name: str
    begin: float = 0.0
    end: float | None = None


def named(value: Any) -> Named:
    """A file name, or {"path", "start", "end"} in seconds."""
    match value:
        case str() if value.strip():
            return Named(value)
        case {"path": str(path), **rest} if path.strip():
            unknown = sorted(set(map(str, rest)) - {"start", "end"})  # pyright: ignore[reportUnknownArgumentType]
            if unknown:
                raise BadRecord(f"`{unknown[0]}` says nothing about a recording; `path`, `start`, `end` do")
            begin = seconds_of(rest.get("start"), "start")
            return Named(path, begin or 0.0, seconds_of(rest.get("end"), "end"))
        case _:
            raise BadRecord('a file name is right, or {"path": ..., "start": seconds, "end": seconds}')


def seconds_of(value: Any, what: str) -> float | None:
    """A time that a manifest gives, None where it gives none."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadRecord(f"`{what}` is {str(value)[:40]!r}; a number of seconds is right") from None
    if not 0 <= found < 1e9:
        raise BadRecord(f"`{what}` is {found:g}; seconds from 0 on are right")
    return found


LONGEST_NAME = 4000
"""Characters of a path."""


def located(name: str, folder: Path) -> Path:
    """Relative names begin in the manifest's folder."""
    if "\0" in name or len(name) > LONGEST_NAME:
        raise BadRecord(f"{name[:60]!r}: no file has such a name")
    return folder / Path(name).expanduser()


def length_bin(record: Record) -> str:
    """How long the recording is."""
    seconds = record.source.seconds
    for most in (1, 2, 4, 8, 15, 30):
        if seconds < most:
            return f"< {most:2d} s"
    return ">= 30 s"


def voice_bin(record: Record) -> str:
    """Who speaks, where that is known."""
    return str(record.meta.get("group", "-"))
