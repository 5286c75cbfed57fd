"""docs/leaderboard/index.html: tables that sort and filter, and plots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from math import nan

import numpy as np

from benchmarks.leaderboard.across import Across
from benchmarks.leaderboard.boards import Board, Row
from benchmarks.leaderboard.charts import (
    Bar,
    Point,
    bars,
    colour_of,
    critical_difference,
    history,
    key,
    scatter,
)
from benchmarks.leaderboard.cost import NOTES
from benchmarks.leaderboard.document import Cell, document, shown, table
from benchmarks.leaderboard.duels import duels_of
from benchmarks.leaderboard.markdown import (
    digits_of,
    hardware,
    interval,
    number,
    pair_sentence,
    records_of,
    tally_of,
)
from benchmarks.leaderboard.references import Anchor, Published, anchor_of, skill_of

FILTERING = """
const words=document.getElementById("words"),chosen=["task","budget","kind"].map(name=>document.getElementById(name));
function filter(){
 let left=0;
 for(const row of document.querySelectorAll("#all tbody tr")){
  const fits=chosen.every(one=>!one.value||row.dataset[one.id]===one.value)
   &&row.textContent.toLowerCase().includes(words.value.toLowerCase());
  row.hidden=!fits;left+=fits}
 document.getElementById("count").textContent=left+" rows";
}
[words,...chosen].forEach(one=>one.addEventListener("input",filter));filter();
"""


def webpage(
    boards: Sequence[Board],
    overall: Sequence[Across],
    anchors: Sequence[Anchor],
    published: Sequence[Published],
    remarks: str = "",
    *,
    ablations: bool = False,
) -> str:
    """The whole page."""
    names = sorted({row.system for board in boards for row in board.rows})
    parts = [
        "<h1>Leaderboard</h1>",
        "<p>Rebuilt from result files by <code>python -m benchmarks.leaderboard show</code>. Rows compare only where the"
        " digest of the records and the metric's signature agree. Intervals are 95 % bootstraps. A win is a paired bootstrap"
        " over records and seeds at 0.05 after Holm's correction over all pairs, which most seeds show by themselves"
        " (Holm's correction over seeds) and none contradicts. Skill = (score - floor) / (reference - floor).</p>",
        links(boards, overall, published=bool(published), ablations=ablations),
    ]
    parts += [f"<p>{escape(remarks.strip())}</p>"] if remarks else []
    for one in overall:
        parts += across_section(one, names)
    parts += ['<h2 id="rows">All rows</h2>', filters(boards), all_rows(boards, anchors)]
    for board in boards:
        parts += board_section(board, anchors, names)
    if published:
        parts.append('<h2 id="published">Published results</h2>')
        parts.append("<p>Printed by others under their own conventions: no rank, no test.</p>")
        parts.append(published_table(published))
    notes = "".join(f"<li><code>{escape(name)}</code>: {escape(said)}</li>" for name, said in NOTES.items())
    parts += ["<h2>Costs</h2>", f"<ul>{notes}</ul>"]
    return document("Transduce: leaderboard", parts, FILTERING)


def links(boards: Sequence[Board], overall: Sequence[Across], *, published: bool, ablations: bool) -> str:
    """To every section, and to the page beside."""
    found = [(f"across-{one.budget}", f"across tasks: {one.budget}") for one in overall]
    found += [("rows", "all rows"), *((anchor_name(board), board.name) for board in boards)]
    found += [("published", "published results")] if published else []
    beside = '<a href="ablations.html">ablations</a>' if ablations else ""
    return "<nav>" + "".join(f'<a href="#{name}">{escape(said)}</a>' for name, said in found) + beside + "</nav>"


def anchor_name(board: Board) -> str:
    """Of its section: a task may have several boards of one name."""
    return re.sub(r"[^a-z0-9]+", "-", f"{board.name}-{board.metric}-{board.sha256[:8]}".lower())


def across_section(found: Across, names: Sequence[str]) -> list[str]:
    """Standings, the critical-difference diagram, skill by cost."""
    tasks = [board.task for board in found.boards]
    head = ["system", "tasks", "mean rank", "mean skill", "wins", "ties", "losses", "minutes", *tasks]
    rows: list[tuple[str, list[Cell]]] = [
        (
            "",
            [
                *((one.system, one.system), shown(len(one.skills), 0), shown(one.rank, 2), shown(one.skill, 3)),
                *(shown(count, 0) for count in (one.wins, one.ties, one.losses)),
                *(shown(one.minutes, 1), *(shown(one.skills.get(task), 3) for task in tasks)),
            ],
        )
        for one in found.standings
    ]
    parts = [
        f'<h2 id="across-{escape(found.budget)}">Across tasks: {escape(found.budget)}</h2>',
        table(head, rows, texts=1),
    ]
    systems = [one.system for one in found.standings]
    sentences = [
        said
        for at, left in enumerate(systems)
        for right in systems[at + 1 :]
        if (said := pair_sentence(found, left, right))
    ]
    parts.append("<ul>" + "".join(f"<li>{escape(one)}</li>" for one in sentences) + "</ul>")
    ranked = [(one.system, one.rank) for one in found.standings if one.rank is not None]
    if found.critical_difference is not None:
        parts.append(f"<h3>Mean ranks over {len(found.ranked_tasks)} tasks</h3>")
        parts.append(
            critical_difference(ranked, found.critical_difference, "Mean ranks with their critical difference")
        )
    measures = (
        ("training_minutes", "training minutes"),
        ("training_cpu_minutes", "processor minutes of training"),
        ("decode_p50_ms", "milliseconds an answer (p50)"),
    )
    for measure, said in measures:
        points = points_of(found, names, measure)
        if points:
            parts.append(f"<h3>Skill by {said}</h3>")
            shown_names = [one for one in systems if any(point.name.startswith(f"{one}, ") for point in points)]
            parts.append(key(shown_names, [colour_of(one, names) for one in shown_names]))
            parts.append(scatter(points, said, "skill", f"Skill by {said}, a point a task"))
    parts.append(f"<p>{escape(hardware(found))}</p>")
    return parts


def points_of(found: Across, names: Sequence[str], measure: str) -> list[Point]:
    """A point for every system on every task: what it cost, and what it reached."""
    return [
        Point(f"{one.system}, {board.task}", cost, skill, colour_of(one.system, names))
        for one in found.standings
        for board in found.boards
        for row in board.rows
        if row.system == one.system and row.budget == found.budget
        if (skill := one.skills.get(board.task)) is not None and (cost := row.mean(measure))
    ]


def filters(boards: Sequence[Board]) -> str:
    """Above the table of all rows."""
    rows = [row for board in boards for row in board.rows]
    choices = {
        "task": sorted({row.task for row in rows}),
        "budget": sorted({row.budget for row in rows}),
        "kind": sorted({row.kind for row in rows}),
    }
    parts = ['<label>words <input id="words" type="search"></label>']
    for name, values in choices.items():
        options = "".join(f"<option>{escape(value)}</option>" for value in values)
        parts.append(f'<label>{name} <select id="{name}"><option value="">all</option>{options}</select></label>')
    return f'<div class="tools">{"".join(parts)}<span id="count"></span></div>'


def all_rows(boards: Sequence[Board], anchors: Sequence[Anchor]) -> str:
    """Every row of every board."""
    head = [
        "system",
        "task",
        "data",
        "kind",
        "budget",
        "metric",
        "seeds",
        "score",
        "95 %",
        "skill",
        "W/T/L",
        "minutes",
        "CPU min",
    ]
    head += ["steps", "tokens", "tokens/s", "TFLOP", "p50 ms", "p95 ms", "MiB", "joules", "parameters"]
    rows: list[tuple[str, list[Cell]]] = []
    for board in boards:
        duels = duels_of(board.rows)
        for row in board.rows:
            flops = row.mean("flops")
            cells: list[Cell] = [
                *((name, name) for name in (row.system, board.task, board.data, row.kind, row.budget, board.metric)),
                shown(len(row.results), 0),
                shown(row.value, digits_of(row.metric)),
                (interval(row), row.interval[0]),
                shown(skill_of(board, row.value, anchors), 3),
                (tally_of(row, duels), int(tally_of(row, duels).split("/")[0])),
                *(shown(row.mean(name), 1) for name in ("training_minutes", "training_cpu_minutes")),
                *(shown(row.mean(name), 0) for name in ("steps", "tokens", "tokens_per_second")),
                shown(None if flops is None else flops / 1e12, 1),
                *(shown(row.mean(name), 1) for name in ("decode_p50_ms", "decode_p95_ms")),
                *(shown(row.mean(name), 0) for name in ("peak_memory_mib", "energy_joules", "parameters")),
            ]
            data = f'class="{row.kind}" data-task="{row.task}" data-budget="{row.budget}" data-kind="{row.kind}"'
            rows.append((data, cells))
    return table(head, rows, texts=6, name="all")


def board_section(board: Board, anchors: Sequence[Anchor], names: Sequence[str]) -> list[str]:
    """Bars with intervals, both ends of skill, history."""
    found = [
        Bar(label(row, board), row.value, *row.interval, colour_of(row.system, names), digits_of(row.metric))
        for row in board.rows
    ]
    better = "higher" if board.rows[0].higher_is_better else "lower"
    parts = [
        f'<h2 id="{anchor_name(board)}">{escape(board.name)}</h2>',
        f"<p>{board.metric}, {better} is better; {records_of(board)}, sha256 <code>{board.sha256[:16]}</code>,"
        f" <code>{escape(board.signature)}</code></p>",
        bars(found, f"{board.name}: {board.metric} with 95 % intervals"),
    ]
    if anchor := anchor_of(board, anchors):
        ends = (("floor", anchor.floor), ("reference", anchor.reference))
        said = (
            f"<li>{name}: {number(end.on(board), digits_of(board.metric))}; {escape(end.cite)}</li>"
            for name, end in ends
        )
        parts.append("<ul>" + "".join(said) + "</ul>")
    revisions = list(dict.fromkeys(str(one["git"]) for one in by_date(board.rows)))
    if len(revisions) > 1:
        series = [
            (label(row, board), colour_of(row.system, names), values_at(row, revisions))
            for row in board.rows
            if len({one["git"] for one in row.history}) > 1
        ]
        if series:
            parts.append("<h3>History over revisions</h3>")
            parts.append(key([one[0] for one in series], [one[1] for one in series]))
            parts.append(history(series, [one[:8] for one in revisions], f"{board.name}: {board.metric} by revision"))
    return parts


def by_date(rows: Sequence[Row]) -> list[dict[str, str]]:
    """All results of a board, oldest first."""
    return sorted((one for row in rows for one in row.history), key=lambda one: (one["date"], one["digest"]))


def values_at(row: Row, revisions: Sequence[str]) -> list[float]:
    """Mean over seeds at each revision."""
    found = []
    for revision in revisions:
        values = [one["metrics"][row.metric]["value"] for one in row.history if str(one["git"]) == revision]
        found.append(float(np.mean(values)) if values else nan)
    return found


def label(row: Row, board: Board) -> str:
    """The budget too where one system stands under several."""
    several = sum(other.system == row.system for other in board.rows) > 1
    return f"{row.system} ({row.budget})" if several else row.system


def published_table(published: Sequence[Published]) -> str:
    """Rows of their own kind."""
    head = ["task", "data", "system", "metric", "value", "convention", "citation"]
    rows: list[tuple[str, list[Cell]]] = [
        (
            "",
            [
                *((one, one) for one in (entry.task, entry.data, entry.system, entry.metric)),
                (f"{entry.value:g}", entry.value),
                *((one, one) for one in (entry.convention, entry.citation)),
            ],
        )
        for entry in published
    ]
    return table(head, rows, texts=4, free=(1, 2, 5, 6))
