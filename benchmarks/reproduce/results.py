"""Result files: what a recipe reached, with all that identifies it; and what a new result says beside the one that is kept."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reproduce.recipes import Recipe
from benchmarks.reproduce.scores import Verdict, beside, together
from core.errors import DataError
from core.run.folder import read_json

KEPT = Path(__file__).resolve().parents[1] / "results" / "reproduce"
FORMAT = 1
NEEDED = ("format", "task", "recipe", "changes", "data", "metrics", "parts", "seeds", "config_sha256")
Result = dict[str, Any]
RUN_FACTS = ("seed", "minutes", "steps", "best_step", "parameters", "environment")


def result_of(recipe: Recipe, seeds: Sequence[Mapping[str, Any]], *, changes: Sequence[str], digest: str) -> Result:
    """All seeds in one; of rows and resamples only the intervals stay."""
    first = seeds[0]
    parts = [name for name in first["parts"] if all(name in one["parts"] for one in seeds)]
    return {
        "format": FORMAT,
        "task": recipe.task,
        "recipe": recipe.name,
        "changes": list(changes),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": first["data"],
        "search": list(recipe.search),
        "metrics": {name: together([one["metrics"][name] for one in seeds]) for name in first["metrics"]},
        "parts": {
            part: {name: together([one["parts"][part][name] for one in seeds]) for name in first["parts"][part]}
            for part in parts
        },
        "against": [one["against"] for one in seeds],
        "skipped": first["skipped"],
        "seeds": [
            {
                **{fact: one[fact] for fact in RUN_FACTS},
                "values": {name: x["value"] for name, x in one["metrics"].items()},
                "sums": {name: x["sums"] for name, x in one["metrics"].items() if name in recipe.goals},
            }
            for one in seeds
        ],
        "config_sha256": digest,
    }


def file_of(recipe: Recipe, changes: Sequence[str], folder: Path = KEPT) -> Path:
    """Where a result is kept: the recipe's own, or that of the recipe with changes."""
    words = [re.sub(r"[^\w.=-]+", "_", change) for change in changes]
    return folder / recipe.task / ("+".join([recipe.name, *words]) + ".json")


def read_result(path: Path) -> Result:
    """Refuses what is none."""
    tree = read_json(path)
    if missing := [name for name in NEEDED if name not in tree]:
        raise DataError(f"{path}: not a result of benchmarks.reproduce: no {', '.join(missing)}")
    if tree["format"] != FORMAT:
        raise DataError(f"{path}: format {tree['format']}; this program reads {FORMAT}")
    return tree


def recorded(recipe: Recipe, folder: Path = KEPT) -> Result | None:
    """The recipe's own result, if one was kept."""
    path = file_of(recipe, (), folder)
    return read_result(path) if path.is_file() else None


def variants(recipe: Recipe, folder: Path = KEPT) -> Iterator[Result]:
    """Results of the recipe with changes: its ablation."""
    for path in sorted((folder / recipe.task).glob(f"{recipe.name}+*.json")):
        yield read_result(path)


@dataclass(frozen=True, slots=True)
class Compared:
    """A result beside the one that is kept."""

    verdicts: Mapping[str, Verdict]
    """By metric."""
    why_not: str = ""
    """What keeps the two from being compared."""

    @property
    def inside(self) -> bool:
        """Whether all that was compared is where it was expected."""
        return bool(self.verdicts) and all(one == "inside" for one in self.verdicts.values())


def compared(result: Result, kept: Result | None, metrics: Sequence[str]) -> Compared:
    """By these metrics; only on the same records, in the same convention, by the same recipe."""
    if kept is None:
        return Compared({}, "nothing is recorded for this recipe yet")
    if result["changes"]:
        return Compared({}, f"another recipe than the recorded one: {' '.join(result['changes'])}")
    if result["config_sha256"] != kept["config_sha256"]:
        return Compared({}, "the recipe has changed since it was recorded")
    for what in ("split", "sha256", "n", "train"):
        if result["data"][what] != kept["data"][what]:
            return Compared({}, f"other data: {what} was {kept['data'][what]}, now {result['data'][what]}")
    verdicts: dict[str, Verdict] = {}
    for name in metrics:
        own, theirs = result["metrics"].get(name), kept["metrics"].get(name)
        if own is None or theirs is None:
            return Compared({}, f"{name} was not measured")
        if own["signature"] != theirs["signature"]:
            return Compared({}, f"{name} by another convention: {theirs['signature']}, now {own['signature']}")
        verdicts[name] = beside(own["value"], theirs)
    return Compared(verdicts)
