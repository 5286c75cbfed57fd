"""What must not have changed where a run goes on: each change is refused by its name, or forced by it and written down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.codec.store import dump_codecs
from core.codec.types import Codecs
from core.config_shape import fields_of
from core.config_text import to_tree
from core.config_toml import load
from core.config_tree import differences
from core.errors import ConfigError
from core.nearest import did_you_mean
from core.run.folder import RunFolder, empty, existing_run, new_run, newest_unfinished
from core.run.prepared import TrainingData, source_name
from core.run.varying import dictionary
from core.settings import RunConfig, run_config
from core.task import Task
from core.train.checkpoint import Checkpoint, as_json

if TYPE_CHECKING:
    from core.cli import TrainArguments

RUNS = Path("runs")

MACHINE = {"threads": "threads", "cpu": "cpu capability", "device": "device", "precision": "precision"}
"""What `--force` calls these facts of the environment -> what run.json calls them."""
FIELDS = (*MACHINE, "torch", "vocabulary", "data.source", "data.train", "data.dev", "data.synonyms")
"""What may have changed besides the keys of the config."""


STATE = ("train.optimizer", "train.average", "train.lora", "model.kind")
"""What the state was made by: of another there is no moment, average or adapter to go on with."""


class Change(NamedTuple):
    """One field, before and now."""

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field}: {shown(self.old)} -> {shown(self.new)}"


def shown(value: Any) -> str:
    """A value as a config has it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | list | tuple | bool) else str(value)


def refuse_unknown(forced: Sequence[str], cfg: RunConfig) -> None:
    """A name that is none of a field is a slip."""
    known = [*FIELDS, *(one.key for one in fields_of(type(cfg)))]
    for name in forced:
        if name not in known:
            raise ConfigError(f"--force {name}: no such field{did_you_mean(name, known)}")


def refuse(place: Path, changes: Sequence[Change], forced: Sequence[str]) -> None:
    """ConfigError for what is not forced."""
    if left := [one for one in changes if one.field not in forced]:
        names = ",".join(dict.fromkeys(one.field for one in changes))
        said = "; ".join(map(str, left))
        raise ConfigError(f"--resume: {place} would not go on as it was: {said}; all the same: --force {names}")
    for one in changes:
        if one.field in STATE:
            raise ConfigError(
                f"--force {one.field}: the state of {shown(one.old)} is none of {shown(one.new)}: train a new run"
            )


def config_changes(stored: Checkpoint, cfg: RunConfig) -> list[Change]:
    """Keys whose value is not that of the checkpoint; what an older version did not know is not asked."""
    old, new = flat(stored.config), flat(json.loads(as_json(to_tree(cfg))))
    found = [Change(key, old[key], new.get(key)) for key in old if key != "task_name" and old[key] != new.get(key)]
    kinds = [one.field.removesuffix("kind") for one in found if one.field.endswith(".kind")]
    return [one for one in found if one.field.endswith(".kind") or not one.field.startswith(tuple(kinds))]


def flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Dotted keys."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}  # pyright: ignore[reportUnknownArgumentType]
    return found


def machine_changes(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Of the environment, what makes other bits."""
    found = [Change(name, stored.get(fact), now.get(fact)) for name, fact in MACHINE.items()]
    found.append(Change("torch", stored.get("versions", {}).get("torch"), now["versions"].get("torch")))
    return [one for one in found if one.old != one.new]


def data_changes(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Of what identifies the data."""
    return [Change(f"data.{name}", stored.get(name), now[name]) for name in now if stored.get(name) != now[name]]


def vocabulary_changes(stored: Checkpoint, codecs: Codecs) -> list[Change]:
    """Of the tokenizers; a checkpoint of an older version does not say."""
    old, new = stored.facts.get("vocabulary"), vocabulary(codecs)
    return [Change("vocabulary", old, new)] if old is not None and old != new else []


def vocabulary(codecs: Codecs) -> str:
    """Sizes, and a digest of all that the tokenizers know."""
    digest = hashlib.sha256(as_json(dump_codecs(codecs))).hexdigest()
    return f"{getattr(codecs.source, 'size', 'features')} and {codecs.target.size} symbols, sha256 {digest[:16]}"


def forced_facts(stored: Checkpoint | None, changes: Sequence[Change]) -> list[dict[str, Any]]:
    """All that was ever forced on a run, by step."""
    before: list[dict[str, Any]] = list(stored.facts["environment"].get("forced", ())) if stored is not None else []
    step = 0 if stored is None else stored.step
    return [*before, *({"step": step, "field": one.field, "old": one.old, "new": one.new} for one in changes)]


def open_run(task: Task[Any], arguments: TrainArguments) -> tuple[RunFolder, RunConfig, bool]:
    """The folder, its config, and whether something may be there already."""
    given = arguments.config
    if arguments.run is None and not arguments.resume:
        assert given is not None
        label = arguments.config_path.stem if arguments.config_path else "default"
        return new_run(RUNS, task.name, label), given.config, False
    folder = RunFolder(arguments.run) if arguments.run else newest_unfinished(RUNS, task.name)
    if folder.path.exists() and not folder.path.is_dir():
        raise ConfigError(f"--run {folder.path}: not a folder")
    taken = folder.path.is_dir() and not empty(folder.path)
    if taken and not arguments.resume:
        raise ConfigError(f"--run {folder.path}: not empty; add --resume to go on with it, or name another folder")
    if not taken or not folder.config.is_file():  # --resume with nothing there yet: from the start
        if taken:
            existing_run(folder.path)
        if given is None:
            raise ConfigError(f"--resume: {folder.path} holds no run yet, so name a CONFIG to start it")
        return folder, given.config, False
    stored = load(run_config(task.config), folder.config, ()).config
    if given is None:
        return folder, stored, True
    asked = given.config
    if asked.batch.tokens == "auto":  # what was found is what it asks for
        asked = replace(asked, batch=replace(asked.batch, tokens=stored.batch.tokens))
    refuse(folder.config, [Change(*one) for one in differences(stored, asked)], arguments.force)
    return folder, asked, True


def data_facts(task: Task[Any], cfg: RunConfig, data: TrainingData) -> dict[str, Any]:
    """What identifies the data of a run."""
    found = {"source": source_name(task, cfg), "train": data.train.sha256, "dev": data.dev.sha256}
    return found | ({"synonyms": dictionary(cfg).sha256} if cfg.train.synonyms else {})
