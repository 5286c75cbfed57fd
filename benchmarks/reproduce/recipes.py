"""What a recipe is: a config in configs/TASK/SET.toml, and an entry of benchmarks/references/TASK.toml that says how it is judged."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.leaderboard.references import REFERENCES, Published, read_references
from core.errors import ConfigError, DataError
from core.nearest import did_you_mean
from core.record import Split

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One set of one task."""

    task: str
    name: str
    """The set, which is the name of the config."""
    says: str
    """What is trained and how it is scored, in a sentence."""
    goals: Mapping[str, float]
    """Metric -> what is to be reached; the first is what the recipe is judged by."""
    minutes: float
    """Training and evaluation together may take so long, on `machine`."""
    machine: Literal["2 cores", "GPU"] = "2 cores"
    split: Split = "dev"
    """Where the figures are taken."""
    records: int = 0
    """The first so many of them by hashed key; 0: all."""
    search: tuple[str, ...] = ()
    """key=value: how it answers, where otherwise than in training."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Keys whose values are files beside the data: key -> its name, seen from the folder in `data.path`."""
    apart: bool = False
    """The set is only asked: training is on the config's own source, and `data.path` is no part of it."""
    group: str = ""
    """The key of `meta` that says which records are not independent (families, say), where they have no `group`."""
    by: str = ""
    """One of the task's breakdowns: the parts are scored by themselves as well."""
    against: tuple[str, ...] = ()
    """Trivial systems of the task that answer the same records, with a paired bootstrap on all of them and on each part."""
    published: tuple[str, ...] = ()
    """What others printed: the `data` of [[published]] entries of the same file."""
    folder: Path = REFERENCES
    """Where that file lies."""

    @property
    def title(self) -> str:
        """As it is asked for."""
        return f"{self.task}/{self.name}"

    @property
    def seeds(self) -> int:
        """So many are recorded: three, unless one takes an hour."""
        return 3 if self.minutes < 60 else 1

    @property
    def config(self) -> Path:
        """Its config file: among the repository's, or in a folder beside someone's own recipes."""
        beside = self.folder / self.task / f"{self.name}.toml"
        return beside if beside.is_file() else CONFIGS / self.task / f"{self.name}.toml"

    @property
    def places(self) -> tuple[str, ...]:
        """Keys that say where data lie, which is no part of the recipe."""
        return ("data.path", "data.train", "data.dev", "data.test", "data.cache", *self.files)


def read_recipes(folder: Path = REFERENCES) -> list[Recipe]:
    """All of them, task by task, as the files have them."""
    if not folder.is_dir():
        raise ConfigError(f"--references {folder}: no such folder")
    found: list[Recipe] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            tree: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
            for one in tree.get("recipes", []):
                lists: dict[str, Any] = {
                    name: tuple(one[name]) for name in ("search", "against", "published") if name in one
                }
                found.append(Recipe(path.stem, folder=folder, **{**one, **lists}))
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}") from None
    return found


def recipe_of(title: str, recipes: Sequence[Recipe]) -> Recipe:
    """By TASK/SET, or by SET where one task alone has it."""
    fitting = [one for one in recipes if title in (one.title, one.name)]
    if len(fitting) == 1:
        return fitting[0]
    names = [one.title for one in fitting or recipes]
    known = names if "/" in title else [one.name for one in recipes]
    what = "several tasks have it" if fitting else f"no such recipe{did_you_mean(title, known)}"
    raise ConfigError(f"{title}: {what}; one of {', '.join(names)}")


def published_of(recipe: Recipe) -> list[Published]:
    """What others printed on this data."""
    return [
        one for one in read_references(recipe.folder)[1] if one.task == recipe.task and one.data in recipe.published
    ]
