"""The bottleneck of one vector, measured: what it keeps of attention's score at each length, and what a word costs it more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.leaderboard.arrays import unpack
from benchmarks.leaderboard.markdown import table
from benchmarks.story import telling
from benchmarks.story.bleu import ORDERS
from benchmarks.story.rungs import BINS, Rung

Result = Mapping[str, Any]
Found = Sequence[tuple[Rung, Result]]
WITHOUT = ("context-vector", "bidirectional")
"""Rungs whose decoder gets one vector."""
SAME = "bidirectional"
"""Of these the one whose encoder is that of the rung with attention."""
WITHIN = "additive"
LEAST = 1.0
"""BLEU from which a share of it means something."""


def bins(found: Found) -> list[str]:
    """Those with records, the shortest first."""
    there = {row["bin"] for _, result in found for row in result["by_length"]}
    order = [f"{low}-{high}" if high else f"{low}+" for low, high in BINS]
    return [name for name in order if name in there]


def from_four(found: Found) -> list[str]:
    """Bins whose sentences have four words at least: what is shorter has no 4-gram, of which BLEU is made."""
    return [name for name in bins(found) if int(name.rstrip("+").partition("-")[0]) >= ORDERS]


def at(result: Result, name: str, metric: str) -> Mapping[str, Any]:
    """A score in a bin."""
    return next(row for row in result["by_length"] if row["bin"] == name)[metric]


def by_length(found: Found, metric: str, digits: int) -> str:
    """A row a bin, a column a rung."""
    rows: list[list[str]] = []
    for name in bins(found):
        count = next(row["n"] for row in found[0][1]["by_length"] if row["bin"] == name)
        rows.append([name, f"{count:,}", *(f"{at(result, name, metric)['value']:.{digits}f}" for _, result in found)])
    return table(["words", "sentences", *(rung.title for rung, _ in found)], rows)


def share(without: Result, within: Result, name: str) -> tuple[float, np.ndarray] | None:
    """Percent of attention's BLEU, and of each resample; None where that is next to nothing."""
    one, other = at(without, name, "bleu"), at(within, name, "bleu")
    if other["value"] < LEAST:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn_R = 100 * unpack(one["resamples"]) / unpack(other["resamples"])
    return 100 * one["value"] / other["value"], drawn_R


def shares(found: Found) -> dict[str, list[float]]:
    """For the picture: title -> percent in each bin; only where every bin has one."""
    by_name = {rung.name: (rung, result) for rung, result in found}
    made: dict[str, list[float]] = {}
    for name in WITHOUT:
        if name in by_name and WITHIN in by_name:
            values = [share(by_name[name][1], by_name[WITHIN][1], one) for one in bins(found)]
            kept = [one[0] for one in values if one is not None]
            if len(kept) == len(values):
                made[by_name[name][0].title] = kept
    return made


def shares_table(found: Found) -> str:
    """A row a bin; what one vector keeps, with 95 % intervals of the paired bootstrap."""
    by_name = {rung.name: result for rung, result in found}
    columns = [(rung, result) for rung, result in found if rung.name in WITHOUT]
    rows: list[list[str]] = []
    for name in bins(found):
        row = [name]
        for _, result in columns:
            own = share(result, by_name[WITHIN], name)
            row.append("-" if own is None else f"{own[0]:.0f} % {interval(own[1], '.0f')}")
        rows.append(row)
    return table(["words", *(rung.title for rung, _ in columns)], rows)


def verdict(found: Found) -> str:
    """What one vector keeps of attention's BLEU on the longest sentences less what it keeps on short ones; the same of bits."""
    by_name = {rung.name: result for rung, result in found}
    within, last = by_name[WITHIN], bins(found)[-1]
    firsts = dict.fromkeys([bins(found)[0], from_four(found)[0]])
    rows: list[list[str]] = []
    shown: list[str] = []
    for rung, result in found:
        if rung.name not in WITHOUT:
            continue
        row = [rung.title]
        for first in firsts:
            short, long = share(result, within, first), share(result, within, last)
            if short is None or long is None:
                row.append("-")
                continue
            points_R = long[1] - short[1]
            row.append(f"{long[0] - short[0]:+.0f} points {interval(points_R, '+.0f')}")
            shown += [f"{rung.title}, {last} words against {first}"] if edges(points_R)[1] < 0 else []
        rows.append(row)
    said = f"shows in BLEU: {'; '.join(shown)}" if shown else "is not shown in BLEU"
    parts = [
        f"What is kept at {last} words, less what is kept at fewer:\n",
        table(["", *(f"less that at {first}" for first in firsts)], rows),
        f"Where an interval lies below 0, the bottleneck {said}.\n",
    ]
    first = from_four(found)[0]
    more = [costs_more(by_name[SAME], within, name) for name in (first, last)]
    growth_R = more[1][1] - more[0][1]
    parts.append(
        f"A word of the reference costs one vector {more[0][0]:+.2f} bits {interval(more[0][1], '+.2f')} beside attention at {first}"
        f" words, and {more[1][0]:+.2f} {interval(more[1][1], '+.2f')} at {last}: the difference changes by"
        f" {more[1][0] - more[0][0]:+.2f} {interval(growth_R, '+.2f')}. The bottleneck"
        f" {'shows' if edges(growth_R)[0] > 0 else 'is not shown'} in what the models believe.\n"
    )
    return "\n".join(parts)


def costs_more(without: Result, within: Result, name: str) -> tuple[float, np.ndarray]:
    """Bits per word, one vector less attention."""
    one, other = at(without, name, "bits"), at(within, name, "bits")
    return one["value"] - other["value"], unpack(one["resamples"]) - unpack(other["resamples"])


def edges(values_R: np.ndarray) -> tuple[float, float]:
    """Of the middle 95 % of those that are numbers; all or nothing where none is."""
    finite_R = values_R[np.isfinite(values_R)]
    if not len(finite_R):
        return -np.inf, np.inf
    low, high = np.percentile(finite_R, [2.5, 97.5])
    return float(low), float(high)


def interval(values_R: np.ndarray, form: str) -> str:
    """[low, high]"""
    low, high = edges(values_R)
    return f"[{low:{form}}, {high:{form}}]"


def section(found: Found) -> str:
    """What the page says of it."""
    parts = ["![BLEU by length](story/lengths.svg)\n", by_length(found, "bleu", 1)]
    names = {rung.name for rung, _ in found}
    compared = {SAME, WITHIN} <= names and len(from_four(found)) > 1
    if compared:
        picture = "![What one vector keeps](story/shares.svg)\n\n" if shares(found) else ""
        parts += [telling.SHARE, picture + shares_table(found)]
    parts += [telling.BITS, "![Bits per word by length](story/bits.svg)\n", by_length(found, "bits", 2)]
    return "\n".join([*parts, verdict(found)] if compared else parts)
