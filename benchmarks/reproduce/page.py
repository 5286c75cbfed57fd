"""docs/results.md, from the recipes and the recorded results alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.markdown import digits_of, machine, table
from benchmarks.reproduce.recipes import Recipe, published_of
from benchmarks.reproduce.results import KEPT, Result, recorded, variants
from benchmarks.reproduce.telling import figure, goal_of, minutes, printed, said_seeds, trivial

HEAD = """# Results beside published ones

Written by `python -m benchmarks.reproduce --page` from `benchmarks/results/reproduce/` and `benchmarks/references/`; do not edit it.

A recipe is one config and one command, trained from scratch on nothing but its set, chosen on dev alone. A figure is the mean over
seeds; its interval is where 95 % of the figures lie that a draw of a seed, then of records (of whole groups, where records share one)
would give, so that another run of the recipe may be expected there. `python -m benchmarks.reproduce TASK/SET data.path=FOLDER` trains
it in your run folder and says whether it is; FOLDER holds the set as JSON lines (`train.jsonl`, `dev.jsonl`, gzipped or not). Minutes are
of one seed: training with its evaluations, and the answers at the end. What others printed stands under its own convention; where that
is on a test set, and the figure here on dev, the two are near each other and no more.
"""
NOT_YET = "not recorded yet"


def written(recipes: Sequence[Recipe], folder: Path = KEPT) -> str:
    """The whole page."""
    parts = [HEAD]
    for task in dict.fromkeys(one.task for one in recipes):
        own = [one for one in recipes if one.task == task]
        parts += [f"## {task}\n", overview(own, folder)]
        parts += [section(one, found, folder) for one in own if (found := recorded(one, folder)) is not None]
    return "\n".join(parts)


def overview(recipes: Sequence[Recipe], folder: Path) -> str:
    """A line for each goal."""
    rows: list[list[str]] = []
    for recipe in recipes:
        found = recorded(recipe, folder)
        best = "; ".join(f"{one.value:g} on {one.data} ({one.system})" for one in published_of(recipe)) or "-"
        for metric, goal in recipe.goals.items():
            if found is None:
                cells = [NOT_YET, f"{goal:g}", f"{recipe.minutes:g} at most, {recipe.machine}"]
            else:
                one = found["metrics"][metric]
                cells = [figure(metric, one), goal_of(recipe, metric, one), minutes(found["seeds"])]
            rows.append([f"`{recipe.name}`", recipe.split, metric, *cells, best])
            best = "-"  # what others printed goes with the first goal
    return table(["set", "split", "metric", "reached", "goal", "minutes", "published"], rows)


def section(recipe: Recipe, found: Result, folder: Path) -> str:
    """All that is known of a recipe that was trained."""
    data, seeds = found["data"], found["seeds"]
    of = "" if data["n"] == data["of"] else f" of {data['of']:,}, the first by hashed key"
    environments = sorted({machine(one["environment"]) for one in seeds})
    revisions = sorted({str(one["environment"]["git"]) for one in seeds})
    lines = [
        f"### {recipe.title}\n",
        f"{recipe.says}\n",
        f"`python -m benchmarks.reproduce {recipe.title} data.path=FOLDER --seeds {len(seeds)}`; {said_seeds(seeds)},"
        f" {seeds[0]['parameters']:,} parameters, {minutes(seeds)} on {'; '.join(environments)}; revision"
        f" {', '.join(revisions)}. {data['training records']:,} training records (sha256 `{data['train'][:16]}`),"
        f" {data['n']:,} of {data['split']}{of} (`{data['sha256'][:16]}`).\n",
        scores(found),
        "".join(
            f"* {metric}: `{found['metrics'][metric]['signature']}`{counts(metric, seeds)}\n" for metric in recipe.goals
        ),
        "".join(f"* published: {printed(one)}\n" for one in published_of(recipe)),
    ]
    own = [one for one in variants(recipe, folder) if one["data"]["sha256"] == data["sha256"]]
    lines += [ablation(recipe, found, own)] if own else []
    remarks = folder / recipe.task / f"{recipe.name}.md"
    lines += [remarks.read_text(encoding="utf-8")] if remarks.is_file() else []
    return "\n".join(lines)


def counts(metric: str, seeds: Sequence[dict[str, Any]]) -> str:
    """What the metric is made of, where it is counts: hits of records; substitutions, deletions, insertions and words."""
    sums = [one["sums"][metric] for one in seeds]
    if len(sums[0]) > 4 or any(value % 1 for own in sums for value in own):
        return ""
    return ", from " + "; ".join(", ".join(f"{value:,.0f}" for value in own) for own in sums)


def scores(found: Result) -> str:
    """Every metric, on all records and on parts of them."""
    names = list(found["metrics"])
    rows = [["all", f"{found['data']['n']:,}", *(figure(name, found["metrics"][name]) for name in names)]]
    for part, metrics in found["parts"].items():
        n = next(iter(metrics.values()))["n"]
        rows.append([part, f"{n:,}", *(figure(name, metrics[name]) if name in metrics else "-" for name in names)])
    for part, systems in found["against"][0].items():
        for system, own in systems.items():
            cells = [trivial(name, own[name]) if name in own else "-" for name in names]
            rows.append([f"{part}: `{system}`", "", *cells])
    return table(["records", "number", *names], rows)


def ablation(recipe: Recipe, found: Result, own: Sequence[Result]) -> str:
    """The recipe with one thing changed, line by line: what each ingredient gave, and what did not help."""
    names = list(recipe.goals)
    rows = [["the recipe", said_seeds(found["seeds"]), *(figure(name, found["metrics"][name]) for name in names)]]
    rows += [
        [
            ", ".join(f"`{change}`" for change in one["changes"]),
            said_seeds(one["seeds"]),
            *(changed(name, one, found) for name in names),
        ]
        for one in own
    ]
    return "What its ingredients gave:\n\n" + table(["changed", "trained", *names], rows)


def changed(name: str, one: Result, found: Result) -> str:
    """The figure, and how far it is from the recipe's."""
    mine: dict[str, Any] | None = one["metrics"].get(name)
    if mine is None:
        return "-"
    return f"{figure(name, mine)} ({mine['value'] - found['metrics'][name]['value']:+.{digits_of(name)}f})"
