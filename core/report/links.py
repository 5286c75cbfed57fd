"""Two texts one above the other, with lines between the words that were read for each other."""

from __future__ import annotations

import unicodedata
from html import escape

from core.report.words import Aligned

LETTER, GAP, TALL = 7.6, 9.0, 118
"""Pixels: a letter, the space between words, the picture."""
FAINTEST = 0.12
"""Weights below are not drawn."""
SMALLEST = 0.7
"""Of its size to which the picture shrinks where there is little room, before it has to be scrolled."""
MOST = 60
"""Words of a side; longer ones are not drawn."""
UPPER, LOWER = 16, 104


def linked(found: Aligned) -> str:
    """An <svg> element; empty where a side has no words or more than can be looked at."""
    if not 0 < len(found.source) <= MOST or not 0 < len(found.target) <= MOST:
        return ""
    above, width_above = placed(found.source)
    below, width_below = placed(found.target)
    shift_above, shift_below = (
        max(0.0, other - own) / 2 for own, other in ((width_above, width_below), (width_below, width_above))
    )
    lines = [
        f'<line x1="{middle(above[n]) + shift_above:.1f}" y1="{UPPER + 6}" x2="{middle(below[m]) + shift_below:.1f}"'
        f' y2="{LOWER - 14}" stroke="#2f6fde" stroke-width="{1 + 2 * weight:.1f}" opacity="{min(1.0, 0.15 + weight):.2f}"/>'
        for (m, n), weight in (
            (place, found.weight_MN[place]) for place in zip(*found.weight_MN.nonzero(), strict=True)
        )
        if weight >= FAINTEST
    ]
    texts = [
        f'<text x="{left + shift:.1f}" y="{y}" textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs">{escape(word)}</text>'
        for words, places, shift, y in (
            (found.source, above, shift_above, UPPER),
            (found.target, below, shift_below, LOWER),
        )
        for word, (left, wide) in zip(words, places, strict=True)
    ]
    wide = max(width_above, width_below)
    return (
        f'<div class="links"><svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}"'
        f' height="{TALL}" style="max-width: max(100%, {SMALLEST * wide:.0f}px)" role="img"'
        f' viewBox="0 0 {wide:.0f} {TALL}" fill="currentColor" font-family="system-ui, sans-serif" font-size="14">'
        f"<title>source above, output below</title>{''.join(lines)}{''.join(texts)}</svg></div>"
    )


def placed(words: tuple[str, ...]) -> tuple[list[tuple[float, float]], float]:
    """(left, width) of each word, and the width of all."""
    places: list[tuple[float, float]] = []
    left = 2.0
    for word in words:
        wide = LETTER * sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in word)
        places.append((left, wide))
        left += wide + GAP
    return places, left - GAP + 2.0


def middle(place: tuple[float, float]) -> float:
    """Of a word."""
    return place[0] + place[1] / 2
