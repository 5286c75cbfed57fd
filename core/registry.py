"""The one registry: names -> tasks. Listing imports nothing; a task is loaded when it is asked for.

Built-ins are the folders with a card.toml in them, third parties are entry points of the group. Both have a static card beside the task.
"""

from __future__ import annotations

import importlib
import importlib.util
import tomllib
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError
from core.nearest import did_you_mean

if TYPE_CHECKING:  # numpy and importlib.metadata take longer than a whole listing
    from importlib.metadata import EntryPoint

    from core.task import Task

CARD_KEYS = ("name", "summary", "data", "metric")
OPTIONAL_PARTS = ("read", "read_target", "rule", "features", "augment", "canonical", "utility", "present")


@dataclass(frozen=True, slots=True)
class Claim:
    """One package's claim to a name."""

    name: str
    package: str
    """The distribution that brings the task."""
    version: str
    """Empty for built-ins, which need not be installed."""
    module: str
    attribute: str
    folder: Path | None
    """Where the task lives, if that can be found without importing it."""

    @property
    def owner(self) -> str:
        return f"{self.package} {self.version}".rstrip()


@dataclass(frozen=True, slots=True)
class Card:
    """What can be said of a task without importing it."""

    name: str
    summary: str
    data: str
    """Its built-in data."""
    metric: str
    """The first one, which picks checkpoints."""
    extra: str
    """What `pip install 'transduce[...]'` it needs; empty for none."""
    package: str
    version: str
    path: Path | None
    """The card.toml; None where a package brings none."""


class BrokenTask(ConfigError):
    """A task that cannot be loaded. The message is a line as ever; the traceback is for the author of the package."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class Registry:
    """`registry[name]` is a task; `names()`, `card(name)` and `name in registry` import none."""

    def __init__(self, folder: Path, package: str, group: str) -> None:
        self.folder, self.package, self.group = folder, package, group

    def claims(self) -> Iterator[Claim]:
        """Everything that says it is a task, built-ins first."""
        from importlib.metadata import entry_points

        for card in sorted(self.folder.glob("*/card.toml")):
            name = card.parent.name
            yield Claim(name, "transduce", "", f"{self.package}.{name}", "TASK", card.parent)
        for point in sorted(entry_points(group=self.group), key=lambda one: (one.name, one.value)):
            package, version = (point.dist.name, point.dist.version) if point.dist else ("an unnamed package", "")
            yield Claim(point.name, package, version, point.module, point.attr or "TASK", folder_of(point))

    def names(self) -> list[str]:
        """In alphabetical order."""
        return sorted({claim.name for claim in self.claims()})

    def __contains__(self, name: str) -> bool:
        return any(claim.name == name for claim in self.claims())

    def claim(self, name: str) -> Claim:
        """The one package that brings this task."""
        claims = list(self.claims())
        found = list(dict.fromkeys(claim for claim in claims if claim.name == name))
        if not found:
            known = sorted({claim.name for claim in claims})
            raise ConfigError(f"{name}: no such task{did_you_mean(name, known)}; there are {', '.join(known)}")
        if len(found) > 1:
            owners = " and ".join(f"{claim.owner} ({claim.module})" for claim in found)
            raise ConfigError(f"{name}: claimed by {owners}; uninstall one of them")
        return found[0]

    def card(self, name: str) -> Card:
        """The static card beside a task; blanks where a package brings none."""
        claim = self.claim(name)
        path = claim.folder / "card.toml" if claim.folder else None
        if path is None or not path.is_file():
            return Card(name, "(brings no card.toml)", "", "", "", claim.package, claim.version, None)
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{name}: {claim.owner}: {path} cannot be read: {error}") from None
        wanted: dict[str, Any] = {key: tree.get(key) for key in CARD_KEYS}
        wanted["extra"] = tree.get("extra", "")
        if wrong := [key for key, value in wanted.items() if not isinstance(value, str) or "\n" in value]:
            raise ConfigError(f"{name}: {claim.owner}: {path}: {', '.join(wrong)} must be there, each a line of text")
        if wanted["name"] != name:
            raise ConfigError(f"{name}: {claim.owner}: {path} is the card of {wanted['name']!r}")
        return Card(**wanted, package=claim.package, version=claim.version, path=path)

    def __getitem__(self, name: str) -> Task[Any]:
        """Imports the task; what is wrong with a package is said with its name."""
        from core.task import Task

        claim = self.claim(name)
        place = f"{claim.module}:{claim.attribute}"
        try:
            found: object = reduce(getattr, claim.attribute.split("."), importlib.import_module(claim.module))
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            message = f"{name}: {claim.owner} cannot be loaded ({place}): {reason}"
            raise BrokenTask(message, trace_of(error)) from None
        if not isinstance(found, Task):
            raise BrokenTask(f"{name}: {claim.owner}: {place} is of type {type(found).__name__}, not a core.task.Task")
        if faults := list(faults_of(found, name)):
            raise BrokenTask(f"{name}: {claim.owner}: {place}: {'; '.join(faults)}")
        return found


def installed_tasks() -> Registry:
    """The built-in tasks beside this package and the plugins of this installation, for who knows a task by its name alone."""
    return Registry(Path(__file__).parents[1] / "tasks", "tasks", "transduce.tasks")


def faults_of(task: Task[Any], name: str) -> Iterator[str]:
    """What a task lacks of what every task must have."""
    if task.name != name:
        yield f"it is named {task.name!r}, its entry point {name!r}: they must agree"
    parts: dict[str, object] = {field.name: getattr(task, field.name) for field in fields(task)}
    kind, sources = parts["config"], parts["sources"]
    if not isinstance(kind, type) or not is_dataclass(kind):
        yield "`config` must be a class made by core.config.config"
    if not isinstance(sources, Mapping) or not sources or not all(callable(one) for one in sources.values()):
        yield "`sources` must name at least one function (config, data, split) -> records"
    for part in ("codecs", "metrics"):
        if not callable(parts[part]):
            yield f"`{part}` is missing: it must be a function"
    for part in OPTIONAL_PARTS:
        if parts[part] is not None and not callable(parts[part]):
            yield f"`{part}` must be a function, or left out"


def folder_of(point: EntryPoint) -> Path | None:
    """Where an entry point's module lives: the folder of a package, or the one beside a module inside a package."""
    top, *inner = point.module.split(".")
    try:
        spec = importlib.util.find_spec(top)  # of a top-level name: imports nothing
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)), *inner)
    return folder if folder.is_dir() else folder.parent


def trace_of(error: BaseException) -> str:
    """The traceback from where the package's own code begins."""
    ours = (__file__, importlib.__file__)
    frame = error.__traceback__
    while frame is not None and (
        frame.tb_frame.f_code.co_filename in ours or frame.tb_frame.f_code.co_filename.startswith("<frozen importlib")
    ):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))
