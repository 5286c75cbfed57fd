"""Alignments in colour as an HTML page, with conservation and the model's confidence below each block."""

from __future__ import annotations

import html
from collections.abc import Sequence

from core.record import Hypothesis, Prediction
from tasks.protein_alignment.alignment import GAP, GAPS, fault, identity, rows_of, spelled
from tasks.protein_alignment.colours import CLASSES, class_of, conservation, reads_black, strengths
from tasks.protein_alignment.writing import confidence, names_of

WIDTH = 60

LEGEND = (
    "Residues in the colours of Clustal X, the stronger the more of their column is alike; below, "
    "conservation and the confidence of the model, and beside the reference which of its columns were "
    "found."
)
"""Above a report's examples."""
STYLE = (
    """
h2 { font-size: 1.05rem; margin: 1.6rem 0 .2rem } .facts { color: var(--faint); margin: 0 0 .6rem }
.block { overflow-x: auto; margin-bottom: .9rem; --bar: #888 }
table { border-collapse: collapse; font: 13px/1.25 ui-monospace, Menlo, Consolas, monospace }
td { padding: 0; width: 1.05em; min-width: 1.05em; text-align: center; border: 0 }
td.name { width: auto; text-align: left; padding-right: 1em; white-space: nowrap }
td.last { width: auto; padding-left: .8em; color: var(--faint); text-align: right; white-space: nowrap }
td.gap { color: var(--faint) } tr.bars td { height: 1.3em; vertical-align: bottom; padding-top: 3px }
tr.bars i { display: block; background: var(--bar); width: 80%; margin: 0 auto } tr.sure i { background: #3a8f5c }
tr.bars td.name { color: var(--faint); font-size: 11px } .key span { padding: 0 .45em; margin-right: .5em }
.error { color: var(--bad, #b00) }
"""
    + "\n".join(f".{name} {{ --hue: {hue} }}" for name, (_, hue) in CLASSES.items())
    + """
td[class] { background: color-mix(in srgb, var(--hue, transparent) var(--much, 0%), transparent) }
td.black { color: #000 }
.key span { background: var(--hue) ; color: #000 }
"""
)
"""Of an alignment, within any page whose faint colour is --faint."""
HEAD = (
    """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Alignments</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --faint: #666 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181c; --faint: #9a9a9a } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 1.5rem; max-width: 90rem }
"""
    + STYLE
    + """</style></head><body><h1>Alignments</h1>
<p class="key">"""
    + " ".join(f'<span class="{name}">{name} {letters}</span>' for name, (letters, _) in CLASSES.items())
    + "</p>\n"
)
FOOT = "</body></html>\n"


def as_html(prediction: Prediction, n_best: int) -> str:
    """One input's part of the page."""
    title = html.escape(prediction.record.key or "input")
    if error := prediction.record.meta.get("error"):
        return f'<h2>{title}</h2><p class="error">not aligned: {html.escape(str(error))}</p>'
    return "\n".join(
        section(prediction, answer, title if rank == 1 else f"{title}, answer {rank}")
        for rank, answer in enumerate(prediction.hypotheses[:n_best], 1)
        if answer.output
    )


def section(prediction: Prediction, answer: Hypothesis, title: str) -> str:
    """One alignment in blocks of columns."""
    rows = rows_of(answer.output)
    sure = confidence(answer, rows)
    said = f"{len(rows)} sequences, {len(rows[0])} columns, identity {100 * identity(rows):.1f} %, "
    parts = [f"<h2>{title}</h2>"] if title else []
    parts += [f'<p class="facts">{said}mean confidence {sum(sure) / len(sure):.2f}</p>']
    return "\n".join(
        (*parts, *blocks(rows, names_of(prediction), (("conservation", conservation(rows)), ("confidence", sure))))
    )


def blocks(rows: Sequence[str], names: Sequence[str], bars: Sequence[tuple[str, Sequence[float]]]) -> list[str]:
    """Columns in colour, so many at a time, with bars below."""
    much, last, parts = strengths(rows), [0] * len(rows), list[str]()
    for begin in range(0, len(rows[0]), WIDTH):
        part = range(begin, min(begin + WIDTH, len(rows[0])))
        lines: list[str] = []
        for number, (name, row) in enumerate(zip(names, rows, strict=True)):
            last[number] += len(spelled(row[part.start : part.stop]))
            cells = "".join(cell(row[column], much[column]) for column in part)
            lines.append(
                f'<tr><td class="name">{html.escape(name)}</td>{cells}<td class="last">{last[number]}</td></tr>'
            )
        for kind, values in bars:
            drawn = "".join(f'<td><i style="height:{round(100 * values[column])}%"></i></td>' for column in part)
            mark = "bars" if kind == "conservation" else "bars sure"
            lines.append(f'<tr class="{mark}"><td class="name">{kind}</td>{drawn}</tr>')
        parts.append(f'<div class="block"><table>{"".join(lines)}</table></div>')
    return parts


def reference(prediction: Prediction) -> str:
    """The reference in the same colours, and which of its columns the best answer has."""
    rows = rows_of(str(prediction.record.target).translate(GAPS))
    if fault(rows) or len(rows) != len(prediction.record.source):
        return ""  # a CIGAR, say
    theirs = set(places(rows_of(prediction.output))) if prediction.output else set[tuple[int, ...]]()
    found = [float(column in theirs) for column in places(rows)]
    said = f'<p class="facts">{sum(found):.0f} of {len(found)} columns found</p>'
    return "\n".join(
        (said, *blocks(rows, names_of(prediction), (("conservation", conservation(rows)), ("found", found))))
    )


def places(rows: Sequence[str]) -> list[tuple[int, ...]]:
    """Of each column the number of each row's residue in its sequence, from 1; 0 for a gap."""
    counted = [0] * len(rows)
    columns: list[tuple[int, ...]] = []
    for column in zip(*rows, strict=True):
        counted = [n + (residue != GAP) for n, residue in zip(counted, column, strict=True)]
        columns.append(tuple(n if residue != GAP else 0 for n, residue in zip(counted, column, strict=True)))
    return columns


def cell(residue: str, much: dict[str, float]) -> str:
    """One residue on its colour."""
    name = class_of(residue)
    if name not in much:
        return f'<td class="gap">{residue}</td>' if residue == GAP else f"<td>{residue}</td>"
    letter = " black" if reads_black(name, much[name]) else ""
    return f'<td class="{name}{letter}" style="--much:{round(100 * much[name])}%">{residue}</td>'


def present(prediction: Prediction) -> str:
    """The best answer as part of a page (whose style is HEAD's), which names it itself."""
    if prediction.record.meta.get("error") or not prediction.output:
        return as_html(prediction, 1)
    return section(prediction, prediction.hypotheses[0], "")
