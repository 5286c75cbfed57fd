"""From what a manifest says to a recording that is known to be readable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.data.jsonl import name_of
from core.errors import BadRecord
from tasks.speech_to_text.audio import SHORTEST, decoded, sound_of
from tasks.speech_to_text.features import features_of
from tasks.speech_to_text.normaliser import normalised
from tasks.speech_to_text.recording import FEATURES, FRAME, Named, Recording, located, named
from tasks.speech_to_text.settings import SpeechConfig

TOLERANCE = 0.1
"""Seconds that a manifest may err about where a file ends."""


def read(cfg: SpeechConfig, value: Any, folder: Path) -> Recording:
    """A JSON value -> a recording. All of the file is read here, so that what is broken is a bad record."""
    match value:
        case {"bytes": bytes(raw), **rest}:  # a data set's column that holds the sound itself
            return held(raw, str(rest.get("path") or "sound"), cfg.rate)
        case {"bytes": None, "path": str(path)}:
            return recording(cfg, named(path), folder)
        case _:
            return recording(cfg, named(value), folder)


def held(raw: bytes, name: str, rate: int) -> Recording:
    """The samples of what was a file of that name."""
    sound = decoded(raw, name, rate)
    return Recording(name, end=len(sound.samples) / rate, sha256=sound.sha256, held=sound.samples, rate=rate)


def recording(cfg: SpeechConfig, one: Named, folder: Path) -> Recording:
    """Whole, or a stretch that lies within its file."""
    path = located(one.name, folder)
    if path.name.endswith(FEATURES):
        features = features_of(path)
        seconds, sha256 = len(features.frames_SF) * FRAME, features.sha256
    else:
        sound = sound_of(path, cfg.rate)
        seconds, sha256 = len(sound.samples) / cfg.rate, sound.sha256
    whole = one.begin == 0.0 and one.end is None
    end = seconds if one.end is None else one.end
    if one.begin >= end:
        raise BadRecord(f"{path}: from {one.begin:g} to {end:g} seconds there is nothing")
    if end > seconds + TOLERANCE:
        raise BadRecord(f"{path}: to {end:g} seconds, but it is {seconds:.3f} seconds long")
    end = min(end, seconds)
    if end - one.begin < SHORTEST:
        raise BadRecord(f"{path}: {end - one.begin:.3f} seconds of it; at least {SHORTEST:g} are needed")
    return Recording(one.name, str(path), one.begin, end, whole, sha256)


def read_target(cfg: SpeechConfig, value: Any) -> str:
    """A text as the model is to write it; it may be empty, where nobody speaks."""
    if not isinstance(value, str):
        raise BadRecord(f"{name_of(value)}; a text is right")
    return text(cfg, value)


def text(cfg: SpeechConfig, value: str) -> str:
    """By `task.text`; white space is made single always."""
    return normalised(value, "basic" if cfg.text == "basic" else "none")
