"""Charts as SVG: no library, small, and in the colours of the page around them, dark or light, on screen or paper."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np

from core.report.charts import Chart, HeatMap, limits, said, ticks

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 300, 64, 14, 30, 46
COLOURS = ("#2f6fde", "#d9622b", "#2c9c69", "#a04fc4", "#b8860b", "#c93a5b", "#3aa5b5", "#7a7a7a")
"""Told apart on white and on black, and by most who see colours otherwise; the order repeats."""
CELL = 17
"""Pixels of a cell of a heat map, as long as a side has not more than MANY."""
MANY, ROOM = 70, 1000
"""Beyond, all cells of a side share this many pixels (none has less than two), and not every one has its label."""
LONGEST_LABEL = 18
LETTER = 7.6
"""Pixels of a letter of a title, on average."""
DIGIT = 6.6
"""Of a tick."""


def svg(chart: Chart | HeatMap, *, alone: bool = False) -> str:
    """An <svg> element; `alone`, for a file, has a white ground and a colour of its own for text."""
    if isinstance(chart, HeatMap):
        return heat_map(chart, alone=alone)
    names = legend(chart)
    long = max((len(name) for name, *_ in names), default=0) > 20
    across, room, most = (2, 250, 34) if long else (3, 165, 20)
    below = BOTTOM + (18 * -(-len(names) // across) if len(names) > 1 else 0)
    body = [*axes(chart), *marks(chart)]
    if len(names) > 1:
        body += [
            f'<g transform="translate({left_of(chart) + room * (n % across):g},{HEIGHT + 12 + 18 * (n // across)})">'
            f'<line x2="18" y1="-4" y2="-4" stroke="{colour}" stroke-width="3"{dash}/>'
            f'<text x="24">{escape(shortened(name, most))}</text></g>'
            for n, (name, colour, dash) in enumerate(names)
        ]
    return framed(WIDTH, HEIGHT + below - BOTTOM + 4, chart.title, body, alone=alone)


def framed(width: float, height: float, title: str, body: Sequence[str], *, alone: bool) -> str:
    """With its title, which readers of screens hear too."""
    ground = '<rect width="100%" height="100%" fill="#fff"/>' if alone else ""
    colour = ' color="#222"' if alone else ""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
            f' role="img" fill="currentColor" font-family="system-ui, sans-serif" font-size="12"{colour}>',
            f"<title>{escape(title)}</title>{ground}",
            f'<text x="8" y="16" font-size="13" font-weight="600">{escape(shortened(title, max(8, int((width - 16) / LETTER))))}</text>',
            *body,
            "</svg>",
        ]
    )


def legend(chart: Chart) -> list[tuple[str, str, str]]:
    """Name, colour, dashes."""
    return [
        (one.name, COLOURS[n % len(COLOURS)], ' stroke-dasharray="4 4"' if one.dashed else "")
        for n, one in enumerate(chart.series)
    ]


def scales(chart: Chart) -> tuple[tuple[float, float], tuple[float, float]]:
    """What the axes show."""
    xs = [x for one in chart.series for x in one.x]
    ys = [y for one in chart.series for y in one.y]
    low, high = limits(xs)
    if chart.kind == "bars" and chart.series:
        first = chart.series[0].x
        half = (first[1] - first[0]) / 2 if len(first) > 1 else 2.5
        low, high = xs[0] - half, xs[-1] + half
    bottom, top = limits(ys, from_zero=chart.from_zero or chart.kind == "bars")
    return (low, high), (bottom, top + 0.04 * (top - bottom))


def place(value: float, ends: tuple[float, float], begin: float, end: float) -> float:
    """A value in pixels."""
    return begin + (value - ends[0]) / (ends[1] - ends[0]) * (end - begin)


def left_of(chart: Chart) -> float:
    """Pixels beside the plot: the title of the axis and the longest tick stand there."""
    longest = max((len(said(value)) for value in ticks(*scales(chart)[1])), default=0)
    return max(LEFT, round(30 + DIGIT * longest))


def axes(chart: Chart) -> list[str]:
    """Grid, ticks and what they count."""
    across, up = scales(chart)
    left = left_of(chart)
    lines: list[str] = []
    for value in ticks(*up):
        y = place(value, up, HEIGHT - BOTTOM, TOP)
        lines.append(
            f'<line x1="{left:g}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity=".15"/>'
        )
        lines.append(f'<text x="{left - 6:g}" y="{y + 4:.1f}" text-anchor="end" opacity=".75">{said(value)}</text>')
    for value, words in chart.x_ticks or [(value, said(value)) for value in ticks(*across, most=8)]:
        x = place(value, across, left, WIDTH - RIGHT)
        lines.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" opacity=".75">{escape(words)}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    lines += [
        f'<line x1="{left:g}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}" stroke="currentColor" opacity=".6"/>',
        f'<text x="{(left + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(chart.x)}</text>',
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(chart.y)}</text>',
    ]
    return lines


def marks(chart: Chart) -> list[str]:
    """The values."""
    across, up = scales(chart)
    left = left_of(chart)
    drawn: list[str] = []
    floor = place(max(0.0, up[0]), up, HEIGHT - BOTTOM, TOP)
    for one, (_, colour, dash) in zip(chart.series, legend(chart), strict=True):
        points = [
            (place(x, across, left, WIDTH - RIGHT), place(y, up, HEIGHT - BOTTOM, TOP))
            for x, y in zip(one.x, one.y, strict=True)
            if np.isfinite(x) and np.isfinite(y)
        ]
        if chart.kind == "bars" and not one.dashed:
            wide = max(1.0, 0.9 * (WIDTH - left - RIGHT) / max(len(one.x), 1)) if len(one.x) > 1 else 90.0
            drawn += [
                f'<rect x="{x - wide / 2:.1f}" y="{min(y, floor):.1f}" width="{wide:.1f}" height="{abs(floor - y):.1f}" fill="{colour}"/>'
                for x, y in points
            ]
            continue
        if chart.kind != "points" or one.dashed:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if len(points) <= 40 and not one.dashed:
            drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in points]
    return drawn


def heat_map(chart: HeatMap, *, alone: bool = False) -> str:
    """One picture of a pixel a cell, stretched, with the tokens beside it: the stronger the colour, the more."""
    rows, columns = ([shortened(visible(one), LONGEST_LABEL) for one in names] for names in (chart.rows, chart.columns))
    left = 30 + 7.2 * max(map(len, rows), default=1)
    top = 44 + 6.2 * max(map(len, columns), default=1)
    across, down = (CELL if n <= MANY else max(2.0, ROOM / n) for n in (len(columns), len(rows)))
    each, every = (max(1, math.ceil(14 / size)) for size in (across, down))
    wide, tall = round(across * len(columns), 1), round(down * len(rows), 1)
    body = [
        f'<image x="{left:.1f}" y="{top:.1f}" width="{wide}" height="{tall}" preserveAspectRatio="none"'
        f' style="image-rendering: pixelated" href="data:image/png;base64,{base64.b64encode(png(chart.values)).decode()}"/>',
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide}" height="{tall}" fill="none" stroke="currentColor" opacity=".4"/>',
        *(
            f'<text x="{left - 5:.1f}" y="{top + down * (n + 0.5) + 4:.1f}" text-anchor="end">{escape(rows[n])}</text>'
            for n in range(0, len(rows), every)
        ),
        *(
            f'<text transform="translate({left + across * (n + 0.5) + 3.5:.1f} {top - 5:.1f}) rotate(-60)">'
            f"{escape(columns[n])}</text>"
            for n in range(0, len(columns), each)
        ),
    ]
    right = 8 + 4 * max(map(len, columns), default=1)
    title = 16 + LETTER * min(len(chart.title), 60)
    caption = key(chart)
    body.append(f'<text x="8" y="{top + tall + 18:.1f}" font-size="11" opacity=".75">{escape(caption)}</text>')
    wide = max(left + wide + right, title, 16 + 6.2 * len(caption))
    return framed(wide, top + tall + 26, chart.title, body, alone=alone)


def key(chart: HeatMap) -> str:
    """What is read where, and how much the strongest colour is."""
    return f"down: {chart.row_name}; across: {chart.column_name}; strongest: {said(float(round(chart.values.max(initial=0.0), 2)))}"


def png(values: np.ndarray) -> bytes:
    """8-bit RGBA, blue by how much of the largest value, clear where there is none: it works on any ground."""
    most = float(values.max(initial=0.0)) or 1.0
    alpha = np.clip(values / most * 255, 0, 255).astype(np.uint8)
    pixels = np.zeros((*values.shape, 4), np.uint8)
    pixels[..., :3] = (47, 111, 222)
    pixels[..., 3] = alpha
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def shortened(text: str, most: int) -> str:
    """With an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def visible(token: str) -> str:
    """What cannot be seen, or stand in XML, gets a sign."""
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in token)
    return shown if shown.strip() else "␣" * max(1, len(shown))
