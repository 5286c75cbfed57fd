"""What verbs make of their words: settings, the RUN they begin with, the config that is meant."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config_toml import Loaded, is_override, load
from core.errors import ConfigError, DataError
from core.flags import Flag, Words
from core.idle import refuse_idle
from core.nearest import did_you_mean
from core.settings import RunConfig, run_config
from core.task import Task

REPOSITORY = Path(__file__).resolve().parent.parent
CHANGEABLE = ("search.", "data.", "batch.", "train.device", "train.threads", "train.precision", "seed")
"""What may still differ once a model is trained."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to do with a task."""

    summary: str
    usage: str
    flags: tuple[Flag, ...]
    notes: tuple[str, ...]
    examples: tuple[str, ...]
    """`{task}` is the task's name."""
    run: Callable[[Task[Any], Words], int]


def settings(plain: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """key=value apart from the rest; a word that names a file is a file."""
    overrides = tuple(word for word in plain if is_override(word) and not os.path.exists(word))
    return overrides, [word for word in plain if word not in overrides]


def run_folder(task: Task[Any], rest: Sequence[str], overrides: Sequence[str]) -> Path:
    """The RUN that a verb begins with, its config read and the overrides tried on it."""
    known = [str(path.parent) for path in sorted(Path("runs", task.name).glob("*/config.toml"))]
    if not rest:
        newest = f", such as {known[-1]}" if known else f"; train one first: python -m tasks train {task.name}"
        raise ConfigError(f"which RUN? Name a run folder{newest}")
    path = Path(rest[0])
    if not path.is_dir():
        raise ConfigError(f"{path}: no such run folder{did_you_mean(str(path), known)}")
    if not (path / "config.toml").is_file():
        raise ConfigError(f"{path}: not a run folder (it has no config.toml)")
    with suppress(
        OSError, ValueError, AttributeError, RecursionError
    ):  # whoever reads it in earnest says what is wrong
        if (owner := json.loads((path / "run.json").read_bytes()).get("task", task.name)) != task.name:
            raise ConfigError(f"{path}: a run of {owner}, not of {task.name}")
    for one in overrides:
        key = one.partition("=")[0].strip()
        may = (*CHANGEABLE, *task.changeable)
        if key.split(".")[0] in ("model", "task", "save", "train") and not key.startswith(may):
            raise ConfigError(
                f"{one}: a trained run keeps its [{key.split('.')[0]}]; what may change: {', '.join(may)}"
            )
    refuse_idle(stored_config(task, path / "config.toml", overrides), typed_only=True)
    return path


SIGNED = Flag("--require-signature", "refuse a run that none of the keys in FILE has signed", "FILE")


@contextmanager
def signed(
    task: Task[Any], words: Words, run: Path, overrides: Sequence[str]
) -> Generator[tuple[Path, tuple[Path, ...]], None, None]:
    """RUN and those of --with; where signatures are required, private copies of what was signed."""
    keys, others = words.path(SIGNED.name), words.paths("--with")
    if keys is None:
        yield run, others
        return
    from core.signature import trusted

    with ExitStack() as kept:
        copy = kept.enter_context(trusted(run, keys))
        copies = tuple(kept.enter_context(trusted(one, keys)) for one in others)
        search = stored_config(task, copy / "config.toml", overrides).config.search
        if further := [one for one in search.rerank if not one.startswith("python:")]:
            raise ConfigError(
                f"search.rerank: {further[0]!r} names a run whose signature nobody looks at; leave it out"
            )
        yield copy, copies


def stored_config(task: Task[Any], path: Path, overrides: Sequence[str]) -> Loaded[RunConfig]:
    """A run's config; one that cannot be read is a damaged file, not a typing mistake."""
    kind = run_config(task.config)
    try:
        load(kind, path, ())
    except ConfigError as error:
        raise DataError(f"{error} (is this a run of {task.name}, and undamaged?)") from None
    return load(kind, path, overrides)


def default_config(task: Task[Any]) -> Path | None:
    """configs/NAME/default.toml here, in the repository, or configs/default.toml in the task's own package."""
    places = [root / "configs" / task.name / "default.toml" for root in (Path(), REPOSITORY)]
    module = sys.modules.get(task.config.__module__)
    if file := getattr(module, "__file__", None):
        places.append(Path(file).parent / "configs" / "default.toml")
    return next((place for place in places if place.is_file()), None)
