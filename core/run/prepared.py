"""A config made real: records, codecs, numbers, model."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.codec.types import Codecs, Encoded, as_encoded
from core.config import Impossible
from core.data.alignable import too_short
from core.data.answerable import unanswerable
from core.data.copying import Copying, with_copies
from core.data.encode import EncodedSplit, encode_split, place
from core.data.mixture import Mixture, said
from core.data.sources import Refused, read_records
from core.decode.answers import check
from core.decode.rules import Rule
from core.errors import DataError
from core.model.build import build
from core.model.seq2seq import Seq2Seq
from core.record import Record, Split
from core.run.mixing import limited, mixture_of, names_of, read_mixed
from core.run.varying import variation
from core.settings import RunConfig
from core.task import Task
from core.train.adapters import adapted


@dataclass(frozen=True, slots=True)
class SplitRecords:
    """One split as read, and what identifies it."""

    split: Split
    records: list[Record]
    sha256: str
    refused: tuple[Refused, ...]
    sizes: tuple[int, ...] = ()
    """Of train, where sources are mixed: records of each, one source behind the other."""


def read_split(task: Task[Any], cfg: RunConfig, split: Split) -> SplitRecords:
    """All records of a split; those refused by policy are counted and said."""
    found = read_records(task, cfg.task, cfg.data, split)
    if found.refused:
        first = found.refused[0]
        print(f"{split}: {len(found.refused)} records refused, the first: {first}", file=sys.stderr)
    if not found.records:
        raise DataError(f"data.source = {cfg.data.source!r} has no {split} records")
    more = list(read_mixed(task, cfg.task, cfg.data)) if split == "train" else []
    records = [*found.records, *(record for one in more for record in one.records)]
    refused = (*found.refused, *(refusal for one in more for refusal in one.refused))
    sizes = (len(found.records), *(len(one.records) for one in more)) if more else ()
    return SplitRecords(split, records, digest(records), refused, sizes)


def source_name(task: Task[Any], cfg: RunConfig) -> str:
    """`builtin` by its own name."""
    return next(iter(task.sources)) if cfg.data.source == "builtin" and task.sources else cfg.data.source


def digest(records: Sequence[Record]) -> str:
    """sha256 over keys, sources, targets and further references: results compare only where it is equal."""
    found = hashlib.sha256()
    for record in records:
        row = (record.key, record.source, record.target, record.meta.get("references", ()))
        found.update(json.dumps(row, ensure_ascii=False, default=identity).encode("utf-8", "surrogatepass"))
        found.update(b"\n")
    return found.hexdigest()


def identity(value: object) -> str:
    """What a task's own type calls itself, wherever its files lie: its `identity` where it has one."""
    return str(getattr(value, "identity", value))


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What training reads."""

    train: SplitRecords
    dev: SplitRecords
    codecs: Codecs
    encoded: EncodedSplit
    augmented: Callable[[int, np.random.Generator], tuple[Encoded, Sequence[int]]] | None
    mixture: Mixture | None = None


def training_data(task: Task[Any], cfg: RunConfig, codecs: Codecs | None = None) -> TrainingData:
    """Read and encode; `codecs` are given where a run goes on."""
    train, dev = read_split(task, cfg, "train"), read_split(task, cfg, "dev")
    records = limited(train.records, train.sizes, cfg.data)
    if codecs is not None and cfg.train.init_from and (why := unreadable(codecs, records[0])):
        raise DataError(
            f"{place(records[0])}: the tokenizers of {cfg.train.init_from} cannot read it ({why});"
            ' train.init_codecs = "data" fits new ones'
        )
    codecs = codecs or task.codecs(cfg.task, records)
    encoded = encode_split(
        records,
        codecs,
        longest=cfg.batch.longest,
        long=cfg.data.long,
        copy=cfg.model.copies,
        head=cfg.model.head,
    )
    if encoded.unanswerable:
        what = f"{encoded.unanswerable} of {len(records)} records cannot be answered by model.head = {cfg.model.head!r}"
        if not encoded.records:
            raise DataError(f"train: {what}; {encoded.reason}")
        print(f"train: {what}: left out, the first: {encoded.reason}", file=sys.stderr)
    if encoded.too_long:
        done = "cut" if cfg.data.long == "truncate" else "left out"
        print(
            f"train: {encoded.too_long} of {len(records)} records longer than batch.longest = {cfg.batch.longest}: {done}",
            file=sys.stderr,
        )
    if not encoded.records:
        raise DataError(f"no training record fits batch.longest = {cfg.batch.longest}")
    if cfg.model.ctc:
        say_too_short(encoded, cfg)
    mixture = mixture_of(cfg.data, encoded.records)
    if mixture is not None:
        print(said(names_of(cfg.data), mixture), file=sys.stderr)
    return TrainingData(train, dev, codecs, encoded, augmentation(task, cfg, codecs, encoded.records), mixture)


def unreadable(codecs: Codecs, record: Record) -> str:
    """Why tokenizers of another task cannot read a record, or nothing."""
    try:
        codecs.source.encode(record.source)
        codecs.target.encode(record.target)
    except (AttributeError, LookupError, OSError, TypeError, ValueError, DataError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def say_too_short(encoded: EncodedSplit, cfg: RunConfig) -> None:
    """Of these records the decoder's loss alone counts."""
    short_N = too_short(encoded.examples, cfg.model.subsample)
    if not short_N.any():
        return
    first = encoded.records[int(short_N.argmax())]
    fault = f"fewer frames (model.subsample = {cfg.model.subsample}) than CTC needs for their targets"
    if short_N.all():
        raise DataError(f"train: all records have {fault}, the first: {place(first)}")
    print(
        f"train: {short_N.sum()} of {len(short_N)} records have {fault}, the first: {place(first)}; there it learns nothing",
        file=sys.stderr,
    )


def augmentation(
    task: Task[Any], cfg: RunConfig, codecs: Codecs, records: Sequence[Record]
) -> Callable[[int, np.random.Generator], tuple[Encoded, Sequence[int]]] | None:
    """Row and random numbers -> a fresh variant of that record, encoded; None where records are left alone."""
    vary = variation(task, cfg, records)
    if vary is None:
        return None

    copies: Copying = cfg.model.copies

    def encode(row: int, random: np.random.Generator) -> tuple[Encoded, Sequence[int]]:
        source, target = pair(vary(records[row], random))
        long = max(len(source.values), len(target)) > cfg.batch.longest  # a variant may have grown: then as it was
        return pair(records[row]) if long or unanswerable(cfg.model.head, source, target) else (source, target)

    def pair(record: Record) -> tuple[Encoded, Sequence[int]]:
        source, target = as_encoded(codecs.source.encode(record.source)), codecs.target.encode(record.target)
        return with_copies(record, codecs, source, target, copies) if copies else (source, target)

    return encode


def make_model(task: Task[Any], cfg: RunConfig, codecs: Codecs) -> Seq2Seq:
    """The model of a config, freshly initialised by its seed."""
    check(cfg.model.ctc, cfg.search)
    features = task.features(cfg.task, codecs) if task.features else None
    try:
        model = build(cfg.model, codecs, features=features, seed=cfg.seed)
    except Impossible as error:
        raise error if error.field.startswith("model.") else Impossible(f"model.{error.field}", error.reason) from None
    return adapted(model, cfg.train.lora, cfg.train.lora_alpha, seed=cfg.seed)


def make_rule(task: Task[Any], cfg: RunConfig, codecs: Codecs) -> Rule | None:
    """The task's rule for decoding and for losses over legal tokens."""
    return task.rule(cfg.task, codecs) if task.rule else None


def choose_device(name: str) -> torch.device:
    """`auto` takes the first GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"train.device = {name!r}: {str(error).splitlines()[0]}") from None
    return device
