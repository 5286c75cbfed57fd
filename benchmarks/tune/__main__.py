"""`python -m benchmarks.tune CONFIG --space SPACE.toml --trials N`: search settings of a config by the first metric on dev.

Every trial is an ordinary run folder; the report says which was best, how the study went, and what mattered. Whatever stops it,
the same command goes on, and a greater --trials adds some. The test split is never touched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.cli import exit_code
from core.errors import ConfigError, Interrupted, UserError
from core.nearest import did_you_mean
from core.train.signals import AskedToStop, ending_cleanly

PRUNERS = ("median", "none")


def parser() -> argparse.ArgumentParser:
    """The flags."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.tune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument(
        "config", type=Path, metavar="CONFIG", help="the config that trials change, such as configs/roman/tiny.toml"
    )
    found.add_argument(
        "--space", type=Path, required=True, metavar="SPACE.toml", help="what may be chosen (docs/tuning.md)"
    )
    found.add_argument("--trials", type=int, required=True, metavar="N", help="in all, those of earlier calls included")
    found.add_argument("--task", help="default: the name of CONFIG's folder")
    found.add_argument("--output", type=Path, metavar="DIR", help="default: runs/tune/TASK-CONFIG-SPACE")
    found.add_argument("--seed", type=int, default=1, help="of what is drawn; the trials' own is the config's")
    found.add_argument(
        "--pruner",
        choices=PRUNERS,
        default="median",
        help="end trials that are worse than the median trial was at that step",
    )
    found.add_argument(
        "--prune-after", type=int, default=4, metavar="N", help="so many trials end before any is pruned"
    )
    found.add_argument("--report-only", action="store_true", help="train nothing: write the report of what is there")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 no trial came to its end, 2 usage or config, 3 data, 130 stopped."""
    given = parser().parse_args(argv)
    try:
        with ending_cleanly():
            return tune(given)
    except Interrupted as stop:
        print("the same command goes on", file=sys.stderr)
        return exit_code(stop.signal_number)
    except AskedToStop as stop:
        print(f"{stop}; the same command goes on", file=sys.stderr)
        return exit_code(stop.signal_number)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def tune(given: argparse.Namespace) -> int:
    """Check everything, then search, then report; the report is written where a signal ends the search, too."""
    from benchmarks.tune.space import read_space
    from benchmarks.tune.study import Plan, base_tree, first_metric, library, opened, search
    from core.train.lock import alone

    if given.trials < 1 or given.prune_after < 1:
        raise ConfigError("--trials and --prune-after: at least 1")
    if given.seed < 0:
        raise ConfigError(f"--seed {given.seed}: at least 0")
    task = task_of(given)
    kind, base = base_tree(task, given.config)
    space = read_space(given.space, kind, base)
    output = given.output or Path("runs") / "tune" / f"{task.name}-{given.config.stem}-{given.space.stem}"
    if given.report_only and not (output / "study.db").is_file():
        raise ConfigError(f"--report-only: {output} holds no study")
    library()
    plan = Plan(task, kind, base, space, output, given.trials, given.seed, given.pruner, given.prune_after)
    better = first_metric(plan).higher_is_better
    study = opened(plan, higher_is_better=better)
    with alone(output):
        try:
            if not given.report_only:
                search(plan, study)
        finally:
            from benchmarks.tune.report import write

            said = write(plan, study)
    print(said)
    return 0 if (output / "best.toml").is_file() else 1


def task_of(given: argparse.Namespace) -> Any:
    """`--task`, or the folder that CONFIG is in."""
    from tasks import TASKS

    if not given.config.is_file():
        raise ConfigError(f"{given.config}: no such file")
    name = given.task or given.config.resolve().parent.name
    if name not in TASKS.names():
        why = "no such task" if given.task else "the config's folder has no task's name: add --task NAME"
        raise ConfigError(f"{name}: {why}{did_you_mean(name, TASKS.names())}; there are {', '.join(TASKS.names())}")
    return TASKS[name]


if __name__ == "__main__":
    sys.exit(main())
