"""Where a run begins that does not begin from nothing: another run's folder, read once; afterwards it may be deleted."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.codec.store import dump_codecs, load_codecs
from core.codec.types import UNK, Codecs
from core.config_text import to_tree
from core.config_tree import differences
from core.errors import ConfigError, DataError
from core.model.seq2seq import Seq2Seq
from core.registry import installed_tasks
from core.run.folder import existing_run, read_json
from core.run.prepared import TrainingData
from core.run.stored import StoredRun, load_run
from core.settings import RunConfig
from core.task import Task
from core.train.adapters import adapter_names
from core.train.carry import carry
from core.train.parts import hold, trainable

LAYERS = ("encoder.", "decoder.")
SHOWN = 4
"""Names of what begins anew that are said; run.json has all."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that another begins from."""

    run: StoredRun
    name: str
    """As the config has it."""

    def codecs(self, task: Task[Any], cfg: RunConfig) -> Codecs | None:
        """Its tokenizers, if they are to serve the new run; None where the new data is to have its own."""
        if cfg.train.init_codecs == "data":
            return None
        kinds = {self.run.codecs.source.kind, self.run.codecs.target.kind}
        foreign = task.codec_types and kinds.isdisjoint(one.kind for one in task.codec_types)
        try:
            if foreign:  # its rule, its features and its way of reading are made for codecs of its own
                raise DataError("other codecs")
            return load_codecs(dump_codecs(self.run.codecs), task.codec_types)
        except DataError:
            raise ConfigError(
                f"train.init_from = {self.name!r}: {task.name} cannot read with the tokenizers of {self.run.task.name};"
                ' train.init_codecs = "data" gives it its own'
            ) from None

    def into(self, model: Seq2Seq, task: Task[Any], cfg: RunConfig, codecs: Codecs) -> dict[str, Any]:
        """Put its weights into a new model; what run.json and every checkpoint say of it."""
        old = self.run
        found = carry(model, codecs, old.model, old.codecs, same_task=task.name == old.task.name)
        if not any(name.startswith(LAYERS) and model.get_parameter(name).ndim > 1 for name in found.whole):
            changed = differences(old.config.model, cfg.model)
            said = "; ".join(f"model.{key}: {was!r} -> {now!r}" for key, was, now in changed)
            raise ConfigError(f"train.init_from = {self.name!r}: no matrix of its layers fits: {said}")
        return {
            "run": self.name,
            "task": old.task.name,
            "step": old.step,
            "config": to_tree(old.config),
            "codecs": cfg.train.init_codecs,
            "same_codecs": dump_codecs(codecs) == dump_codecs(old.codecs),
            "carried": sum(model.get_parameter(name).numel() for name in found.whole),
            "partly": list(found.partly),
            "fresh": list(found.fresh),
            "features": old.model.features is not None,
        }


def origin_of(task: Task[Any], cfg: RunConfig) -> Origin | None:
    """None where training begins from nothing."""
    if not cfg.train.init_from:
        return None
    try:
        folder = existing_run(Path(cfg.train.init_from))
        name = read_json(folder.facts).get("task")
        old = task if name == task.name else installed_tasks()[str(name)]
        run = load_run(old, folder, (f"train.device={cfg.train.device}", "train.threads=0"))
    except (ConfigError, DataError) as error:
        raise type(error)(f"train.init_from = {cfg.train.init_from!r}: {error}") from None
    return Origin(run, cfg.train.init_from)


def begin(
    origin: Origin | None,
    begun: dict[str, Any] | None,
    task: Task[Any],
    cfg: RunConfig,
    model: Seq2Seq,
    data: TrainingData,
) -> dict[str, Any] | None:
    """Ready a new model for training: from its origin, or as `begun` (of a stored run) says. None where nothing came before."""
    if origin is not None:
        begun = origin.into(model, task, cfg, data.codecs)
        say(begun, model, task, data)
    hold(model, cfg.train, [] if begun is None else [*begun["partly"], *begun["fresh"]])
    return begun


def say(begun: dict[str, Any], model: Seq2Seq, task: Task[Any], data: TrainingData) -> None:
    """What was taken over, what begins anew, and how much of the new data the old vocabulary lacks."""
    own = adapter_names(model)
    size = sum(one.numel() for name, one in model.named_parameters() if name not in own)
    line = f"begun from {begun['run']} ({begun['task']}, step {begun['step']:,}): {begun['carried']:,} of {size:,} parameters"
    for names, what in ((begun["partly"], "by symbol"), (begun["fresh"], "anew")):
        line += f"; {what}: {listed(names)}" if names else ""
    print(line, file=sys.stderr)
    target = data.encoded.examples.target
    unknown = 0.0 if target is None else float((target.values == UNK).mean())
    if unknown and begun["codecs"] == "run":
        print(
            f"train: {100 * unknown:.1f} % of the targets' symbols are unknown to its tokenizers;"
            ' train.init_codecs = "data" fits new ones',
            file=sys.stderr,
        )


def listed(names: Sequence[str]) -> str:
    """The first few."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def sizes(model: Seq2Seq) -> dict[str, int]:
    """For run.json."""
    return {"parameters": sum(one.numel() for one in model.parameters()), "trainable": trainable(model)}


def counted(facts: Mapping[str, Any]) -> str:
    """For a person, from `sizes` (of an older run: without what was trained)."""
    size = facts["parameters"]
    trained = facts.get("trainable", size)
    return f"{size:,} parameters" + ("" if trained == size else f" ({trained:,} trainable)")
