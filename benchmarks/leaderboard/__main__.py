"""`python -m benchmarks.leaderboard run | show | submit | score`; each says more with --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.leaderboard.store import RESULTS
from benchmarks.leaderboard.systems import FLOORS, chosen, config_of, table
from core.errors import ConfigError, UserError
from tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    """All verbs."""
    root = argparse.ArgumentParser(prog="python -m benchmarks.leaderboard", description=__doc__)
    verbs = root.add_subparsers(dest="verb", required=True)
    budgets = list(table()[0])
    run = verbs.add_parser("run", help="train and score systems on tasks; finished cells are left alone")
    run.add_argument("--tasks", nargs="+", default=["all"], metavar="TASK", help="default: all, those of plugins too")
    run.add_argument(
        "--systems", nargs="+", default=[], metavar="SYSTEM", help=f"of systems.toml, {FLOORS}, CONFIG.toml"
    )
    run.add_argument("--budget", choices=budgets, default="smoke")
    run.add_argument("--seeds", type=int, metavar="N", help="default: the budget's")
    run.add_argument("--jobs", type=int, metavar="N", help="cells at a time; default: a core (or device) each")
    run.add_argument(
        "--devices",
        nargs="+",
        default=[],
        metavar="DEVICE",
        help="share cells among them: cuda:0 cuda:1; default: all GPUs",
    )
    run.add_argument("--again", action="store_true", help="finished cells too, as further points of their history")
    cell = verbs.add_parser("cell", help="one cell, in this process (what `run` starts)")
    cell.add_argument("--task", required=True)
    cell.add_argument("--system", required=True)
    cell.add_argument("--budget", choices=budgets, required=True)
    cell.add_argument("--seed", type=int, default=1)
    cell.add_argument("--device", default="")
    cell.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="over its config")
    for one in (run, cell):
        one.add_argument("--runs", type=Path, default=Path("runs") / "leaderboard", help="where run folders are")
    for name, what in (("submit", "score anyone's outputs and add a row"), ("score", "the same without a row")):
        given = verbs.add_parser(name, help=what)
        given.add_argument("--task", required=True)
        given.add_argument("--system", required=name == "submit", default="outputs")
        given.add_argument("--predictions", type=Path, required=True, help="JSONL with id and output, or plain lines")
        given.add_argument(
            "--budget", choices=budgets, default="smoke", help="which board: the test data of its config"
        )
        given.add_argument("--data", type=Path, help="other references: a file or a folder")
        given.add_argument("--config", type=Path, help="the config that says how the data is read")
    show = verbs.add_parser("show", help="write docs/leaderboard.md and docs/leaderboard/index.html")
    show.add_argument("--docs", type=Path, default=ROOT / "docs", help="where to")
    show.add_argument("--check", action="store_true", help="write nothing; exit 1 if the pages differ")
    for one in verbs.choices.values():
        one.add_argument("--results", type=Path, default=RESULTS, help="where results are")
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 a cell failed or a page differs, 2 usage or config, 3 data, 130 stopped."""
    given = parser().parse_args(argv)
    try:
        return {"run": run, "cell": cell, "submit": score, "score": score, "show": show}[given.verb](given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def run(given: argparse.Namespace) -> int:
    """The matrix."""
    from benchmarks.leaderboard.matrix import Matrix, Planner, gpus

    budget = table()[0][given.budget]
    tasks = TASKS.names() if given.tasks == ["all"] else list(dict.fromkeys(given.tasks))
    for name in tasks:
        TASKS.claim(name)
    systems = chosen(given.systems)
    seeds = budget.seeds if given.seeds is None else given.seeds
    if seeds < 1 or (given.jobs is not None and given.jobs < 1):
        raise ConfigError("--seeds and --jobs: at least 1")
    print("reading the tasks' data, to see what is done", file=sys.stderr)
    cells = Planner(TASKS, budget, given.results, again=given.again).cells(tasks, systems, seeds)
    for one in cells:
        word = f"{one.system.name}={one.system.file}" if one.system.file else one.system.name
        places = ("--runs", str(given.runs), "--results", str(given.results))
        one.words = [
            "--task",
            one.task,
            "--system",
            word,
            "--budget",
            budget.name,
            "--seed",
            str(one.seed or 1),
            *places,
        ]
    devices = given.devices or gpus()
    jobs = given.jobs or len(devices) or len(os.sched_getaffinity(0))
    return Matrix(cells, jobs=jobs, devices=devices, logs=given.runs / "logs").run()


def cell(given: argparse.Namespace) -> int:
    """One cell; its last line is what the matrix shows."""
    from benchmarks.leaderboard.cell import TAKEN, CellFailed, CellTaken, floor_cells, train_cell
    from benchmarks.leaderboard.matrix import said_of

    task = TASKS[given.task]
    budget = table()[0][given.budget]
    system = replace(chosen([given.system])[0], overrides=tuple(given.set))
    cfg = config_of(task, system, budget, given.seed, given.device)
    try:
        if system.name == FLOORS:
            written = floor_cells(task, cfg, budget=budget.name, results=given.results)
        else:
            names = {"system": system.name, "budget": budget.name}
            written = [train_cell(task, cfg, **names, runs=given.runs, results=given.results)]
    except CellFailed as failed:
        return failed.code
    except CellTaken as taken:
        print(f"error: {taken}", file=sys.stderr)
        return TAKEN
    print("; ".join(said_of(path) for path in written))
    return 0


def score(given: argparse.Namespace) -> int:
    """Anyone's outputs."""
    from benchmarks.leaderboard.given import scored, submit

    task, budget = TASKS[given.task], table()[0][given.budget]
    result = scored(task, given.system, given.predictions, budget, data=given.data, config=given.config)
    if given.verb == "submit":
        print(f"row: {submit(result, given.results)}")
    return 0


def show(given: argparse.Namespace) -> int:
    """The pages."""
    from benchmarks.leaderboard.pages import pages

    stale = []
    for name, text in pages(given.results).items():
        path = given.docs / name
        if given.check:
            if not path.is_file() or path.read_bytes() != text.encode():
                stale.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        print(path)
    if stale:
        print(
            f"error: {', '.join(stale)}: not what the results give; python -m benchmarks.leaderboard show",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
