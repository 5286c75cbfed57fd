"""A process of its own that speaks: eSpeak NG (GPL-3, loaded at run time from espeakng-loader) by way of ctypes.

Its synthesiser remembers what it said before, so a voice has a process, and its utterances an order.
Run as a script: the voice is the argument, JSON lines {"text", "rate", "pitch", "range"} come in,
for each of them a count (uint32) and int16 samples go out.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
from pathlib import Path
from typing import Any

SYNCHRONOUS = 2
RATE, PITCH, RANGE = 1, 3, 4
UTF8 = 1
SAMPLES_A_SECOND = 22050
HEAR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, ready to speak with one voice."""

    def __init__(self, voice: str) -> None:
        """A language, or LANGUAGE+VARIANT; raises ValueError for what it does not have."""
        import espeakng_loader

        data = espeakng_loader.get_data_path()
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        library.espeak_Info.restype = ctypes.c_char_p
        rate = library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), 0)
        if rate != SAMPLES_A_SECOND:
            raise ValueError(f"eSpeak NG speaks at {rate} samples a second, not {SAMPLES_A_SECOND}")
        self.library: Any = library
        self.version = library.espeak_Info(None).decode()
        self.heard: list[bytes] = []
        self.callback = HEAR(self._hear)
        library.espeak_SetSynthCallback(self.callback)
        language, _, variant = voice.partition("+")
        if variant and not (Path(data) / "voices" / "!v" / variant).is_file():  # it would not say so itself
            raise ValueError(f"no variant {variant!r} among the voices of eSpeak NG {self.version}")
        if library.espeak_SetVoiceByName(voice.encode()) != 0:  # it would go on with the voice that it had
            raise ValueError(f"eSpeak NG {self.version} has no voice {language!r}")

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self.heard.append(ctypes.string_at(samples, 2 * count))
        return 0

    def say(self, text: str, *, rate: int, pitch: int, range: int) -> bytes:
        """int16 samples."""
        for parameter, value in ((RATE, rate), (PITCH, pitch), (RANGE, range)):
            if self.library.espeak_SetParameter(parameter, value, 0) != 0:
                raise ValueError(f"parameter {parameter} cannot be {value}")
        self.heard.clear()
        raw = text.encode()
        if self.library.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, UTF8, None, None) != 0:
            raise ValueError(f"{text!r} could not be spoken")
        return b"".join(self.heard)


def main() -> int:
    """See above; the version goes to standard error."""
    speaker = Espeak(sys.argv[1])
    print(speaker.version, file=sys.stderr)
    for line in sys.stdin:
        asked = json.loads(line)
        samples = speaker.say(asked["text"], rate=asked["rate"], pitch=asked["pitch"], range=asked["range"])
        sys.stdout.buffer.write(struct.pack("<I", len(samples) // 2) + samples)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
