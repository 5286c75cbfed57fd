"""What becomes of a training record before it is read: the task's own variant, then synonyms, then noise, drawn anew each epoch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.data.noise import Chosen, chosen
from core.data.synonyms import Synonyms, read_synonyms
from core.data.text_noise import TEXT_NOISES
from core.errors import ConfigError, DataError
from core.record import Record
from core.settings import RunConfig
from core.task import Task

Vary = Callable[[Record, np.random.Generator], Record]


def variation(task: Task[Any], cfg: RunConfig, records: Sequence[Record]) -> Vary | None:
    """None where records are left alone."""
    steps = [one for one in (own(task, cfg, records), reworded(cfg, records), perturbed(task, cfg, records)) if one]
    if len(steps) < 2:
        return steps[0] if steps else None

    def vary(record: Record, random: np.random.Generator) -> Record:
        for step in steps:
            record = step(record, random)
        return record

    return vary


def own(task: Task[Any], cfg: RunConfig, records: Sequence[Record]) -> Vary | None:
    """How the task varies a record, with the others at hand where it asks for them."""
    among = task.augment_among(cfg.task) if task.augment_among else None
    if among is not None:
        return lambda record, random: among(record, records, random)
    return task.augment(cfg.task) if task.augment else None


def reworded(cfg: RunConfig, records: Sequence[Record]) -> Vary | None:
    """`train.synonyms`; how many words it knows of is said."""
    if not cfg.train.synonyms:
        return None
    known = dictionary(cfg)
    try:
        found, total = known.counted(records)
    except ConfigError as error:
        raise ConfigError(f"train.synonyms: {error}") from None
    if not found:
        raise DataError(f"train.synonyms: {cfg.train.synonyms}: none of its words stands in a training source")
    print(
        f"train.synonyms: {len(known.words):,} words, which are {found:,} of the {total:,} in training sources"
        f" ({100 * found / total:.1f} %); of these {100 * known.share:g} % are replaced",
        file=sys.stderr,
    )
    return known.varied


def dictionary(cfg: RunConfig) -> Synonyms:
    """The file that `train.synonyms` names."""
    return read_synonyms(Path(cfg.train.synonyms).expanduser(), cfg.train.synonym_share)


def perturbed(task: Task[Any], cfg: RunConfig, records: Sequence[Record]) -> Vary | None:
    """`train.noise`: one of them for a share of the records. Tried on the first, so that what cannot be is said at once."""
    if not cfg.train.noise:
        return None
    noises, share = noises_of(task, cfg.train.noise, "train.noise:"), cfg.train.noise_share
    for one in noises:
        try:
            one.drawn(cfg.task, records[0], np.random.default_rng(0))
        except ConfigError as error:
            raise ConfigError(f"train.noise: {one}: {error}") from None

    def vary(record: Record, random: np.random.Generator) -> Record:
        if random.random() >= share:
            return record
        return noises[int(random.integers(len(noises)))].drawn(cfg.task, record, random)

    return vary


def noises_of(task: Task[Any], asked: Sequence[str], where: str) -> tuple[Chosen[Any], ...]:
    """By name, with commas between several, among the task's own, or those of text where it says nothing."""
    asked = [one.strip() for text in asked for one in text.split(",")]
    return chosen(asked, TEXT_NOISES if task.noises is None else task.noises, where, task.name)
