"""Speech as it arrives on standard input: WAV or raw PCM, answered segment by segment at pauses."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from core.errors import DataError
from core.record import Record
from tasks.speech_to_text.recording import FRAME, Recording
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.silences import MARGIN, levels, smoothed, threshold

NAME = "standard input"
BLOCK = 0.1
"""Seconds read at a time, less where less has arrived."""
REMEMBERED = 1000
"""Frames that say what is background here and what is speech."""
ASSUMED = 30
"""Frames of silence that are taken for granted before the first."""
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MOST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How bytes are samples."""

    rate: int
    channels: int = 1
    kind: int = PCM
    width: int = 2
    """Bytes of a sample."""

    @property
    def block(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.width

    def samples(self, raw: bytes) -> np.ndarray:
        """int16 [N], channels averaged; `raw` holds whole blocks."""
        match self.kind, self.width:
            case (1, 1):
                found = (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 128
            case (1, 3):
                bytes_N3 = np.frombuffer(raw, np.uint8).reshape(-1, 3).astype(np.int32)
                found = ((bytes_N3 << np.array([8, 16, 24], np.int32)).sum(1, dtype=np.int32)) / 2**31
            case (1, width):
                found = np.frombuffer(raw, f"<i{width}").astype(np.float64) / 2 ** (8 * width - 1)
            case (_, width):
                found = np.nan_to_num(np.frombuffer(raw, f"<f{width}").astype(np.float64), posinf=0, neginf=0)
        mono = found.reshape(-1, self.channels).mean(1)
        return np.round(np.clip(mono, -1, 1) * 32767).astype(np.int16)


def listen(cfg: SpeechConfig, stream: BinaryIO) -> Iterator[Record]:
    """A record as soon as a pause ends it, or after `stream_longest` seconds."""
    layout, first, left = opened(stream, cfg.stream_rate)
    segmenter = Segmenter(layout.rate, cfg.pause, cfg.stream_longest, cfg.silence)
    for samples in arriving(stream, layout, first, left):
        yield from map(as_record, segmenter.push(samples))
    yield from map(as_record, segmenter.end())


def as_record(one: Recording) -> Record:
    """Named by the milliseconds at which it begins."""
    return Record(f"{round(1000 * one.begin):09d}", one, meta={"place": f"{NAME}, {one.begin:.2f} s"})


def arriving(stream: BinaryIO, layout: Layout, first: bytes, left: int | None) -> Iterator[np.ndarray]:
    """Samples, as many as there are; a torn sample at the end is dropped."""
    held = first
    size = max(int(BLOCK * layout.rate) * layout.block, layout.block)
    read = getattr(stream, "read1", stream.read)
    while left is None or left > 0:
        raw = read(size if left is None else min(size, left))
        if not raw:
            break
        left = None if left is None else left - len(raw)
        held += raw
        whole = len(held) // layout.block * layout.block
        if whole:
            yield layout.samples(held[:whole])
            held = held[whole:]
    whole = len(held) // layout.block * layout.block
    if whole:
        yield layout.samples(held[:whole])


def opened(stream: BinaryIO, rate: int) -> tuple[Layout, bytes, int | None]:
    """The layout that a WAV header tells (else raw PCM), what was read of the samples, how many bytes are still to come."""
    magic = exactly(stream, 4)
    if magic != b"RIFF":
        return Layout(rate), magic, None
    if exactly(stream, 8)[4:] != b"WAVE":
        raise DataError(f"{NAME}: RIFF, but no WAVE; WAV or raw 16-bit PCM is right")
    layout: Layout | None = None
    while len(head := exactly(stream, 8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            if layout is None:
                raise DataError(f"{NAME}: a WAV header without a format")
            endless = size in (0, 0x7FFFFFFF, 0xFFFFFFFF)
            return layout, b"", None if endless else size
        if size > MOST_HEADER:
            raise DataError(f"{NAME}: a WAV header with {size:,} bytes of {name!r}")
        content = exactly(stream, size + size % 2)
        if name == b"fmt ":
            layout = layout_of(content)
    raise DataError(f"{NAME}: a WAV header without samples")


def layout_of(content: bytes) -> Layout:
    """Of a `fmt ` chunk."""
    if len(content) < 16:
        raise DataError(f"{NAME}: a WAV header whose format is cut off")
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", content)
    if kind == EXTENSIBLE and len(content) >= 26:
        (kind,) = struct.unpack_from("<H", content, 24)
    width = bits // 8
    known = (kind == PCM and bits in (8, 16, 24, 32)) or (kind == FLOAT and bits in (32, 64))
    if not known or not channels or block != channels * width:
        raise DataError(f"{NAME}: WAV of kind {kind} with {bits} bits; PCM of 8 to 32 bits or floats are right")
    if not 4_000 <= rate <= 192_000:
        raise DataError(f"{NAME}: a rate of {rate} Hz; between 4000 and 192000 is right")
    return Layout(rate, channels, kind, width)


def exactly(stream: BinaryIO, count: int) -> bytes:
    """So many bytes, fewer at the end only."""
    held = b""
    while len(held) < count and (more := stream.read(count - len(held))):
        held += more
    return held


@dataclass(slots=True)
class Segmenter:
    """Samples in, stretches of speech out."""

    rate: int
    pause: float
    longest: float
    silence: float
    held: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int16))
    """Not given out yet."""
    at: int = 0
    """Where `held` begins, in samples of the stream."""
    level_S: list[float] = field(default_factory=list[float])
    """Of the whole frames of `held`."""
    speech_S: list[bool] = field(default_factory=list[bool])
    remembered: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return round(self.rate * FRAME)

    def push(self, samples: np.ndarray) -> list[Recording]:
        """What is ended by these samples."""
        if not self.remembered:
            self.remembered.extend([self.silence] * ASSUMED)
        self.held = np.concatenate([self.held, samples])
        begin = len(self.level_S) * self.hop
        count = (len(self.held) - begin) // self.hop
        if not count:
            return []
        new_S = levels(self.held[begin : begin + count * self.hop], self.rate).tolist()
        self.remembered.extend(new_S)
        loud = threshold(np.array(self.remembered), self.silence)
        self.level_S.extend(new_S)
        self.speech_S.extend(level >= loud for level in new_S)
        found: list[Recording] = []
        while (one := self._next()) is not None:
            found.append(one)
        return found

    def end(self) -> list[Recording]:
        """What is left, where there is speech in it."""
        if not any(self.speech_S):
            return []
        last = len(self.speech_S) - self.speech_S[::-1].index(True)
        return [self._given(self.speech_S.index(True), last)]

    def _next(self) -> Recording | None:
        """A segment that has ended; what is surely silence is forgotten."""
        margin, count = round(MARGIN / FRAME), len(self.speech_S)
        if not any(self.speech_S):
            self._forget(max(count - margin, 0))
            return None
        first = self.speech_S.index(True)
        quiet = 0
        for frame in range(first, count):
            quiet = 0 if self.speech_S[frame] else quiet + 1
            if quiet * FRAME >= self.pause:
                return self._given(first, frame - quiet + 1)
            if (frame + 1 - first) * FRAME >= self.longest:
                calm_S = smoothed(np.array(self.level_S[first : frame + 1]), 9)
                half = len(calm_S) // 2
                return self._given(first, first + half + int(calm_S[half:].argmin()) + 1, torn=True)
        return None

    def _given(self, first: int, last: int, *, torn: bool = False) -> Recording:
        """Frames first to last, with a margin (none behind where speech goes on), which are forgotten."""
        margin = round(MARGIN / FRAME)
        begin, end = max(first - margin, 0) * self.hop, (last if torn else last + margin) * self.hop
        samples = self.held[begin:end].copy()
        one = Recording(
            NAME,
            begin=(self.at + begin) / self.rate,
            end=(self.at + begin + len(samples)) / self.rate,
            whole=False,
            held=samples,
            rate=self.rate,
        )
        self._forget(last)
        return one

    def _forget(self, frames: int) -> None:
        """Of the beginning of what is held."""
        self.held = self.held[frames * self.hop :]
        self.at += frames * self.hop
        del self.level_S[:frames], self.speech_S[:frames]
