"""What the command prints: the figures beside the record, the goal and what others have printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.markdown import digits_of, machine
from benchmarks.leaderboard.references import Published
from benchmarks.reproduce.recipes import Recipe, published_of
from benchmarks.reproduce.results import KEPT, Compared, Result, recorded
from benchmarks.reproduce.scores import reached

SAID = {
    "inside": "inside the recorded interval",
    "above": "above the recorded interval",
    "below": "below the recorded interval",
}


def figure(name: str, one: Mapping[str, Any]) -> str:
    """12.3 [11.0, 13.5]"""
    digits = digits_of(name)
    low, high = (f"{edge:.{digits}f}" for edge in one["interval"])
    return f"{one['value']:.{digits}f} [{low}, {high}]"


def goal_of(recipe: Recipe, name: str, one: Mapping[str, Any]) -> str:
    """The goal, and whether it is met; nothing where there is none."""
    if name not in recipe.goals:
        return ""
    goal, higher = recipe.goals[name], bool(one["higher_is_better"])
    met = reached(one["value"], goal, higher_is_better=higher)
    short = abs(goal - one["value"])
    return f"{'>=' if higher else '<='} {goal:g}: " + ("reached" if met else f"missed by {short:.{digits_of(name)}f}")


def told(recipe: Recipe, result: Result, kept: Result | None, beside: Compared) -> str:
    """For a person; the last line is the verdict."""
    data, seeds = result["data"], result["seeds"]
    of = "" if data["n"] == data["of"] else f" of {data['of']:,} (the first by hashed key)"
    lines = [
        f"{recipe.title}, {data['split']}: {data['n']:,} records{of}; {said_seeds(seeds)}; {minutes(seeds)} on"
        f" {machine(seeds[0]['environment'])}"
    ]
    rows = [["metric", "reached", "recorded", "goal"]]
    for name, one in result["metrics"].items():
        theirs = kept["metrics"].get(name) if kept is not None and not beside.why_not else None
        rows.append(
            [name, figure(name, one), "" if theirs is None else figure(name, theirs), goal_of(recipe, name, one)]
        )
    for part, metrics in result["parts"].items():
        n = next(iter(metrics.values()))["n"]
        rows += [
            [f"{name}, {part} ({n:,})", figure(name, one), "", ""]
            for name, one in metrics.items()
            if name in recipe.goals
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines += ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"  {name}: {one['signature']}" for name, one in result["metrics"].items() if name in recipe.goals]
    lines += [f"  {name}: skipped, {reason}" for name, reason in result["skipped"].items()]
    lines += [f"  {line}" for line in beside_trivial(result)]
    lines += [f"published: {printed(one)}" for one in published_of(recipe)]
    if beside.why_not:
        lines.append(f"not compared: {beside.why_not}")
    lines += [f"{name}: {SAID[verdict]}" for name, verdict in beside.verdicts.items()]
    return "\n".join(lines)


def beside_trivial(result: Result) -> list[str]:
    """Trivial systems on all records and on each part, by the first seed."""
    return [
        f"{name}, {part}: " + ", ".join(f"{metric} {trivial(metric, one)}" for metric, one in own.items())
        for part, systems in result["against"][0].items()
        for name, own in systems.items()
    ]


def trivial(metric: str, one: Mapping[str, Any]) -> str:
    """Its score, and how likely chance alone makes such a difference to the recipe's."""
    return f"{one['value']:.{digits_of(metric)}f} (p = {one['p_value']:.3f})"


def said_seeds(seeds: Sequence[Mapping[str, Any]]) -> str:
    """Which."""
    numbers = ", ".join(str(one["seed"]) for one in seeds)
    return f"seed {numbers}" if len(seeds) == 1 else f"seeds {numbers}"


def minutes(seeds: Sequence[Mapping[str, Any]]) -> str:
    """Of the slowest seed: its training with the evaluations on the way, and the answers at the end."""
    slowest = max(seeds, key=lambda one: sum(one["minutes"].values()))["minutes"]
    each = " each" if len(seeds) > 1 else ""
    return f"{slowest['train'] + slowest['watch']:.1f} + {slowest['evaluate']:.1f} minutes{each} (training + answers)"


def printed(one: Published) -> str:
    """Someone's figure with its convention and source."""
    return f"{one.value:g} {one.metric}, {one.system} ({one.data}; {one.convention}; {one.citation})"


def listed(recipes: Sequence[Recipe], folder: Path = KEPT) -> str:
    """A line a recipe."""
    rows = [["recipe", "split", "goal", "reached", "minutes"]]
    for one in recipes:
        kept = recorded(one, folder)
        name = next(iter(one.goals))
        goals = ", ".join(f"{metric} {goal:g}" for metric, goal in one.goals.items())
        figures = figure(name, kept["metrics"][name]) if kept is not None else "not recorded yet"
        rows.append([one.title, one.split, goals, figures, f"{one.minutes:g}, {one.machine}"])
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
