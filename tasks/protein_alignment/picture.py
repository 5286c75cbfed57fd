"""Alignments in colour as SVG, and as PNG through matplotlib: the best answer of an input."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from typing import Any

from core.errors import ConfigError
from core.record import Prediction
from tasks.protein_alignment.alignment import GAP, rows_of, spelled
from tasks.protein_alignment.colours import CLASSES, class_of, conservation, strengths
from tasks.protein_alignment.writing import confidence, names_of

WIDTH = 80
"""Columns of a block."""
CELL, LINE, LEFT, RIGHT = 11, 16, 210, 50
"""Pixels: width and height of a residue, room for names and for numbers."""
BARS = (("conservation", "#888888"), ("confidence", "#3a8f5c"))


def as_svg(prediction: Prediction, n_best: int) -> str:
    """Plain shapes and text, so that names and residues can be searched for."""
    rows = rows_of(prediction.output) if prediction.output else ()
    if not rows:
        return framed(40, [text(LEFT, 24, "start", str(prediction.record.meta.get("error", "no answer")))])
    names, tall = names_of(prediction), (len(rows) + 3) * LINE
    values = (conservation(rows), confidence(prediction.hypotheses[0], rows))
    much, last = strengths(rows), [0] * len(rows)
    shapes: list[str] = []
    for block, begin in enumerate(range(0, len(rows[0]), WIDTH)):
        part = range(begin, min(begin + WIDTH, len(rows[0])))
        for number, row in enumerate(rows):
            top = block * tall + number * LINE
            for column in part:
                if (name := class_of(row[column])) in much[column]:
                    left = LEFT + (column - begin) * CELL
                    shapes.append(
                        f'<rect x="{left}" y="{top}" width="{CELL}" height="{LINE}" '
                        f'fill="{CLASSES[name][1]}" fill-opacity="{much[column][name]:.2f}"/>'
                    )
            last[number] += len(spelled(row[part.start : part.stop]))
            places = " ".join(str(LEFT + (column - begin) * CELL + CELL / 2) for column in part)
            shapes += [
                text(LEFT - 8, top + 12, "end", shortened(names[number])),
                f'<text x="{places}" y="{top + 12}" text-anchor="middle">{row[part.start : part.stop]}</text>',
                text(LEFT + len(part) * CELL + 8, top + 12, "start", str(last[number]), faint=True),
            ]
        for below, ((name, colour), heights) in enumerate(zip(BARS, values, strict=True)):
            bottom = block * tall + (len(rows) + 1 + below) * LINE
            shapes.append(text(LEFT - 8, bottom - 2, "end", name, faint=True))
            for column in part:
                left, high = LEFT + (column - begin) * CELL + 1, (LINE - 3) * heights[column]
                shapes.append(
                    f'<rect x="{left}" y="{bottom - high:.1f}" width="{CELL - 2}" height="{high:.1f}" fill="{colour}"/>'
                )
    return framed(tall * -(-len(rows[0]) // WIDTH), shapes)


def framed(height: int, shapes: Sequence[str]) -> str:
    """On white, whatever page it is put on."""
    width = LEFT + WIDTH * CELL + RIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -6 {width} {height + 6}" width="{width}" '
            f'height="{height + 6}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12">',
            f'<rect x="0" y="-6" width="{width}" height="{height + 6}" fill="white"/>',
            *shapes,
            "</svg>",
        ]
    )


def text(x: float, y: float, anchor: str, words: str, *, faint: bool = False) -> str:
    """One line."""
    colour = ' fill="#666666"' if faint else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{colour}>{html.escape(words)}</text>'


def as_png(prediction: Prediction, n_best: int) -> bytes:
    """The same bytes each time."""
    figure_type, rectangle, patches = matplotlib()
    rows = rows_of(prediction.output) if prediction.output else ()
    blocks = max(1, -(-len(rows[0]) // WIDTH)) if rows else 1
    tall = len(rows) + 3.2
    figure = figure_type(figsize=(0.13 * (WIDTH + 26), 0.19 * tall * blocks + 0.3), dpi=150)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(-22, WIDTH + 4)
    axes.set_ylim(tall * blocks + 0.3, -0.9)
    axes.set_axis_off()
    if rows:
        boxes, colours = painted(rows, confidence(prediction.hypotheses[0], rows), tall, rectangle)
        axes.add_collection(patches(boxes, facecolors=colours, linewidths=0))
        written(axes, rows, names_of(prediction), tall)
    else:
        axes.text(0, 0, str(prediction.record.meta.get("error", "no answer")), fontsize=7)
    out = io.BytesIO()
    figure.savefig(out, format="png", facecolor="white", metadata={"Software": None})
    return out.getvalue()


def painted(rows: Sequence[str], sure: Sequence[float], tall: float, rectangle: Any) -> tuple[list[Any], list[Any]]:
    """What lies under the letters, and the bars below them, with their colours."""
    much, values = strengths(rows), (conservation(rows), sure)
    boxes: list[Any] = []
    colours: list[Any] = []
    for column in range(len(rows[0])):
        top, left = tall * (column // WIDTH), column % WIDTH
        for number, row in enumerate(rows):
            if (name := class_of(row[column])) in much[column]:
                boxes.append(rectangle((left - 0.5, top + number - 0.5), 1, 1))
                colours.append((CLASSES[name][1], much[column][name]))
        for below, ((_, colour), heights) in enumerate(zip(BARS, values, strict=True)):
            bottom, high = top + len(rows) + 0.4 + below, 0.8 * heights[column]
            boxes.append(rectangle((left - 0.4, bottom - high), 0.8, high))
            colours.append((colour, 1.0))
    return boxes, colours


def written(axes: Any, rows: Sequence[str], names: Sequence[str], tall: float) -> None:
    """Residues, names, and the number of each row's last residue."""
    font = {"family": "monospace", "fontsize": 7, "va": "center"}
    last = [0] * len(rows)
    for begin in range(0, len(rows[0]), WIDTH):
        top, end = tall * (begin // WIDTH), min(begin + WIDTH, len(rows[0]))
        for number, row in enumerate(rows):
            for column in range(begin, end):
                colour = "#999999" if row[column] == GAP else "black"
                axes.text(column - begin, top + number, row[column], ha="center", color=colour, **font)
            last[number] += len(spelled(row[begin:end]))
            axes.text(-1.2, top + number, shortened(names[number]), ha="right", **font)
            axes.text(end - begin + 0.2, top + number, str(last[number]), ha="left", color="#666666", **font)
        for below, (name, _) in enumerate(BARS):
            small = font | {"fontsize": 5.5, "color": "#666666"}
            axes.text(-1.2, top + len(rows) + 0.1 + below, name, ha="right", **small)


def shortened(name: str, most: int = 28) -> str:
    """Within the margin."""
    return name if len(name) <= most else name[: most - 1] + "…"


def matplotlib() -> tuple[Any, Any, Any]:
    """Its figures, without any window, or a plain message."""
    try:
        from matplotlib.collections import PatchCollection
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ImportError:
        raise ConfigError("PNG pictures need matplotlib: pip install 'transduce[protein_alignment]'") from None
    return Figure, Rectangle, PatchCollection
