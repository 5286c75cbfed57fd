"""`python -m benchmarks.ablate --base CONFIG --change KEY=VALUE,VALUE --tasks all`: one change, all domains, one table.

Trains the base and each changed one on every task, with the same seeds, and says how much better each change is than the
base: in points of the task's first metric, with a 95 % interval of the paired bootstrap over records and seeds, and overall
as the mean over domains. CONFIG is the name of a config that every task has (tiny, default, ...) or the file of one of them.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.leaderboard.boards import Board, Row, boards_of
from benchmarks.leaderboard.cell import config_digest
from benchmarks.leaderboard.duels import difference_R, holm
from benchmarks.leaderboard.markdown import machine
from benchmarks.leaderboard.markdown import table as markdown_table
from benchmarks.leaderboard.matrix import Cell, Matrix, Planner
from benchmarks.leaderboard.store import read_results
from benchmarks.leaderboard.systems import CONFIGS, Budget, System, base_path, config_of, table
from core.config_toml import is_override
from core.errors import ConfigError, UserError
from core.metrics.resampling import p_value
from core.run.scoring import UNIT
from tasks import TASKS

BASE = "base"
OVERALL = "all"


@dataclass(frozen=True, slots=True)
class Effect:
    """How much better a change is than the base, in points of 100."""

    change: str
    task: str
    """Or `all`: the mean over tasks."""
    metric: str
    base: float | None
    value: float | None
    points: float
    low: float
    high: float
    p: float


def changes_of(text: str) -> list[str]:
    """KEY=V1,V2 -> KEY=V1 and KEY=V2; commas inside brackets belong to a value."""
    if not is_override(text):
        raise ConfigError(f"--change {text}: write KEY=VALUE,VALUE, such as model.positions=rotary,sinusoidal")
    key, _, values = text.partition("=")
    found = [f"{key.strip()}={value.strip()}" for value in re.split(r",(?![^\[]*\])", values)]
    if any(one.endswith("=") for one in found) or len(set(found)) < len(found):
        raise ConfigError(f"--change {text}: an empty value, or one that stands there twice")
    return found


def base_name(text: str) -> str:
    """What the base is called in every task's folder of configs."""
    path = Path(text)
    if path.suffix != ".toml":
        return text
    if not path.is_file():
        raise ConfigError(f"--base {text}: no such file")
    if path.resolve().parent.parent != CONFIGS:
        raise ConfigError(
            f"--base {text}: a name such as tiny, or a file configs/TASK/NAME.toml; every task has its own"
        )
    return path.stem


def effects_of(boards: Sequence[Board], changes: Sequence[str], budget: str) -> list[Effect]:
    """Task by task, then overall; p-values are corrected together (Holm, 1979)."""
    found: list[Effect] = []
    for change in changes:
        drawn: list[np.ndarray] = []
        for board in boards:
            rows = {row.system: row for row in board.rows if row.budget == budget}
            if BASE not in rows or change not in rows:
                continue
            effect, points_R = effect_of(rows[BASE], rows[change], change)
            found.append(effect)
            drawn.append(points_R)
        if len(drawn) > 1:
            found.append(overall(change, [one for one in found if one.change == change], drawn))
    return [replace(one, p=p) for one, p in zip(found, holm([one.p for one in found]), strict=True)]


def effect_of(base: Row, changed: Row, change: str) -> tuple[Effect, np.ndarray]:
    """One task; and its resamples. R: resamples."""
    scale = 100 if base.metric.partition("-")[0] in UNIT else 1
    points_R = scale * difference_R(changed, base)
    points = scale * (changed.value - base.value) * (1 if base.higher_is_better else -1)
    return Effect(
        change, base.task, base.metric, base.value, changed.value, points, *spread(points_R, points)
    ), points_R


def overall(change: str, own: Sequence[Effect], drawn: Sequence[np.ndarray]) -> Effect:
    """The mean over tasks; their resamples are independent of each other."""
    random = np.random.default_rng(1)
    mean_R = np.mean([random.permutation(points_R) for points_R in drawn], axis=0)
    points = float(np.mean([one.points for one in own]))
    return Effect(change, OVERALL, f"mean of {len(own)}", None, None, points, *spread(mean_R, points))


def spread(points_R: np.ndarray, points: float) -> tuple[float, float, float]:
    """95 % interval and p-value of the paired bootstrap."""
    finite = points_R[np.isfinite(points_R)]
    if not len(finite) or not np.any(finite):
        return points, points, 1.0
    low, high = (float(edge) for edge in np.percentile(finite, [2.5, 97.5]))
    return low, high, p_value(finite - finite.mean(), points)


def page(text: str, base: str, effects: Sequence[Effect], boards: Sequence[Board]) -> str:
    """What is printed, and kept."""
    rows = [
        [
            *(one.change, one.task, one.metric),
            *("" if value is None else f"{value:.2f}" for value in (one.base, one.value)),
            *(f"{one.points:+.2f}", f"[{one.low:+.2f}, {one.high:+.2f}]", f"{one.p:.3f}"),
        ]
        for one in effects
    ]
    head = ["change", "task", "metric", "base", "changed", "points better", "95 %", "p (Holm)"]
    results = [one for board in boards for row in board.rows for one in row.results]
    machines = "; ".join(sorted({machine(one["environment"]) for one in results}))
    seeds = sorted({one["seed"] for one in results})
    said = f"Seeds {', '.join(map(str, seeds))}; measured on {machines}."
    return f"# {text} against {base}\n\n{markdown_table(head, rows)}\n{said}\n"


def plan(
    planner: Planner, tasks: Sequence[str], changes: Sequence[str], seeds: int, places: Sequence[str], name: str
) -> list[Cell]:
    """A cell for every task, seed and change, and for the base; one that changes nothing is left out."""
    cells: list[Cell] = []
    for seed in range(1, seeds + 1):
        for task in tasks:
            for change in (BASE, *changes):
                cell = Cell(task, System(change), seed)
                cells.append(cell)
                try:
                    file = base_path(TASKS[task], name)
                    cell.system = replace(cell.system, file=file, overrides=() if change == BASE else (change,))
                    planner.look(cell)
                    plain = config_of(TASKS[task], replace(cell.system, overrides=()), planner.budget, seed)
                    own = config_of(TASKS[task], cell.system, planner.budget, seed)
                    if change != BASE and config_digest(own) == config_digest(plain):
                        cell.state, cell.reason = "left out", "that is the base"
                except UserError as error:
                    cell.state, cell.reason = "left out", str(error)
                    continue
                cell.words = ["--task", task, "--system", f"{change}={file}", "--budget", planner.budget.name]
                cell.words += ["--seed", str(seed), *(("--set", change) if change != BASE else ()), *places]
    return cells


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    budgets = table()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablate", description=__doc__)
    parser.add_argument("--base", required=True, metavar="CONFIG", help="tiny, default, or configs/TASK/NAME.toml")
    parser.add_argument("--change", required=True, metavar="KEY=V1,V2", help="each value is compared with the base")
    parser.add_argument("--tasks", nargs="+", default=["all"], metavar="TASK")
    parser.add_argument("--budget", choices=list(budgets), default="smoke", help="its share of the base's steps")
    parser.add_argument("--seeds", type=int, metavar="N", help="default: the budget's")
    parser.add_argument("--jobs", type=int, metavar="N", help="cells at a time; default: a core each")
    parser.add_argument("--folder", type=Path, default=Path("runs") / "ablate", help="of runs, results and the page")
    given = parser.parse_args(argv)
    try:
        return ablate(given, budgets[given.budget])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def ablate(given: argparse.Namespace, budget: Budget) -> int:
    """Train what is missing, then say what it shows."""
    changes, name = changes_of(given.change), base_name(given.base)
    tasks = TASKS.names() if given.tasks == ["all"] else list(dict.fromkeys(given.tasks))
    for one in tasks:
        TASKS.claim(one)
    seeds = budget.seeds if given.seeds is None else given.seeds
    if seeds < 1 or (given.jobs is not None and given.jobs < 1):
        raise ConfigError("--seeds and --jobs: at least 1")
    folder = given.folder / re.sub(r"[^\w.+-]+", "_", f"{name}-{given.change}")
    results = folder / "results"
    planner = Planner(TASKS, replace(budget, config=name), results, again=False)
    places = ("--runs", str(folder / "runs"), "--results", str(results))
    cells = plan(planner, tasks, changes, seeds, places, name)
    if all(cell.state == "left out" for cell in cells if cell.system.name != BASE):
        raise ConfigError(next(cell.reason for cell in cells if cell.system.name != BASE))
    code = Matrix(cells, jobs=given.jobs or len(os.sched_getaffinity(0)), devices=(), logs=folder / "logs").run()
    boards = boards_of(read_results(results))
    found = effects_of(boards, changes, budget.name)
    if not found:
        return code or 1
    text = page(given.change, name, found, boards)
    print(text, end="")
    (folder / "effects.md").write_text(text, encoding="utf-8")
    print(f"page: {folder / 'effects.md'}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
