"""What is trained: systems and budgets as changes to a task's own config, from one table; and anyone's config files."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, get_args

from core.config_toml import from_tree, load, to_tree
from core.errors import ConfigError
from core.model.config import ModelConfig
from core.nearest import did_you_mean
from core.settings import RunConfig, run_config
from core.task import Task

TABLE = Path(__file__).with_name("systems.toml")
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FLOORS = "floors"
"""The word for all trivial systems of a task."""
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long systems may learn."""

    name: str
    config: str
    """Which of a task's configs they start from."""
    seeds: int
    share: float
    """Of that config's steps."""


@dataclass(frozen=True, slots=True)
class System:
    """One row of the board."""

    name: str
    says: str = ""
    changes: Tree = field(default_factory=dict[str, Any])
    by_task: Mapping[str, Tree] = field(default_factory=dict[str, Tree])
    file: Path | None = None
    """Someone's config, in place of the task's own."""
    overrides: tuple[str, ...] = ()
    """key=value, as on a command line."""


@cache
def table() -> tuple[dict[str, Budget], dict[str, System]]:
    """systems.toml."""
    tree = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    budgets = {name: Budget(name, **one) for name, one in tree["budgets"].items()}
    systems = {
        name: System(name, one["says"], one.get("set", {}), one.get("tasks", {}))
        for name, one in tree["systems"].items()
    }
    return budgets, systems


def chosen(words: Sequence[str]) -> list[System]:
    """Names of the table, `floors`, CONFIG.toml or NAME=CONFIG.toml; none: all of the table, floors first."""
    systems = table()[1]
    if not words:
        return [System(FLOORS), *systems.values()]
    found: list[System] = []
    for word in words:
        name, _, file = word.rpartition("=")
        if word.endswith(".toml"):
            if not Path(file).is_file():
                raise ConfigError(f"--systems {word}: no such file {file}")
            found.append(System(name or Path(file).stem, f"the config {Path(file).name}", file=Path(file)))
        elif word == FLOORS:
            found.append(System(FLOORS))
        elif word in systems:
            found.append(systems[word])
        else:
            known = (FLOORS, *systems)
            raise ConfigError(
                f"--systems {word}: no such system{did_you_mean(word, known)}; one of {', '.join(known)}, or CONFIG.toml"
            )
    if twice := {one.name for one in found if sum(other.name == one.name for other in found) > 1}:
        raise ConfigError(f"--systems: {', '.join(sorted(twice))} is named twice; write NAME=CONFIG.toml")
    return found


def base_path(task: Task[Any], name: str) -> Path | None:
    """configs/TASK/NAME.toml here, or configs/NAME.toml in the task's own package; None where it has no default."""
    places = [CONFIGS / task.name / f"{name}.toml"]
    module = sys.modules.get(task.config.__module__)
    if file := getattr(module, "__file__", None):
        places.append(Path(file).parent / "configs" / f"{name}.toml")
    found = next((place for place in places if place.is_file()), None)
    if found is None and name != "default":
        raise ConfigError(f"{task.name}: no config named {name}.toml ({' or '.join(map(str, places))})")
    return found


def config_of(task: Task[Any], system: System, budget: Budget, seed: int, device: str = "") -> RunConfig:
    """The resolved config of one cell; what cannot be is refused with its reason."""
    kind = run_config(task.config)
    base = load(kind, system.file or base_path(task, budget.config), system.overrides).config
    tree = to_tree(base)
    for change in (system.changes, system.by_task.get(task.name, {})):
        tree = changed(tree, change)
    steps = max(1, round(budget.share * tree["train"]["steps"]))
    tree["train"] = {
        **tree["train"],
        "steps": steps,
        "evaluate_every": min(steps, tree["train"]["evaluate_every"]),
        **({"device": device} if device else {}),
    }
    tree["seed"] = seed
    return from_tree(kind, without_none(tree), f"{task.name}, {system.name}")


def changed(tree: Tree, change: Tree) -> Tree:
    """Tables merge; a model of another kind keeps only the keys that its kind has."""
    found = dict(tree)
    for name, value in change.items():
        if not isinstance(value, dict):
            found[name] = value
            continue
        old: Tree = found.get(name, {})
        new: Tree = value
        if name == "model" and new.get("kind", old.get("kind")) != old.get("kind"):
            old = {key: one for key, one in old.items() if key in keys_of_kind(new["kind"])}
        found[name] = changed(old, new)
    return found


def keys_of_kind(kind: str) -> set[str]:
    """The keys of the [model] table with that kind."""
    for one in get_args(ModelConfig):
        names = {each.name: each.default for each in fields(one)}
        if names["kind"] == kind:
            return set(names)
    raise ConfigError(f"model.kind = {kind!r}: no such kind")


def without_none(tree: Tree) -> Tree:
    """TOML has no null: what is None is left at its default."""
    return {
        key: without_none(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if value is not None
    }


def comparable(cfg: RunConfig) -> Tree:
    """The config as it is hashed: seeds are repetitions of one config, and the machine is no part of it."""
    tree = to_tree(cfg)
    tree.pop("seed")
    for name in ("device", "threads"):
        tree["train"].pop(name, None)
    return tree
