"""The built-in speech, which is synthetic: eSpeak NG saying digits and commands; dev and test have other voices and texts."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np

from core.data.config import DataConfig
from core.data.split import split_of
from core.errors import ConfigError, DataError
from core.record import Record, Split
from tasks.speech_to_text import espeak
from tasks.speech_to_text.audio import soundfile
from tasks.speech_to_text.sentences import sentence
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.shelf import Filed, digest, records, shelf

VERSION = 1
"""Of what is said, and how: another one is another data set."""
ACCENTS = ("en", "en-us", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc")
TRAIN_VOICES = """
    f1 m1 m2 m4 m5 m7 m8 Alex Andy Denis Diogo Gene Gene2 Henrique Jacky Lee Marco Michael Mike mike2 Nguyen Reed Storm
    Tweaky adam announcer antonio boris caleb croak ed edward edward2 grandma gustave ian iven iven2 iven3 iven4 john
    klatt klatt2 klatt3 klatt4 marcelo max michel miguel norbert pablo pedro quincy rob robert shelby steph steph2 steph3 zac
"""
DEV_VOICES = "anika m3 linda benjamin Mario grandpa travis Andrea"
TEST_VOICES = "f4 m6 belinda david Hugo aunty paul Annie"
VARIANTS: dict[Split, tuple[str, ...]] = {
    "train": tuple(TRAIN_VOICES.split()),
    "dev": tuple(DEV_VOICES.split()),
    "test": tuple(TEST_VOICES.split()),
}
"""Of voices. Left out: robots, and all whose breath is random (f2, f3, f5, whisper, ...), since they sound different each time."""
UTTERANCES: dict[Split, int] = {"train": 4000, "dev": 400, "test": 600}
TEXT_SHARE = 0.1
"""Of all texts dev has so much, and test, by a hash of the text."""
SILENCE = 0.05, 0.4
"""Seconds before and after."""
GAIN = -18.0, 0.0
"""dB."""


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance to be spoken."""

    key: str
    text: str
    voice: str
    rate: int
    pitch: int
    range: int
    gain: float
    before: float
    after: float


def synthetic(cfg: SpeechConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Made once by the voices of espeakng-loader, into the cache; the same each time."""
    return records(cfg, made(data), split)


def made(data: DataConfig) -> Path:
    """The folder of the cache."""
    return shelf(f"synthetic-{VERSION}", data, speak)


def script(split: Split, count: int) -> list[Line]:
    """Who says what: each text once, each voice about as often."""
    random = Random(f"{VERSION} {split}")
    voices = [f"{accent}+{variant}" for variant in VARIANTS[split] for accent in random.sample(ACCENTS, 3)]
    texts: dict[str, None] = {}
    while len(texts) < count:
        text = sentence(random)
        if split_of(text, TEXT_SHARE, TEXT_SHARE) == split:
            texts[text] = None
    return [
        Line(
            key=f"{split}-{number:05d}",
            text=text,
            voice=voices[number % len(voices)],
            rate=random.randint(130, 210),
            pitch=random.randint(25, 75),
            range=random.randint(30, 70),
            gain=random.uniform(*GAIN),
            before=random.uniform(*SILENCE),
            after=random.uniform(*SILENCE),
        )
        for number, text in enumerate(texts)
    ]


def speak(folder: Path) -> Iterator[Filed]:
    """All of it, voice by voice, with a bar where a person watches."""
    from core.run.progress import progress_bar

    if find_spec("espeakng_loader") is None:
        raise ConfigError(
            "the built-in synthetic speech needs espeakng-loader: pip install 'transduce[speech_to_text]', "
            'or use data.source="tones" or data of your own'
        )
    sf = soundfile()
    scripts: dict[Split, list[Line]] = {split: script(split, count) for split, count in UTTERANCES.items()}
    total = sum(map(len, scripts.values()))
    print(f"synthetic speech: {total:,} utterances spoken by eSpeak NG into {folder.parent.parent}", file=sys.stderr)
    print(
        "  eSpeak NG: GPL-3.0-or-later, by its authors; loaded at run time, not part of this program", file=sys.stderr
    )
    seconds = 0.0
    with progress_bar(total, "speaking") as advance:
        for split, lines in scripts.items():
            (folder / split).mkdir()
            for voice in dict.fromkeys(line.voice for line in lines):
                own = [line for line in lines if line.voice == voice]
                for line, samples in zip(own, spoken(voice, own), strict=True):
                    file = f"{split}/{line.key}.flac"
                    sf.write(folder / file, samples, espeak.SAMPLES_A_SECOND, subtype="PCM_16")
                    length = len(samples) / espeak.SAMPLES_A_SECOND
                    seconds += length
                    speaker = voice.partition("+")[2]
                    yield Filed(line.key, file, line.text, speaker, split, length, digest(folder / file))
                    advance(1)
    print(f"  {seconds / 3600:.2f} hours; voices and texts of dev and test are not in train", file=sys.stderr)


def spoken(voice: str, lines: list[Line]) -> list[np.ndarray]:
    """What one voice says, by a process of its own; raises DataError with what it said about a voice that it lacks."""
    asked = "".join(
        json.dumps({"text": one.text, "rate": one.rate, "pitch": one.pitch, "range": one.range}) + "\n" for one in lines
    )
    done = subprocess.run(
        [sys.executable, "-I", espeak.__file__, voice], input=asked.encode(), capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise DataError(f"eSpeak NG, voice {voice!r}: {said[-1]}")
    return [placed(samples, one) for samples, one in zip(counted(done.stdout), lines, strict=True)]


def counted(raw: bytes) -> Iterator[np.ndarray]:
    """Utterances as the process writes them."""
    at = 0
    while at < len(raw):
        (count,) = struct.unpack_from("<I", raw, at)
        yield np.frombuffer(raw, "<i2", count, at + 4)
        at += 4 + 2 * count


def placed(samples: np.ndarray, line: Line) -> np.ndarray:
    """Between silences, at its loudness; whole numbers throughout, so that every machine makes the same."""
    before, after = (round(seconds * espeak.SAMPLES_A_SECOND) for seconds in (line.before, line.after))
    factor = round(10 ** (line.gain / 20) * 32768)
    quieter = (samples.astype(np.int64) * factor) >> 15
    return np.pad(quieter.astype(np.int16), (before, after))
