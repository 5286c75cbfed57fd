"""docs/toys.md, from the result file alone."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

from benchmarks.leaderboard.markdown import machine, table
from benchmarks.toys.cells import EXPECTATIONS, SECTIONS, TOYS, Cell, Row, cells, rows
from core.testing.toys import What, answer

HEAD = """# Does it learn? Every architecture with every attention, on four toys

Written by `python -m benchmarks.toys` from `benchmarks/results/toys.json`; do not edit it. Every figure below comes from that file.

What cannot learn these cannot learn anything, and a switch that breaks learning breaks it here first. Strings of up to six
of eight letters (`recall`: five, with 20 letters of noise behind a bar), 6,000 to learn from; asked are some 200 that occur nowhere
in training, and only an answer without a wrong letter counts.
"""
EXAMPLES: Mapping[What, str] = {"copy": "cafe", "reverse": "cafe", "sort": "cafe", "recall": "cafe|hgbdbaeg"}
FLOORS = """## What is asked

A floor stands for each cell before it is trained, derived from what the idea can do. `tests/learn/test_toy_table.py` (slow tier)
trains the cells and holds them to it; a score in **bold** is below. Where cells were below at first, their kind was given more updates
(`benchmarks/toys/cells.py` says which); no floor was moved.
"""
READING = """## What the table says

The mean over the attentions of a row of cells (without the window) beside the same cells without attention:
"""
AGAIN = """## Do it yourself

```text
python -m benchmarks.toys                       # what is missing, one after the other
python -m benchmarks.toys --jobs 2              # two cells at once
python -m benchmarks.toys --cells 'lstm*: sort' # some of them; --list says their names
```

Each cell is written down as soon as it is trained; a cell whose recipe has changed is trained again.
"""
Scores = Mapping[str, Mapping[str, Any]]


def stored(file: Mapping[str, Any]) -> Scores:
    """What the file holds of the table as it is now: a result of another recipe is none."""
    recipes = {one.name: one.recipe for one in cells()}
    return {name: own for name, own in file["cells"].items() if recipes.get(name) == own["recipe"]}


def page(file: Mapping[str, Any]) -> str:
    """The whole of it."""
    found = stored(file)
    parts = [HEAD, toys(), FLOORS, floors(), setting(file, found)]
    for section, title in SECTIONS.items():
        parts += [f"## {title}\n", scores([one for one in rows() if one.section == section], found)]
    parts += [READING, with_and_without(found), below(found), AGAIN]
    return "\n".join(parts)


def toys() -> str:
    """An example of each."""
    lines = [[f"`{what}`", f"`{text}`", f"`{answer(what, text)}`"] for what, text in EXAMPLES.items()]
    return table(["toy", "source", "target"], lines)


def floors() -> str:
    """What is expected, and why."""
    lines = [
        [name, *(f"{one.least[what]:g}" if what in one.least else "-" for what in TOYS), one.reason]
        for name, one in EXPECTATIONS.items()
    ]
    return table(["what it is", *TOYS, "why"], lines)


def setting(file: Mapping[str, Any], found: Scores) -> str:
    """Machine and cost."""
    seconds = [one["processor_seconds"] for one in found.values()]
    if not seconds:
        return "Nothing of the table has been trained yet.\n"
    return (
        f"{len(found)} of {len(cells())} cells, {sum(seconds) / 60:.0f} minutes of the processor in all,"
        f" {mean(seconds):.0f} seconds a cell, on {machine(file['environment'])}.\n"
    )


def scores(own: list[Row], found: Scores) -> str:
    """Percent answered exactly, a row a model."""
    by_name = {one.name: one for one in cells()}

    def said(row: Row, what: What) -> str:
        cell = by_name.get(f"{row.label}: {what}")
        if cell is None or cell.name not in found:
            return "-"
        score = found[cell.name]["score"]
        return f"{score:.1f}" if score >= cell.least else f"**{score:.1f}**"

    lines = [[row.name, row.attention, *(said(row, what) for what in TOYS), row.expected] for row in own]
    return table(["model", "attention or positions", *TOYS, "expected as"], lines)


def with_and_without(found: Scores) -> str:
    """Each recurrent architecture: attention's mean, and one vector's score."""
    lines: list[list[str]] = []
    for name in dict.fromkeys(row.name for row in rows() if row.section == "rnn"):
        own = [row for row in rows() if row.name == name]
        line = [name]
        for what in TOYS:
            looking = [value(row, what, found) for row in own if row.expected == "counts"]
            without = next(value(row, what, found) for row in own if row.attention == "none")
            known = [one for one in looking if one is not None]
            line.append(f"{mean(known):.1f} / {without:.1f}" if known and without is not None else "-")
        lines.append(line)
    return table(["with / without", *TOYS], lines)


def value(row: Row, what: What, found: Scores) -> float | None:
    """A cell's score."""
    cell = found.get(f"{row.label}: {what}")
    return None if cell is None else cell["score"]


def low(found: Scores) -> list[Cell]:
    """Cells below their floors."""
    return [one for one in cells() if one.name in found and found[one.name]["score"] < one.least]


def below(found: Scores) -> str:
    """They are named."""
    named = [f"{one.name} ({found[one.name]['score']:.1f}, asked {one.least:g})" for one in low(found)]
    return f"Below their floors: {'; '.join(named)}.\n" if named else "No cell is below its floor.\n"
