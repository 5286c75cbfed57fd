"""`python -m benchmarks.reproduce TASK/SET data.path=FOLDER [key=value ...]`: train a recipe, score it, and say what it reached.

A recipe is configs/TASK/SET.toml, trained as any run is, in runs/reproduce, and scored where and how its entry in
benchmarks/references/TASK.toml says: beside what others have printed, its goal, and the interval that is recorded for it in
benchmarks/results/reproduce. Ctrl-C saves; the same command goes on. key=value changes the recipe: then there is nothing to compare
with, but --record keeps it beside the recipe, as part of its ablation. --list names the recipes.

Exit codes: 0 inside the recorded interval (or recorded now), 1 outside of it, 2 usage, 3 data, 4 numbers, 5 nothing to compare
with (no record, another recipe, data or convention), 130 stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.leaderboard.references import REFERENCES
from benchmarks.reproduce.page import written
from benchmarks.reproduce.recipes import Recipe, read_recipes, recipe_of
from benchmarks.reproduce.results import KEPT, Result, compared, file_of, recorded, result_of
from benchmarks.reproduce.running import Asked, TrainingEnded, one_seed, say
from benchmarks.reproduce.telling import listed, told
from core.cli import exit_code
from core.config_toml import is_override
from core.errors import ConfigError, UserError
from core.run.folder import write_json, write_text
from core.train.durable import made
from core.train.signals import AskedToStop, ending_cleanly
from tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE, NOTHING_TO_COMPARE = 1, 5


def parser() -> argparse.ArgumentParser:
    """The flags."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("words", nargs="*", metavar="TASK/SET | key=value", help="a recipe, and what is to differ")
    found.add_argument("--list", action="store_true", help="name the recipes, their goals and what they reached")
    found.add_argument("--seed", type=int, metavar="N", help="the first seed; default: the config's")
    found.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="so many, one after the other; default: 1, to --record what its minutes allow",
    )
    found.add_argument(
        "--split", choices=("dev", "test"), help="where the figures are taken; default: as the recipe says"
    )
    found.add_argument("--output", type=Path, metavar="FILE", help="the result; default: runs/reproduce/TASK/SET.json")
    found.add_argument("--record", action="store_true", help="keep the result as what this recipe reaches")
    found.add_argument("--runs", type=Path, default=Path("runs") / "reproduce", metavar="FOLDER", help="of run folders")
    found.add_argument("--results", type=Path, default=KEPT, metavar="FOLDER", help="of recorded results")
    found.add_argument(
        "--references", type=Path, default=REFERENCES, metavar="FOLDER", help="of recipes: TASK.toml, and TASK/SET.toml"
    )
    found.add_argument("--docs", type=Path, default=ROOT / "docs", metavar="FOLDER", help="where results.md is")
    page = found.add_mutually_exclusive_group()
    page.add_argument("--page", action="store_true", help="train nothing: write docs/results.md from what is recorded")
    page.add_argument(
        "--check", action="store_true", help="write nothing: exit 1 if results.md is not what is recorded"
    )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    given = parser().parse_intermixed_args(argv)
    try:
        with ending_cleanly():
            return run(given)
    except AskedToStop as stopped:
        print(f"\n{stopped}; the same command goes on", file=sys.stderr)
        return exit_code(stopped.signal_number)
    except TrainingEnded as ended:
        if ended.code == exit_code(2):
            print("the same command goes on", file=sys.stderr)
        return ended.code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def run(given: argparse.Namespace) -> int:
    """What was asked for."""
    recipes = read_recipes(given.references)
    page_path = given.docs / "results.md"
    if given.list:
        print(listed(recipes, given.results))
        return 0
    if given.page:
        write_text(page_path, written(recipes, given.results))
        print(page_path)
        return 0
    if given.check:
        if page_path.is_file() and page_path.read_text(encoding="utf-8") == written(recipes, given.results):
            return 0
        print(f"error: {page_path.name}: not what is recorded; --page renews it", file=sys.stderr)
        return 1
    asked, seeds = asked_for(given, recipes)
    return reproduced(asked, seeds, given)


def asked_for(given: argparse.Namespace, recipes: Sequence[Recipe]) -> tuple[Asked, list[int]]:
    """The recipe with its changes, and the seeds; everything is checked before anything is trained."""
    names = [word for word in given.words if not is_override(word)]
    if len(names) != 1:
        what = f"{names[1]}: one recipe at a time" if names else "which recipe? Name one, as --list shows them"
        raise ConfigError(what)
    if given.seeds is not None and given.seeds < 1:
        raise ConfigError(f"--seeds {given.seeds}: at least 1")
    if given.output is not None and not given.output.resolve().parent.is_dir():
        raise ConfigError(f"--output {given.output}: no such folder {given.output.parent}")
    recipe = recipe_of(names[0], recipes)
    settings = tuple(word for word in given.words if is_override(word))
    asked = Asked(TASKS[recipe.task], recipe, settings, given.split or recipe.split, given.runs)
    first, _ = asked.config(given.seed).config.seed, asked.asked_alone
    return asked, list(range(first, first + (given.seeds or (recipe.seeds if given.record else 1))))


def reproduced(asked: Asked, seeds: Sequence[int], given: argparse.Namespace) -> int:
    """Train, score, write, compare."""
    recipe, found = asked.recipe, []
    for number, seed in enumerate(seeds, start=1):
        say(f"{recipe.title}: seed {seed} ({number} of {len(seeds)})")
        found.append(one_seed(asked, seed))
    result: Result = result_of(recipe, found, changes=asked.changes(), digest=asked.digest())
    output = given.output or given.runs / recipe.task / f"{recipe.name}.json"
    made(output.resolve().parent)
    write_json(output, result)
    kept = recorded(recipe, given.results)
    beside = compared(result, kept, list(recipe.goals))
    print(told(recipe, result, kept, beside))
    say(f"result: {output}")
    if given.record:
        path = file_of(recipe, result["changes"], given.results)
        made(path.parent)
        write_json(path, result)
        say(f"recorded: {path}; python -m benchmarks.reproduce --page renews the page")
        return 0
    if beside.why_not:
        return NOTHING_TO_COMPARE
    return 0 if beside.inside else OUTSIDE


if __name__ == "__main__":
    sys.exit(main())
