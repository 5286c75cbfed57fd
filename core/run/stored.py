"""A trained run, read back from its folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.codec.store import dump_codecs, load_codecs
from core.codec.types import Codecs
from core.config_toml import load
from core.decode.rules import Rule
from core.errors import ConfigError, DataError
from core.model.seq2seq import Seq2Seq
from core.run.folder import RunFolder, existing_run
from core.run.precision import check_permitted
from core.run.prepared import choose_device, make_model, make_rule
from core.settings import RunConfig, run_config
from core.task import Task
from core.train.checkpoint import Checkpoint, put_weights, read_checkpoint


@dataclass(frozen=True, slots=True)
class StoredRun:
    """Everything that predicting needs."""

    task: Task[Any]
    folder: RunFolder
    config: RunConfig
    codecs: Codecs
    model: Seq2Seq
    rule: Rule | None
    step: int


def load_run(
    task: Task[Any], folder: RunFolder, overrides: Sequence[str] = (), *, measuring: bool = False
) -> StoredRun:
    """The best checkpoint, else the last, with digests verified. Overrides may change how it decodes, not what it is.

    A precision that the run has not been permitted is refused, unless it is about to be measured.
    """
    cfg = stored_config(task, folder, overrides)
    checkpoint = find_checkpoint(folder)
    if checkpoint.config.get("task_name") != task.name:
        raise ConfigError(f"{folder.path}: a run of {checkpoint.config.get('task_name')!r}, not of {task.name!r}")
    if cfg.train.threads:
        torch.set_num_threads(cfg.train.threads)
    codecs = load_codecs(checkpoint.codecs, task.codec_types)
    model = make_model(task, cfg, codecs)
    put_weights(model, checkpoint.weights, str(folder.path))
    if not measuring:
        check_permitted(folder, model, cfg.search.precision)
    model.to(choose_device(cfg.train.device)).eval()
    return StoredRun(task, folder, cfg, codecs, model, make_rule(task, cfg, codecs), checkpoint.step)


def others_of(run: StoredRun, folders: Sequence[Path]) -> tuple[Seq2Seq, ...]:
    """The models of further runs, which must read and write the same symbols."""
    own, models = dump_codecs(run.codecs), list[Seq2Seq]()
    for path in folders:
        other = load_run(run.task, existing_run(path))
        if dump_codecs(other.codecs) != own:
            raise ConfigError(
                f"--with {path}: its vocabulary is not that of {run.folder.path}; runs that decide together are trained"
                " with the same data and [task] table"
            )
        models.append(other.model.to(next(run.model.parameters()).device))
    return tuple(models)


def teacher_of(task: Task[Any], path: str, codecs: Codecs, device: torch.device) -> Seq2Seq | None:
    """The model of the run `train.teacher`, which must read and write the symbols of the one it teaches; none where none is named."""
    if not path:
        return None
    run = load_run(task, existing_run(Path(path)))
    if dump_codecs(run.codecs) != dump_codecs(codecs):
        raise ConfigError(
            f"train.teacher = {path!r}: its vocabulary is not this run's; a teacher is trained with the same data and [task] table"
        )
    return run.model.to(device)


def stored_config(task: Task[Any], folder: RunFolder, overrides: Sequence[str] = ()) -> RunConfig:
    """The run's own, with what was asked otherwise."""
    return load(run_config(task.config), folder.config, overrides).config


def find_checkpoint(folder: RunFolder) -> Checkpoint:
    """`best`, else `last`."""
    for path in (folder.best, folder.last):
        if (found := read_checkpoint(path)) is not None:
            return found
    raise DataError(f"{folder.path}: nothing saved yet; train it first (--resume)")
