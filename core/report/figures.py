"""The same charts as figures of matplotlib: returned, never shown. In a notebook the last line of a cell shows one."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ConfigError
from core.report.charts import Chart, HeatMap
from core.report.svg import COLOURS, shortened, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@lru_cache(maxsize=1)
def drawn() -> type[Figure]:
    """Figures that show themselves in a notebook, also where pyplot, which would teach notebooks to, was not imported."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("figures need matplotlib: pip install 'transduce[report]'") from None

    class Drawn(Figure):
        """A figure with the PNG that notebooks ask for."""

        def _repr_png_(self) -> bytes:
            file = BytesIO()
            self.savefig(file, format="png", dpi=110, metadata={"Software": None})
            return file.getvalue()

    return Drawn


def figure(chart: Chart | HeatMap) -> Figure:
    """A figure that no window and no state of pyplot knows."""
    Figure = drawn()
    if isinstance(chart, HeatMap):
        wide, tall = (0.24 * min(n, 70) for n in (len(chart.columns), len(chart.rows)))
        made = Figure(figsize=(1.8 + wide, 1.6 + tall), layout="constrained")
        heat(made.add_subplot(), chart)
        return made
    made = Figure(figsize=(6.4, 3.8), layout="constrained")
    lines(made.add_subplot(), chart)
    return made


def plain(text: str) -> str:
    """No formula: a dollar is a dollar."""
    return visible(text).replace("$", r"\$")


def heat(axes: Any, chart: HeatMap) -> None:
    """Tokens along both sides."""
    axes.imshow(chart.values, cmap="Blues", vmin=0.0, aspect="auto", interpolation="nearest")
    for names, ticks, how in (
        (chart.columns, axes.set_xticks, {"rotation": 60, "ha": "left"}),
        (chart.rows, axes.set_yticks, {}),
    ):
        places = range(0, len(names), 1 + len(names) // 70)  # more could not be read
        ticks(places, [plain(shortened(names[n], 18)) for n in places], **how)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8)
    axes.set_title(plain(chart.title), fontsize=10)
    axes.set_ylabel(plain(chart.row_name))
    axes.xaxis.set_label_position("bottom")
    axes.set_xlabel(plain(f"{chart.column_name}; strongest: {float(chart.values.max(initial=0.0)):.2f}"))


def lines(axes: Any, chart: Chart) -> None:
    """Lines, points, bars."""
    for number, one in enumerate(chart.series):
        colour = COLOURS[number % len(COLOURS)]
        if chart.kind == "bars" and not one.dashed:
            width = 0.9 * (one.x[1] - one.x[0] if len(one.x) > 1 else 1)
            axes.bar(np.asarray(one.x), np.asarray(one.y), width=width, color=colour, label=plain(one.name))
        else:
            style = "--" if one.dashed else "none" if chart.kind == "points" else "-"
            marker = "o" if len(one.x) <= 40 and not one.dashed else None
            axes.plot(one.x, one.y, linestyle=style, marker=marker, markersize=4, color=colour, label=plain(one.name))
    if chart.x_ticks:
        axes.set_xticks([value for value, _ in chart.x_ticks], [plain(words) for _, words in chart.x_ticks])
    axes.set(xlabel=plain(chart.x), ylabel=plain(chart.y))
    axes.set_title(plain(chart.title), fontsize=10)
    axes.grid(alpha=0.25)
    if chart.from_zero:
        axes.set_ylim(bottom=0)
    if len(chart.series) > 1:
        axes.legend(fontsize=8)
