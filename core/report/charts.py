"""Charts as data: drawn as SVG for pages (`core.report.svg`) and by matplotlib for notebooks and files (`core.report.figures`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one set of bars or points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False
    """For what is only there to compare with: a diagonal, a uniform distribution."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines, points or bars over one pair of axes."""

    name: str
    """Of its files: `loss`."""
    title: str
    x: str
    y: str
    series: Sequence[Series]
    kind: str = "line"
    """`line`, `bars` (steps of equal width, x in the middle), `points`."""
    from_zero: bool = False
    """The y axis begins at 0 whatever the values."""
    x_ticks: Sequence[tuple[float, str]] = ()
    """Where they are not numbers."""

    @property
    def empty(self) -> bool:
        """Nothing to draw."""
        return not any(len(one.x) for one in self.series)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A matrix of values from 0 up, with what its rows and columns are."""

    name: str
    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: np.ndarray
    row_name: str = "output"
    column_name: str = "source"


def limits(values: Sequence[float], *, from_zero: bool = False) -> tuple[float, float]:
    """Of an axis that shows all of these."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    low = min(low, 0.0) if from_zero else low
    if low == high:
        return (low, high + 1.0) if from_zero else (low - 0.5, high + 0.5)
    return low, high


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between, 1, 2 or 5 times a power of ten apart."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    step = 10.0 ** math.floor(math.log10(span / most))
    step = next(step * factor for factor in (1, 2, 5, 10, 20) if span / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def said(value: float) -> str:
    """A tick: 0, 0.25, 1500 as 1.5k."""
    if value and abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:g}"


def histogram(name: str, title: str, x: str, values: Sequence[float], most: int = 24) -> Chart:
    """How many records have how much; whole numbers stay apart where there are few."""
    data = np.asarray(values, dtype=float)
    data = data[np.isfinite(data)]
    if not len(data):
        return Chart(name, title, x, "records", ())
    low, high = float(data.min()), float(data.max())
    width = max(1, math.ceil((high - low + 1) / most))
    edges = np.arange(math.floor(low) - 0.5, high + width, width)
    counts, edges = np.histogram(data, edges)
    middle = (edges[:-1] + edges[1:]) / 2
    return Chart(
        name, title, x, "records", (Series("records", middle.tolist(), counts.tolist()),), "bars", from_zero=True
    )
