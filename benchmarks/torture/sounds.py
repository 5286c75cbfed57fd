"""F4: sound files that lie, break off, or hold what is no sound; and lists of recordings that name what is not there."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.torture import contract, mangling
from benchmarks.torture.rows import Row, Trial, hold
from core.codec.types import as_encoded
from core.errors import UserError
from tasks import TASKS

RECORDINGS = 50
"""Of a trial."""
RATES = (0, 1, 3999, 4000, 8000, 16000, 22050, 44100, 192000, 768000, 800000, 0xFFFFFFFF)


def wav(draw: random.Random) -> bytes:
    """Any number of channels and samples, of any width, some of them no numbers, under a header that may lie."""
    channels, kind, width = draw.choice(
        ((1, 1, 2), (2, 1, 2), (1, 1, 1), (1, 1, 3), (1, 1, 4), (1, 3, 4), (8, 3, 4), (1, 3, 8))
    )
    frames = draw.choice((0, 1, 399, 400, 1600, 8000, 8000, 8000))
    rate = draw.choice((8000, 16000, 44100, 16000, draw.choice(RATES)))
    if kind == 3:
        samples = np.array([draw.uniform(-1, 1) for _ in range(frames * channels)], "<f4" if width == 4 else "<f8")
        if len(samples) and draw.random() < 0.5:
            samples[draw.randrange(len(samples))] = draw.choice((np.nan, np.inf, -np.inf, 1e30, 9.0, 1e-45))
        body = samples.tobytes()
    else:
        body = draw.choice(
            (
                bytes(frames * channels * width),
                draw.randbytes(frames * channels * width),
                b"\xff\x7f" * (frames * channels * width // 2),
            )
        )
    lie = draw.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 1000, 1 << 31, 0xFFFFFFFF))
    said = max(0, min(len(body) + lie, 0xFFFFFFFF)) if lie != 0xFFFFFFFF else lie
    fields = (
        draw.choice((channels, channels, channels, 0, 65535)),
        rate,
        min(rate * channels * width, 0xFFFFFFFF),
        channels * width,
        8 * width,
    )
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", min(36 + said, 0xFFFFFFFF), b"WAVE", b"fmt ", 16, kind, *fields, b"data", said
    )
    return head + body


def features(draw: random.Random) -> bytes:
    """A .npy file, or nearly."""
    descr = draw.choice(
        ("'<f4'", "'<f8'", "'|O'", "'<i2'", "'<U9'", "[('a', '<f4')]", "'>f4'", "'<c8'", "'|V8'", "__import__('os')")
    )
    shape = draw.choice(
        (
            "(3, 80)",
            "(0, 80)",
            "(3,)",
            "()",
            "(-1, 80)",
            f"({1 << 62}, 80)",
            "(1000000000, 80)",
            "(3, 80, 2)",
            "'x'",
            "(3, 0)",
            "(1.5, 2)",
        )
    )
    order = draw.choice(("False", "False", "True", "1", "None"))
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    version = draw.choice((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", draw.choice((len(header), len(header), 0, 60000)))
    return (
        b"\x93NUMPY"
        + version
        + size
        + header
        + draw.choice((np.ones((3, 80), "<f4").tobytes(), b"", draw.randbytes(960)))
    )


def encoded(draw: random.Random) -> tuple[str, bytes]:
    """A whole file of another format, by libsndfile."""
    import io

    import soundfile

    ending, kind = draw.choice(
        (
            (".flac", "FLAC"),
            (".ogg", "OGG"),
            (".aiff", "AIFF"),
            (".au", "AU"),
            (".caf", "CAF"),
            (".w64", "W64"),
            (".mp3", "MP3"),
        )
    )
    out = io.BytesIO()
    time_N = np.arange(draw.choice((400, 4000))) / 16000
    soundfile.write(out, 0.3 * np.sin(2 * np.pi * 440 * time_N), 16000, format=kind)
    return ending, out.getvalue()


MAKERS: tuple[Callable[[random.Random], tuple[str, bytes]], ...] = (
    lambda draw: (".wav", wav(draw)),
    lambda draw: (".wav", mangling.mangled(draw, wav(draw))),
    lambda draw: (".npy", features(draw)),
    lambda draw: (".npy", mangling.mangled(draw, features(draw))),
    encoded,
    lambda draw: (lambda one: (one[0], mangling.mangled(draw, one[1])))(encoded(draw)),
    lambda draw: (
        draw.choice((".wav", ".flac", ".mp3", ".ogg", ".npy", ".au")),
        draw.randbytes(draw.choice((0, 1, 44, 3000))),
    ),
)


def files(trial: Trial) -> None:
    """One after the other, and what was heard as a model's frames."""
    draw, task = trial.random, TASKS["speech_to_text"]
    config = task.config()
    codecs = task.codecs(config, iter(()))
    sound = task.formats["sound"].read
    assert sound is not None
    for number in range(RECORDINGS if not trial.quick else 25):
        ending, raw = draw.choice(MAKERS)(draw)
        path = trial.place / f"{number}{ending}"
        path.write_bytes(raw)
        found = contract.read(trial, partial(sound, config, path), [path], lines=False)
        trial.count("recordings")
        for record in found:
            try:
                frames = as_encoded(codecs.source.encode(record.source)).values
            except UserError as error:
                said = str(error)
                hold(path.name in said and "\n" not in said, f"a refusal without its file: {said!r}")
                trial.count("records refused")
            else:
                hold(np.isfinite(frames).all(), f"frames that are no numbers: {raw[:60]!r}")
                trial.count("recordings heard")


def lists(trial: Trial) -> None:
    """Manifests that name files which are there, or not, in stretches that are there, or not."""
    draw, task = trial.random, TASKS["speech_to_text"]
    config = task.config()
    (trial.place / "good.wav").write_bytes(
        struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 32036, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", 32000
        )
        + bytes(32000)
    )
    names = (
        *("good.wav",) * 10,
        "none.wav",
        "../x.wav",
        "/etc/passwd",
        "/dev/zero",
        ".",
        "",
        "good.wav\0",
        "x" * 5000,
        "cat x |",
        "a.ark:5",
        "~/x.wav",
        "good.wav#t=0,1",
    )
    times = (*(0, 0.25, 0.5) * 6, 1, 2, -1, 1e999, "x", None, True, [], 1e-9, "0.2", "nan")
    lines: list[bytes] = []
    for _ in range(RECORDINGS):
        tree = {
            "audio_filepath": draw.choice(names),
            "text": draw.choice((*("a b",) * 6, "", 1, None, "\ud800")),
            "offset": draw.choice(times),
            "duration": draw.choice(times),
        }
        raw = json.dumps(tree).encode()
        lines.append(raw if draw.random() < 0.7 else mangling.mangled(draw, raw))
    table = [
        ",".join(str(draw.choice(one)).replace("\0", "") for one in (names, ("a b", '"a', ""), times, times)).encode(
            "utf-8", "replace"
        )
        for _ in range(RECORDINGS)
    ]
    for name, content in (("m.jsonl", lines), ("m.csv", [b"path,text,start,end", *table])):
        path = trial.place / name
        path.write_bytes(b"\n".join(content))
        form = next(one for one in task.formats.values() if one.read is not None and path.suffix in one.endings)
        assert form.read is not None
        found = contract.read(trial, partial(form.read, config, path), [path])
        hold(all(re.search(r":\d+$", record.meta["place"]) for record in found), "a record without its line")
        trial.count("lines of lists", RECORDINGS)
        trial.count("recordings listed", len(found))


def trial(trial: Trial) -> None:
    """Files, then lists of them."""
    files(trial)
    lists(trial)


ROWS = (
    Row(
        "F4",
        threat="recordings: headers that lie, samples that are no numbers, mangled files of nine formats, lists of what is not there",
        promise="No crash, no recording that takes 2 s; each is heard as finite numbers or refused with its file (and line, in a list).",
        trial=trial,
        unit="recordings",
        goal=3000,
        full=60,
        quick=1,
        seconds=3.0,
    ),
)
