"""A recording as its field looks at one: the wave, the spectrogram, and what was heard, in its place where that is known."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape

import numpy as np

from core.errors import UserError
from core.record import Prediction
from core.report.examples import as_text, listed, marked
from core.report.svg import png
from tasks.speech_to_text.features import LOWEST, log_mel, samples_of
from tasks.speech_to_text.recording import FRAME, Recording
from tasks.speech_to_text.words import Segment

# N samples, S frames, F bands

RATE, BANDS = 16_000, 40
"""Of what is drawn, whatever the model hears."""
WIDE, WAVE, BANDED, BELOW, ABOVE = 640, 56, 84, 18, 20
"""Pixels: the picture's width, the wave, the spectrogram, the seconds below it, the words above it."""
LOUD = 9.0
"""Nepers from the loudest band down to where it is white."""
LEGEND = (
    "The wave above the spectrogram (mel bands up to 8 kHz), seconds below. In what was heard, "
    "underlined: not in the reference; dotted: missing."
)
"""Above a report's examples."""
STYLE = """svg { width: 100%; height: auto; max-width: 44rem; display: block } p.none { color: var(--faint) }
@media (max-width: 40rem) { svg text { font-size: 15px } }
"""


def present(prediction: Prediction) -> str:
    """The picture, then the words beside the reference."""
    record = prediction.record
    target = as_text(record.target) if record.target is not None else prediction.output
    rows = [("heard", marked(prediction.output, target) or "<em>(nothing)</em>")]
    try:
        drawn = picture(record.source, words_of(record.meta.get("segments", ())))
    except (UserError, OSError, AttributeError) as error:
        drawn = f'<p class="none">{escape(f"no picture: {error}")}</p>'
    return drawn + listed(rows)


def words_of(segments: Sequence[Segment]) -> list[tuple[str, float, float]]:
    """(text, begin, end) where words were aligned (`search.align`), else of the pieces that were heard in one go."""
    words = [(word.text, word.begin, word.end) for one in segments for word in one.words]
    return words or ([(one.text, one.begin, one.end) for one in segments] if len(segments) > 1 else [])


def picture(source: Recording, words: Sequence[tuple[str, float, float]]) -> str:
    """Wave above spectrogram, on one axis of seconds; features that were given are drawn as they are."""
    top = ABOVE if words else 0
    if source.is_features:
        from tasks.speech_to_text.features import given_frames

        bands_SF, wave = given_frames(source), ""
        seconds = len(bands_SF) * FRAME
    else:
        samples = samples_of(source, RATE).astype(np.float32) / 32767
        bands_SF, seconds = log_mel(samples, RATE, BANDS), len(samples) / RATE
        wave = waved(samples, top)
    under = top + (WAVE if wave else 0)
    shade = np.clip(1 + (bands_SF - bands_SF.max()) / LOUD, 0, 1)
    image = base64.b64encode(png(averaged(shade, WIDE).T[::-1])).decode()
    parts = [
        wave,
        f'<image x="0" y="{under}" width="{WIDE}" height="{BANDED}" preserveAspectRatio="none"'
        f' href="data:image/png;base64,{image}"/>',
        *([] if source.is_features else pitches(under)),
        *(label(*word, source.begin, seconds) for word in words),
        *axis(seconds, under + BANDED),
    ]
    tall = under + BANDED + BELOW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {tall}" role="img" fill="currentColor"'
        f' font-family="system-ui, sans-serif" font-size="11"><title>{escape(str(source))}</title>{"".join(parts)}</svg>'
    )


def waved(samples: np.ndarray, top: int) -> str:
    """The least and the greatest of each pixel's samples, as one shape."""
    edges = np.linspace(0, len(samples), min(WIDE, max(len(samples), 1)) + 1).astype(int)[:-1]
    most, least = np.maximum.reduceat(samples, edges), np.minimum.reduceat(samples, edges)
    loudest = max(float(np.abs(samples).max(initial=0.0)), 1e-3)
    x = np.arange(len(edges)) * WIDE / len(edges)
    middle, half = top + WAVE / 2, (WAVE - 6) / 2 / loudest
    upper = [f"{a:.1f},{middle - half * b:.1f}" for a, b in zip(x, most, strict=True)]
    lower = [f"{a:.1f},{middle - half * b + 0.5:.1f}" for a, b in zip(x[::-1], least[::-1], strict=True)]
    return f'<polygon points="{" ".join(upper + lower)}" opacity=".8"/>'


def averaged(values_SF: np.ndarray, most: int) -> np.ndarray:
    """At most so many frames, each the mean of those it stands for."""
    if len(values_SF) <= most:
        return values_SF
    edges = np.linspace(0, len(values_SF), most + 1).astype(int)
    sums = np.add.reduceat(values_SF, edges[:-1], axis=0)
    return sums / np.diff(edges)[:, None]


def mel(hertz: float) -> float:
    """On Slaney's scale, as the bands are: even up to 1 kHz, then by ratios."""
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def pitches(top: int) -> list[str]:
    """What some heights of the spectrogram are in kHz."""
    low, high = mel(LOWEST), mel(RATE / 2)
    return [
        f'<text x="{WIDE - 2}" y="{top + BANDED * (high - mel(1000 * kilo)) / (high - low) + 4:.1f}" font-size="9"'
        f' text-anchor="end" opacity=".75">{kilo} kHz</text>'
        for kilo in (1, 2, 4)
    ]


def label(word: str, begin: float, end: float, first: float, seconds: float) -> str:
    """Above where it was heard."""
    left, right = (WIDE * (at - first) / max(seconds, 1e-9) for at in (begin, end))
    return (
        f'<line x1="{left:.1f}" x2="{left:.1f}" y1="{ABOVE - 4}" y2="{ABOVE + WAVE}" stroke="currentColor" opacity=".25"/>'
        f'<text x="{(left + right) / 2:.1f}" y="13" text-anchor="middle">{escape(word)}</text>'
    )


def axis(seconds: float, y: int) -> list[str]:
    """Ten ticks at most."""
    step = next(
        one for one in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600) if seconds / one <= 10 or one == 3600
    )
    return [
        f'<text x="{min(max(WIDE * n * step / max(seconds, 1e-9), 8), WIDE - 12):.1f}" y="{y + 13}" text-anchor="middle"'
        f' opacity=".75">{n * step:g}{" s" if n == 0 else ""}</text>'
        for n in range(int(seconds / step) + 1)
    ]
