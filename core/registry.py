"""The one registry: names -> tasks. Listing imports nothing; a task is loaded when it is asked for.

Built-ins are the folders with a card.toml in them, third parties are entry points of the group; both have a static card beside the task.
"""

from __future__ import annotations

import importlib
import importlib.util
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.nearest import did_you_mean
from core.task import Task

CARD_KEYS = ("name", "summary", "data", "metric")


@dataclass(frozen=True, slots=True)
class Card:
    """What can be said of a task without importing it."""

    name: str
    summary: str
    data: str
    metric: str
    package: str
    """The distribution that brings it, with its version."""
    folder: Path | None
    """Where it lives."""
    extra: str = ""
    """What `pip install transduce[...]` it needs."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One package's claim to a name."""

    name: str
    package: str
    module: str
    attribute: str
    folder: Path | None


class Registry:
    """`registry[name]` is a task; `name in registry`, `names()` and `card(name)` import none."""

    def __init__(self, folder: Path, package: str, group: str) -> None:
        self.folder, self.package, self.group = folder, package, group

    def claims(self) -> Iterator[Claim]:
        """Everything that says it is a task, built-ins first."""
        for card in sorted(self.folder.glob("*/card.toml")):
            name = card.parent.name
            yield Claim(name, "transduce", f"{self.package}.{name}", "TASK", card.parent)
        for point in sorted(entry_points(group=self.group), key=lambda one: (one.name, one.value)):
            distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
            yield Claim(point.name, distribution, point.module, point.attr or "TASK", folder_of(point))

    def names(self) -> list[str]:
        """In alphabetical order."""
        return sorted({claim.name for claim in self.claims()})

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def claim(self, name: str) -> Claim:
        """The one package that brings this task."""
        found = list(dict.fromkeys(claim for claim in self.claims() if claim.name == name))
        if not found:
            known = self.names()
            raise ConfigError(f"{name}: no such task{did_you_mean(name, known)}; there are {', '.join(known)}")
        if len(found) > 1:
            packages = " and ".join(f"{claim.package} ({claim.module})" for claim in found)
            raise ConfigError(f"{name}: claimed by {packages}; uninstall one of them")
        return found[0]

    def card(self, name: str) -> Card:
        """The static card beside a task; blanks where a package brings none."""
        claim = self.claim(name)
        path = claim.folder / "card.toml" if claim.folder else None
        if path is None or not path.is_file():
            return Card(name, "(no card.toml)", "", "", claim.package, claim.folder)
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not TOML: {error}") from None
        if missing := [key for key in CARD_KEYS if not isinstance(tree.get(key), str)]:
            raise ConfigError(f"{path}: a card needs {', '.join(missing)}, as text")
        told = [str(tree[key]) for key in CARD_KEYS]
        return Card(*told, package=claim.package, folder=claim.folder, extra=str(tree.get("extra", "")))

    def __getitem__(self, name: str) -> Task[Any]:
        """Imports the task; a plugin's own mistake is shown with its traceback, which is its author's."""
        claim = self.claim(name)
        try:
            found = getattr(importlib.import_module(claim.module), claim.attribute)
        except Exception:
            raise ConfigError(f"{name}: {claim.package} fails to import:\n{traceback.format_exc()}") from None
        if not isinstance(found, Task):
            raise ConfigError(f"{name}: {claim.package}: {claim.module}:{claim.attribute} is no core.task.Task")
        check_parts(found, claim)
        return found


def check_parts(task: Task[Any], claim: Claim) -> None:
    """All that must be given is there and can be called."""
    where = f"{claim.name}: {claim.package}: {claim.module}:{claim.attribute}"
    if task.name != claim.name:
        raise ConfigError(f"{where} is named {task.name!r}, its entry point {claim.name!r}: they must agree")
    lacking = [name for name in ("codecs", "metrics") if not callable(getattr(task, name))]
    if not task.sources:
        lacking.append("sources")
    if not isinstance(task.config, type) or not hasattr(task.config, "__dataclass_fields__"):
        lacking.append("config (a class made by core.config.config)")
    if lacking:
        parts = ", ".join(one.name for one in fields(task))
        raise ConfigError(f"{where} lacks {', '.join(lacking)}; a Task has {parts}")


def folder_of(point: EntryPoint) -> Path | None:
    """Where an entry point's module lives, found without importing it."""
    top, *inner = point.module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)), *inner)
