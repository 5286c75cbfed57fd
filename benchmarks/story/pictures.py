"""The page's pictures as SVG, from numbers alone: equal results give equal bytes, and no picture holds another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from core.report.charts import Chart, Series
from core.report.svg import CELL, COLOURS, LONGEST_LABEL, framed, shortened, svg, visible

Result = Mapping[str, Any]
FAINTEST = 0.02
"""Weights below this are left white."""


def learning(found: Sequence[tuple[str, Result]]) -> str:
    """(title, result) -> BLEU on the watched part of dev, by step."""
    series = [
        Series(title, [one["step"] for one in result["curve"]["dev"]], [one["bleu"] for one in result["curve"]["dev"]])
        for title, result in found
    ]
    return alone(Chart("learning", "Learning: BLEU on dev", "step", "BLEU", series, from_zero=True))


def losses(found: Sequence[tuple[str, Result]]) -> str:
    """What each learns from: the loss per target token, label smoothing included."""
    series = [
        Series(title, [step for step, _ in result["curve"]["train"]], [loss for _, loss in result["curve"]["train"]])
        for title, result in found
    ]
    return alone(Chart("loss", "Learning: loss on training batches", "step", "loss", series))


def lengths(found: Sequence[tuple[str, Result]], names: Sequence[str]) -> str:
    """BLEU by the length of the source."""
    series = [by_bin(title, result, names, "bleu") for title, result in found]
    title = "BLEU by the length of the source"
    return alone(over_bins(Chart("lengths", title, WORDS, "BLEU", series, from_zero=True), names))


def bits(found: Sequence[tuple[str, Result]], names: Sequence[str]) -> str:
    """What a word of the reference costs, by the length of the source."""
    series = [by_bin(title, result, names, "bits") for title, result in found]
    title = "Bits per word of the reference, by the length of the source"
    return alone(over_bins(Chart("bits", title, WORDS, "bits per word", series), names))


def shares(found: Mapping[str, Sequence[float]], names: Sequence[str]) -> str:
    """Title -> percent of attention's BLEU in each bin."""
    places = [float(place) for place in range(len(names))]
    series = [Series(title, places, values) for title, values in found.items()]
    series.append(Series("with attention", places, [100.0] * len(names), dashed=True))
    title = "What one vector keeps of attention's BLEU"
    return alone(over_bins(Chart("shares", title, WORDS, "%", series, from_zero=True), names))


WORDS = "words of the source"


def by_bin(title: str, result: Result, names: Sequence[str], metric: str) -> Series:
    """A rung's line."""
    rows = result["by_length"]
    return Series(title, [float(names.index(row["bin"])) for row in rows], [row[metric]["value"] for row in rows])


def over_bins(chart: Chart, names: Sequence[str]) -> Chart:
    """With the bins' names below."""
    return replace(chart, x_ticks=[(float(place), name) for place, name in enumerate(names)])


def alone(chart: Chart) -> str:
    """As a file."""
    return svg(chart, alone=True) + "\n"


def attention(title: str, found: Mapping[str, Any]) -> str:
    """One square a weight: the stronger the colour, the more."""
    rows, columns = ([shortened(visible(one), LONGEST_LABEL) for one in found[side]] for side in ("target", "source"))
    left = 30 + 7.2 * max(map(len, rows))
    top = 44 + 6.2 * max(map(len, columns))
    wide, tall = CELL * len(columns), CELL * len(rows)
    most = max(max(row) for row in found["weights"]) or 1.0
    body = [
        f'<rect x="{left + CELL * column:.1f}" y="{top + CELL * row:.1f}" width="{CELL}" height="{CELL}" fill="{COLOURS[0]}"'
        f' fill-opacity="{weight / most:.2f}"/>'
        for row, weights in enumerate(found["weights"])
        for column, weight in enumerate(weights)
        if weight >= FAINTEST
    ]
    body.append(
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide}" height="{tall}" fill="none" stroke="currentColor" opacity=".4"/>'
    )
    body += [
        f'<text x="{left - 5:.1f}" y="{top + CELL * n + 12.5:.1f}" text-anchor="end">{escape(one)}</text>'
        for n, one in enumerate(rows)
    ]
    body += [
        f'<text transform="translate({left + CELL * n + 12:.1f} {top - 5:.1f}) rotate(-60)">{escape(one)}</text>'
        for n, one in enumerate(columns)
    ]
    right = 8 + 4 * max(map(len, columns))
    return framed(max(left + wide + right, 260), top + tall + 8, title, body, alone=True) + "\n"
