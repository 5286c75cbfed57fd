"""Ablations as pages: one change, several domains, one table and one plot; those that are kept are rebuilt by `show`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.boards import Board, boards_of
from benchmarks.leaderboard.charts import COLOURS, Bar, forest, key
from benchmarks.leaderboard.document import Cell, document, shown, table
from benchmarks.leaderboard.effects import OVERALL, Effect, effects_of
from benchmarks.leaderboard.markdown import machine
from benchmarks.leaderboard.markdown import table as markdown_table
from benchmarks.leaderboard.store import read_results
from core.errors import DataError

KEPT = Path(__file__).resolve().parents[1] / "ablations"
"""A folder for each: what was changed, and TASK/board/*.json."""
QUESTION = "ablation.json"
HEAD = ("change", "task", "metric", "base", "changed", "points better", "95 %", "p (Holm)", "seeds")
MEANING = (
    "Points of 100 by which the change is better than the base, with 95 % intervals of the paired bootstrap over records"
    " and seeds; p after Holm's correction over the whole table. `seeds`: how many show the difference by themselves."
    " `all` is the mean over tasks."
)


@dataclass(frozen=True)
class Question:
    """What was asked."""

    base: str
    """The config that every task has."""
    change: str
    """KEY=VALUE,VALUE as it was typed."""
    changes: tuple[str, ...]
    budget: str
    left_out: tuple[str, ...] = ()
    """What could not be, with its reason."""


@dataclass(frozen=True)
class Ablation:
    """A question and its results."""

    question: Question
    boards: tuple[Board, ...]

    @property
    def name(self) -> str:
        return f"{self.question.change} against {self.question.base}"

    @cached_property
    def effects(self) -> list[Effect]:
        return effects_of(self.boards, self.question.changes, self.question.budget)

    @property
    def measured(self) -> str:
        """Seeds, budget and machines."""
        results = [one for board in self.boards for row in board.rows for one in row.results]
        machines = "; ".join(sorted({machine(one["environment"]) for one in results}))
        seeds = ", ".join(map(str, sorted({one["seed"] for one in results})))
        revisions = ", ".join(sorted({str(one["git"]) for one in results}))
        return f"Budget {self.question.budget}, seeds {seeds}; measured on {machines}; revisions {revisions}."


def read_ablation(folder: Path) -> Ablation:
    """A folder that `write_question` and the cells wrote."""
    path = folder / QUESTION
    try:
        tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        tree |= {name: tuple(tree[name]) for name in ("changes", "left_out")}
        question = Question(**tree)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not what `benchmarks.ablate` wrote: {error}") from None
    return Ablation(question, tuple(boards_of(read_results(folder))))


def write_question(folder: Path, question: Question) -> None:
    """Beside the results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / QUESTION).write_text(json.dumps(asdict(question), indent=1) + "\n", encoding="utf-8")


def kept_ablations(folder: Path = KEPT) -> list[Ablation]:
    """In the order of their names."""
    return [read_ablation(path.parent) for path in sorted(folder.glob(f"*/{QUESTION}"))]


def markdown_page(found: Sequence[Ablation]) -> str:
    """All of them."""
    head = "# Ablations\n\nWritten by `python -m benchmarks.leaderboard show`; do not edit it. The same with plots:"
    head += f" [ablations.html](ablations.html). {MEANING}\n"
    return "\n".join([head, *(markdown_section(one) for one in found)])


def markdown_section(one: Ablation) -> str:
    """What is printed, too."""
    left_out = "".join(f"* left out: {said}\n" for said in one.question.left_out)
    rows = markdown_table(HEAD, [[said for said, _ in cells_of(effect)] for effect in one.effects])
    return f"## {one.name}\n\n{rows}\n{one.measured}\n" + (f"\n{left_out}" if left_out else "")


def html_page(found: Sequence[Ablation]) -> str:
    """All of them, with a plot each."""
    parts = ["<h1>Ablations</h1>", f"<p>{escape(MEANING.replace('`', ''))}</p>"]
    for one in found:
        rows: list[tuple[str, list[Cell]]] = [("", cells_of(effect)) for effect in one.effects]
        parts += [f"<h2>{escape(one.name)}</h2>", table(HEAD, rows, texts=3), *plot(one)]
        parts.append(f"<p>{escape(one.measured)}</p>")
        if one.question.left_out:
            parts.append(
                "<ul>" + "".join(f"<li>left out: {escape(said)}</li>" for said in one.question.left_out) + "</ul>"
            )
    return document("Transduce: ablations", parts)


def plot(one: Ablation) -> list[str]:
    """A line a task with its interval; the mean over tasks last."""
    changes = [change for change in one.question.changes if any(each.change == change for each in one.effects)]
    colours = {change: COLOURS[at % len(COLOURS)] for at, change in enumerate(changes)}
    ordered = sorted(one.effects, key=lambda each: (each.task == OVERALL, each.task, changes.index(each.change)))
    bars = [
        Bar(
            "all tasks" if each.task == OVERALL else each.task,
            each.points,
            each.low,
            each.high,
            colours[each.change],
            2,
        )
        for each in ordered
    ]
    if not bars:
        return []
    return [key(changes, list(colours.values())), forest(bars, f"{one.name}: points better, with 95 % intervals")]


def cells_of(one: Effect) -> list[Cell]:
    """One row."""
    return [
        *((said, said) for said in (one.change, one.task, one.metric)),
        *(shown(value, 2) for value in (one.base, one.value)),
        (f"{one.points:+.2f}", round(one.points, 6)),
        (f"[{one.low:+.2f}, {one.high:+.2f}]", round(one.low, 6)),
        (f"{one.p:.3f}", round(one.p, 6)),
        (f"{one.held}/{one.seeds}", one.held) if one.seeds else ("-", None),
    ]
