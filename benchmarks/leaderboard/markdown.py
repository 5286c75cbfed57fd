"""docs/leaderboard.md: the board as tables, with what it shows in sentences that the results themselves give."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.leaderboard.across import FLOOR, Across, Standing
from benchmarks.leaderboard.boards import Board, Row
from benchmarks.leaderboard.cost import NOTES
from benchmarks.leaderboard.duels import FEWEST, Duel, duels_of, tally
from benchmarks.leaderboard.references import Anchor, Published, anchor_of, skill_of
from core.run.scoring import UNIT

HEAD = """# Leaderboard

Written by `python -m benchmarks.leaderboard show` from the files in `benchmarks/results/*/board/`; do not edit it. The same
as one page with plots, sorting and filters: [leaderboard/index.html](leaderboard/index.html). Train what is missing with
`python -m benchmarks.leaderboard run --budget smoke`, score your own system with `submit`: [comparing](comparing.md).

Rows compare only where the digest of the records and the metric's signature agree. Intervals are 95 % bootstraps over
records (over groups where records share one) and, where there are several, over seeds. A win is a paired bootstrap on the
same draws (Koehn, 2004) over records and seeds, at 0.05 after Holm's correction over all pairs of a board; most seeds must
show it by themselves too, after Holm's correction over seeds, and none the opposite. All else is a tie, and so is every pair
on records of fewer than six groups, which are too few to draw from. Skill is (score - floor) /
(reference - floor); both ends are below, with their sources.
"""


def markdown(
    boards: Sequence[Board],
    overall: Sequence[Across],
    anchors: Sequence[Anchor],
    published: Sequence[Published],
    remarks: str = "",
    *,
    ablations: bool = False,
) -> str:
    """The whole page."""
    parts = [HEAD, *([remarks] if remarks else [])]
    parts += ["One change, all domains: [ablations](leaderboard/ablations.md).\n"] if ablations else []
    for one in overall:
        parts += [f"## Across tasks: {one.budget}\n", shows(one), across_table(one), hardware(one)]
    for board in boards:
        parts += [f"## {board.name}\n", board_table(board, anchors), anchor_lines(board, anchors)]
    if published:
        parts += ["## Published results\n", "Printed by others under their own conventions: no rank, no test.\n"]
        parts.append(published_table(published))
    parts += ["## Costs\n", "".join(f"* `{name}`: {said}\n" for name, said in NOTES.items())]
    return "\n".join(parts)


def shows(found: Across) -> str:
    """What the results say, pair by pair."""
    names = [one.system for one in found.standings if one.system != FLOOR]
    lines = [f"What it shows, on {len(found.boards)} tasks ({', '.join(board.task for board in found.boards)}):\n"]
    pairs = [(left, right) for at, left in enumerate(names) for right in names[at + 1 :]]
    lines += [f"* {said}" for left, right in pairs if (said := pair_sentence(found, left, right))]
    for name in names:
        lost = [
            duel.left.task
            for _, duel in found.duels
            for one, other in ((duel.left, duel.right), (duel.right, duel.left))
            if one.system == name and other.kind == "floor" and duel.winner is not one
        ]
        if lost:
            lines.append(f"* {name} is not shown to beat every trivial system on {', '.join(sorted(set(lost)))}.")
    if found.critical_difference is not None:
        lines.append(
            f"* Mean ranks over {len(found.ranked_tasks)} tasks differ beyond chance where they are"
            f" {found.critical_difference:.2f} apart (Nemenyi)."
        )
    return "\n".join(lines) + "\n"


def pair_sentence(found: Across, left: str, right: str) -> str:
    """Where one of two systems is shown to be better."""
    own = [(task, duel) for task, duel in found.duels if {duel.left.system, duel.right.system} == {left, right}]
    if not own:
        return ""
    won = {name: [task for task, duel in own if duel.winner and duel.winner.system == name] for name in (left, right)}
    level = [task for task, duel in own if duel.winner is None]
    parts = [f"{name} is better on {', '.join(won[name])}" for name in (left, right) if won[name]]
    if level:
        parts.append(f"no difference is shown on {', '.join(level)}")
    return f"{left} against {right}: {'; '.join(parts)}."


def across_table(found: Across) -> str:
    """Systems down, tasks across."""
    tasks = [board.task for board in found.boards]
    head = ["system", "tasks", "mean rank", "mean skill", "wins", "ties", "losses", "minutes", *tasks]
    rows = [standing_cells(one, tasks) for one in found.standings]
    return table(head, rows)


def standing_cells(one: Standing, tasks: Sequence[str]) -> list[str]:
    """One row; skill task by task."""
    counts = [str(one.wins), str(one.ties), str(one.losses)]
    skills = [number(one.skills.get(task), 3) for task in tasks]
    return [
        one.system,
        str(len(one.skills)),
        number(one.rank, 2),
        number(one.skill, 3),
        *counts,
        number(one.minutes, 1),
        *skills,
    ]


def board_table(board: Board, anchors: Sequence[Anchor]) -> str:
    """Systems down, best first."""
    duels = duels_of(board.rows)
    counts = {id(row): tally_of(row, duels) for row in board.rows}
    head = ["system", "kind", "budget", "seeds", board.metric, "95 %", "skill", "W/T/L", "minutes", "CPU min"]
    head += ["tokens/s", "p50 ms", "p95 ms", "MiB", "parameters"]
    rows = [
        [
            *(
                row.system,
                row.kind,
                row.budget,
                str(len(row.results)),
                number(row.value, digits_of(row.metric)),
                interval(row),
            ),
            *(number(skill_of(board, row.value, anchors), 3), counts[id(row)]),
            *(number(row.mean(name), 1) for name in ("training_minutes", "training_cpu_minutes")),
            number(row.mean("tokens_per_second"), 0),
            *(number(row.mean("decode_p50_ms"), 1), number(row.mean("decode_p95_ms"), 1)),
            *(number(row.mean("peak_memory_mib"), 0), number(row.mean("parameters"), 0)),
        ]
        for row in board.rows
    ]
    said = f"{records_of(board)}, sha256 `{board.sha256[:16]}`, `{board.signature}`\n"
    return said + "\n" + table(head, rows)


def records_of(board: Board) -> str:
    """How many, and in how many groups where some share one."""
    units = board.rows[0].units
    groups = "" if units == board.n else f" in {units:,} groups"
    return f"{board.n:,} records{groups}" + (": too few to test differences" if units < FEWEST else "")


def tally_of(row: Row, duels: Sequence[Duel]) -> str:
    """Wins/ties/losses."""
    own = [one for one in duels if row is one.left or row is one.right]
    return "/".join(map(str, tally([row], own)[row.system]))


def anchor_lines(board: Board, anchors: Sequence[Anchor]) -> str:
    """Both ends of skill."""
    anchor = anchor_of(board, anchors)
    if anchor is None:
        return "No ends of skill are committed for this data set.\n"
    lines = [
        f"* {name}: {number(end.on(board), digits_of(board.metric))}{f' (`{end.system}`)' if end.system else ''}; {end.cite}\n"
        for name, end in (("floor", anchor.floor), ("reference", anchor.reference))
    ]
    return "".join(lines)


def published_table(published: Sequence[Published]) -> str:
    """Each with its convention and citation."""
    head = ["task", "data", "system", "metric", "value", "convention", "citation"]
    rows = [
        [one.task, one.data, one.system, one.metric, f"{one.value:g}", one.convention, one.citation]
        for one in published
    ]
    return table(head, rows)


def hardware(found: Across) -> str:
    """Where it was measured."""
    results = [one for board in found.boards for row in board.rows if row.budget == found.budget for one in row.results]
    machines = sorted({machine(one["environment"]) for one in results})
    revisions = sorted({str(one["git"]) for one in results})
    return f"Measured on {'; '.join(machines)}; revisions {', '.join(revisions)}.\n"


def machine(environment: dict[str, object]) -> str:
    """In words."""
    parts = ("hardware", "device", "precision", "threads")
    hardware, device, precision, threads = (environment.get(name) for name in parts)
    return f"{hardware} ({device}, {precision}, {threads} threads)"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in one) + " |\n" for one in lines)


def number(value: float | None, digits: int) -> str:
    """A dash where there is none; no sign before a nought."""
    if value is None:
        return "-"
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def digits_of(metric: str) -> int:
    """Metrics between 0 and 1 have three, percentages two."""
    return 3 if metric.partition("-")[0] in UNIT else 2


def interval(row: Row) -> str:
    """[low, high]"""
    low, high = (number(edge, digits_of(row.metric)) for edge in row.interval)
    return f"[{low}, {high}]"
