"""`python -m benchmarks.ablate --base CONFIG --change KEY=VALUE,VALUE --tasks all`: one change, all domains, one table.

Trains the base and each changed one on every task, with the same seeds, and says how much better each change is than the
base: in points of the task's first metric, with a 95 % interval of the paired bootstrap over records and seeds, and overall
as the mean over domains. CONFIG is the name of a config that every task has (tiny, default, ...) or the file of one of them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.leaderboard.ablations import KEPT, Question, html_page, markdown_section, read_ablation, write_question
from benchmarks.leaderboard.cell import config_digest
from benchmarks.leaderboard.effects import BASE
from benchmarks.leaderboard.matrix import Cell, Matrix, Planner, gpus
from benchmarks.leaderboard.systems import CONFIGS, Budget, System, base_path, config_of, table
from core.config_toml import is_override
from core.errors import ConfigError, UserError
from tasks import TASKS


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
    parser.add_argument("--jobs", type=int, metavar="N", help="cells at a time; default: a core (or GPU) each")
    parser.add_argument("--folder", type=Path, default=Path("runs") / "ablate", help="of runs, results and the page")
    parser.add_argument("--keep", action="store_true", help="into the tree, for the page of all ablations")
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
    devices = gpus()
    jobs = given.jobs or len(devices) or len(os.sched_getaffinity(0))
    code = Matrix(cells, jobs=jobs, devices=devices, logs=folder / "logs").run()
    left_out = dict.fromkeys(
        f"{cell.task}, {cell.system.name}: {cell.reason}" for cell in cells if cell.state == "left out"
    )
    write_question(results, Question(name, given.change, tuple(changes), budget.name, tuple(left_out)))
    found = read_ablation(results)
    if not found.effects:
        return code or 1
    text = markdown_section(found)
    print(text, end="")
    for ending, page in (("md", text), ("html", html_page([found]))):
        (folder / f"effects.{ending}").write_text(page, encoding="utf-8")
    print(f"pages: {folder / 'effects.md'}, {folder / 'effects.html'}", file=sys.stderr)
    if given.keep:
        kept = KEPT / folder.name
        shutil.copytree(results, kept, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)
        print(f"kept: {kept}; python -m benchmarks.leaderboard show", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
