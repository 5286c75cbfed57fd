"""docs/leaderboard/index.html: one static page, with nothing to load; tables sort and filter, plots are inline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import nan

import numpy as np

from benchmarks.leaderboard.across import Across
from benchmarks.leaderboard.boards import Board, Row, duels_of
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
from benchmarks.leaderboard.markdown import digits_of, hardware, interval, number, pair_sentence, tally_of
from benchmarks.leaderboard.references import Anchor, Published, anchor_of, skill_of

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:1.5rem auto;padding:0 1rem;color:#222;background:#fff}
h1,h2,h3{line-height:1.2}h2{margin-top:2.2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}
th,td{padding:.28rem .6rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th.text,td.text{text-align:left}td.free{white-space:normal}
th button{font:inherit;font-weight:600;background:none;border:0;padding:0;cursor:pointer;color:inherit}
th[aria-sort=ascending] button::after{content:" \\25B2"}th[aria-sort=descending] button::after{content:" \\25BC"}
tr.floor{color:#666}tr.submitted td:first-child::after{content:" (submitted)"}
.tools{display:flex;gap:1rem;flex-wrap:wrap;margin:.5rem 0 1rem}.key i{display:inline-block;width:.8em;height:.8em;margin-right:.3em}
.key{margin-right:1em;white-space:nowrap}svg{max-width:100%;height:auto}code{font-size:12px}
"""
SCRIPT = """
for(const table of document.querySelectorAll("table.sorts")){
 const heads=[...table.tHead.rows[0].cells];
 heads.forEach((head,at)=>head.querySelector("button").addEventListener("click",()=>{
  const up=head.getAttribute("aria-sort")!=="ascending",body=table.tBodies[0];
  heads.forEach(one=>one.removeAttribute("aria-sort"));head.setAttribute("aria-sort",up?"ascending":"descending");
  const of=row=>row.cells[at].dataset.value,empty=row=>of(row)==="";
  const rows=[...body.rows].sort((a,b)=>{
   if(empty(a)||empty(b))return empty(a)-empty(b);
   const x=Number(of(a)),y=Number(of(b)),n=isNaN(x)||isNaN(y)?of(a).localeCompare(of(b)):x-y;return up?n:-n});
  body.append(...rows)}));
}
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
Cell = tuple[str, str | float | None]
"""What is shown, and what it sorts by."""


def webpage(
    boards: Sequence[Board],
    overall: Sequence[Across],
    anchors: Sequence[Anchor],
    published: Sequence[Published],
    remarks: str = "",
) -> str:
    """The whole page."""
    names = sorted({row.system for board in boards for row in board.rows})
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>Transduce: leaderboard</title>',
        f"<style>{STYLE}</style></head><body><h1>Leaderboard</h1>",
        "<p>Rebuilt from result files by <code>python -m benchmarks.leaderboard show</code>. Rows compare only where the"
        " digest of the records and the metric's signature agree. Intervals are 95 % bootstraps; wins, ties and losses are"
        " paired bootstraps at 0.05 after Holm's correction. Skill = (score - floor) / (reference - floor).</p>",
    ]
    parts += [f"<p>{escape(remarks.strip())}</p>"] if remarks else []
    for one in overall:
        parts += across_section(one, names)
    parts += ["<h2>All rows</h2>", filters(boards), all_rows(boards, anchors)]
    for board in boards:
        parts += board_section(board, anchors, names)
    if published:
        parts += ["<h2>Published results</h2><p>Printed by others under their own conventions: no rank, no test.</p>"]
        parts.append(published_table(published))
    notes = "".join(f"<li><code>{escape(name)}</code>: {escape(said)}</li>" for name, said in NOTES.items())
    parts += ["<h2>Costs</h2>", f"<ul>{notes}</ul>", f"<script>{SCRIPT}</script></body></html>\n"]
    return "\n".join(parts)


def across_section(found: Across, names: Sequence[str]) -> list[str]:
    """Standings, the critical-difference diagram, skill by cost."""
    tasks = [board.task for board in found.boards]
    head = ["system", "mean rank", "mean skill", "wins", "ties", "losses", "minutes", *tasks]
    rows: list[tuple[str, list[Cell]]] = [
        (
            "",
            [
                *((one.system, one.system), shown(one.rank, 2), shown(one.skill, 3)),
                *(shown(count, 0) for count in (one.wins, one.ties, one.losses)),
                *(shown(one.minutes, 1), *(shown(one.skills.get(task), 3) for task in tasks)),
            ],
        )
        for one in found.standings
    ]
    parts = [f"<h2>Across tasks: {escape(found.budget)}</h2>", table(head, rows, texts=1)]
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
    points = [
        Point(f"{one.system}, {task}", minutes, skill, colour_of(one.system, names))
        for one in found.standings
        for board in found.boards
        for task in [board.task]
        for row in board.rows
        if row.system == one.system and row.budget == found.budget
        if (skill := one.skills.get(task)) is not None and (minutes := row.mean("training_minutes"))
    ]
    if points:
        shown_names = [one for one in systems if any(point.name.startswith(f"{one}, ") for point in points)]
        parts += ["<h3>Skill by cost</h3>", key(shown_names, [colour_of(one, names) for one in shown_names])]
        parts.append(scatter(points, "training minutes", "skill", "Skill by training minutes, a point a task"))
    parts.append(f"<p>{escape(hardware(found))}</p>")
    return parts


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
    head = ["system", "task", "data", "kind", "budget", "metric", "seeds", "score", "95 %", "skill", "W/T/L", "minutes"]
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
                shown(row.mean("training_minutes"), 1),
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
        f"<h2>{escape(board.name)}</h2>",
        f"<p>{board.metric}, {better} is better; {board.n:,} records, sha256 <code>{board.sha256[:16]}</code>,"
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
    return table(head, rows, texts=4, free=(5, 6))


def table(
    head: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Cell]]],
    *,
    texts: int,
    name: str = "",
    free: Sequence[int] = (),
) -> str:
    """Sorts by a click on a heading; the first columns are text."""

    def kind(at: int) -> str:
        return ' class="text free"' if at in free else ' class="text"' if at < texts else ""

    titles = "".join(f'<th scope="col"{kind(at)}><button>{escape(one)}</button></th>' for at, one in enumerate(head))
    lines = []
    for attributes, cells in rows:
        inner = "".join(
            f'<td{kind(at)} data-value="{escape("" if value is None else str(value))}">{escape(said)}</td>'
            for at, (said, value) in enumerate(cells)
        )
        lines.append(f"<tr {attributes}>{inner}</tr>" if attributes else f"<tr>{inner}</tr>")
    identity = f' id="{name}"' if name else ""
    body = "\n".join(lines)
    return (
        f'<div class="wide"><table class="sorts"{identity}><thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody>'
        "</table></div>"
    )


def shown(value: float | None, digits: int) -> Cell:
    """A number in its cell."""
    return number(value, digits), None if value is None else round(value, 6)
