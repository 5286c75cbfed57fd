"""Pictures as SVG, written by hand so that equal numbers give equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from benchmarks.leaderboard.across import FLOOR

COLOURS = ("#3f77c4", "#c8553d", "#43905c", "#9a68ae", "#a8841a", "#2f9090", "#b0568f", "#8a6d4f", "#6a78c8")
"""Each stands out from a light page and from a dark one: contrast 3 at least."""
FLOOR_COLOUR = "#7a7a7a"
FONT = 'font-family="system-ui, sans-serif" font-size="12"'


@dataclass(frozen=True, slots=True)
class Bar:
    """A score with its interval."""

    name: str
    value: float
    low: float
    high: float
    colour: str
    digits: int


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a plane."""

    name: str
    x: float
    y: float
    colour: str


def colour_of(name: str, names: Sequence[str]) -> str:
    """The same system has the same colour everywhere on the page; trivial ones share one."""
    if is_floor(name):
        return FLOOR_COLOUR
    return COLOURS[sorted({one for one in names if not is_floor(one)}).index(name) % len(COLOURS)]


def is_floor(name: str) -> bool:
    """By its name: of one task, or the best of each."""
    return name.startswith("floor-") or name == FLOOR


def svg(width: float, height: float, body: Sequence[str], title: str) -> str:
    """The frame of a picture; the title is what a screen reader says."""
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" {FONT}>'
    return "\n".join([f'<div class="plot">{head}', f"<title>{escape(title)}</title>", *body, "</svg></div>"])


def text(x: float, y: float, said: str, anchor: str = "start", style: str = "") -> str:
    """One line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{escape(said)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, style: str = 'class="axis"') -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def room(names: Sequence[str]) -> float:
    """Beside which they fit, at 7 a letter."""
    return max(120.0, 7.0 * max(map(len, names)) + 16)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers that cover a range."""
    span = high - low or abs(high) or 1.0
    step = 10 ** floor(log10(span / most))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [round(number * step, 10) for number in range(first, last + 1)]


def bars(found: Sequence[Bar], title: str) -> str:
    """One horizontal bar a system, with its interval as a whisker."""
    left, right, row = room([one.name for one in found]), 70.0, 22.0
    width = left + 450
    marks = ticks(min(0.0, *(one.low for one in found)), max(one.high for one in found))
    low, high = marks[0], marks[-1]

    def at(value: float) -> float:
        return left + (width - left - right) * (value - low) / (high - low)

    height = row * len(found) + 34
    body = [line(at(mark), 6, at(mark), height - 24, 'class="grid"') for mark in marks]
    body += [text(at(mark), height - 8, f"{mark:g}", "middle", 'class="muted"') for mark in marks]
    for number, one in enumerate(found):
        y = 6 + row * number
        begin, end = sorted((at(max(low, 0.0)), at(one.value)))
        body += [
            text(left - 8, y + 15, one.name, "end"),
            f'<rect x="{begin:.1f}" y="{y + 3:.1f}" width="{end - begin:.1f}" height="{row - 7:.1f}" fill="{one.colour}"/>',
            line(at(one.low), y + row / 2, at(one.high), y + row / 2, 'class="ink" stroke-width="1.5"'),
            text(width - right + 8, y + 15, f"{one.value:.{one.digits}f}"),
        ]
    return svg(width, height, body, title)


def forest(found: Sequence[Bar], title: str) -> str:
    """One point a line with its interval, about a line at nought."""
    left, right, row = room([one.name for one in found]), 70.0, 22.0
    width, height = left + 450, row * len(found) + 34
    marks = ticks(min(0.0, *(one.low for one in found)), max(0.0, *(one.high for one in found)))

    def at(value: float) -> float:
        return left + (width - left - right) * (value - marks[0]) / (marks[-1] - marks[0])

    body = [line(at(mark), 6, at(mark), height - 24, 'class="grid"' if mark else 'class="axis"') for mark in marks]
    body += [text(at(mark), height - 8, f"{mark:+g}" if mark else "0", "middle", 'class="muted"') for mark in marks]
    for number, one in enumerate(found):
        y = 6 + row * number + row / 2
        body += [
            text(left - 8, y + 4, one.name, "end"),
            line(at(one.low), y, at(one.high), y, 'class="ink" stroke-width="1.5"'),
            f'<circle cx="{at(one.value):.1f}" cy="{y:.1f}" r="5" fill="{one.colour}"/>',
            text(width - right + 12, y + 4, f"{one.value:+.{one.digits}f}"),
        ]
    return svg(width, height, body, title)


def scatter(points: Sequence[Point], x_name: str, y_name: str, title: str) -> str:
    """Logarithmic across: cost; linear up: skill."""
    width, height, left, bottom = 640.0, 360.0, 60.0, 46.0
    decades = [10.0**power for power in range(floor(log10(min(one.x for one in points))), 8)]
    right_end = next(one for one in decades if one >= max(each.x for each in points))
    low_x, high_x = log10(decades[0]), log10(right_end if right_end > decades[0] else decades[1])
    marks = ticks(min(one.y for one in points), max(one.y for one in points))

    def across(value: float) -> float:
        return left + (width - left - 20) * (log10(value) - low_x) / (high_x - low_x)

    def up(value: float) -> float:
        return height - bottom - (height - bottom - 16) * (value - marks[0]) / (marks[-1] - marks[0])

    body = [line(left, up(mark), width - 20, up(mark), 'class="grid"') for mark in marks]
    body += [text(left - 8, up(mark) + 4, f"{mark:g}", "end", 'class="muted"') for mark in marks]
    for decade in (one for one in decades if log10(one) <= high_x + 1e-9):
        body += [
            line(across(decade), 16, across(decade), height - bottom, 'class="grid"'),
            text(across(decade), height - bottom + 16, f"{decade:g}", "middle", 'class="muted"'),
        ]
    body += [text(left, height - 8, x_name), text(left, 11, y_name)]
    for one in points:
        body.append(
            f'<circle cx="{across(one.x):.1f}" cy="{up(one.y):.1f}" r="5" fill="{one.colour}" fill-opacity="0.8">'
            f"<title>{escape(one.name)}: {one.y:.3f} at {one.x:.3g}</title></circle>"
        )
    return svg(width, height, body, title)


def key(names: Sequence[str], colours: Sequence[str]) -> str:
    """Which colour is whose, as HTML."""
    parts = (
        f'<span class="key"><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in zip(names, colours, strict=True)
    )
    return "<p>" + " ".join(parts) + "</p>"


def critical_difference(ranks: Sequence[tuple[str, float]], difference: float, title: str) -> str:
    """Mean ranks on a line, best at the left; a bar joins systems nearer than the critical difference (Demsar, 2006)."""
    found = sorted(ranks, key=lambda one: (one[1], one[0]))
    side = room([f"{name} {rank:.2f}" for name, rank in found]) + 20
    width = 2 * side + 300
    last = len(found)

    def at(rank: float) -> float:
        return side + (width - 2 * side) * (rank - 1) / max(1, last - 1)

    cliques: list[tuple[int, int]] = []
    for begin in range(last):
        end = max(number for number in range(last) if found[number][1] - found[begin][1] <= difference)
        if end > begin and not any(old_end >= end for _, old_end in cliques):
            cliques.append((begin, end))
    top = 62.0
    rows = top + 12 * len(cliques) + 10
    half = (last + 1) // 2
    height = rows + 22 * half + 12
    body = [line(at(1), top, at(last), top, 'class="ink"')]
    for rank in range(1, last + 1):
        body += [line(at(rank), top - 5, at(rank), top, 'class="ink"'), text(at(rank), top - 9, str(rank), "middle")]
    length = at(1 + difference) - at(1)
    body += [
        line(at(1), 24, at(1) + length, 24, 'class="ink" stroke-width="2"'),
        text(at(1), 16, f"critical difference {difference:.2f}"),
    ]
    for number, (begin, end) in enumerate(cliques):
        y = top + 10 + 12 * number
        body.append(line(at(found[begin][1]) - 4, y, at(found[end][1]) + 4, y, 'stroke="#c8553d" stroke-width="5"'))
    for number, (name, rank) in enumerate(found):
        at_left = number < half
        y = rows + 22 * (number if at_left else last - 1 - number) + 10
        edge = side - 20 if at_left else width - side + 20
        body += [
            f'<polyline points="{at(rank):.1f},{top:.1f} {at(rank):.1f},{y:.1f} {edge:.1f},{y:.1f}" class="axis"/>',
            text(edge + (-6 if at_left else 6), y + 4, f"{name} {rank:.2f}", "end" if at_left else "start"),
        ]
    return svg(width, height, body, title)


def history(series: Sequence[tuple[str, str, Sequence[float]]], revisions: Sequence[str], title: str) -> str:
    """(name, colour, a value at each revision; NaN where there is none) -> lines over revisions, oldest at the left."""
    width, height, left, bottom = 640.0, 260.0, 60.0, 40.0
    values = [value for _, _, own in series for value in own if value == value]
    marks = ticks(min(values), max(values))

    def across(number: int) -> float:
        return left + (width - left - 30) * (number / (len(revisions) - 1) if len(revisions) > 1 else 0.5)

    def up(value: float) -> float:
        return height - bottom - (height - bottom - 14) * (value - marks[0]) / ((marks[-1] - marks[0]) or 1)

    body = [line(left, up(mark), width - 30, up(mark), 'class="grid"') for mark in marks]
    body += [text(left - 8, up(mark) + 4, f"{mark:g}", "end", 'class="muted"') for mark in marks]
    body += [
        text(across(number), height - bottom + 18, revision, "middle", 'class="muted"')
        for number, revision in enumerate(revisions)
        if (len(revisions) - 1 - number) % ceil(len(revisions) / 8) == 0
    ]
    for name, colour, own in series:
        spots = [(across(number), up(value)) for number, value in enumerate(own) if value == value]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        body.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{escape(name)}</title></circle>'
            for x, y in spots
        ]
    return svg(width, height, body, title)
