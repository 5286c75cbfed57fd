"""`doctor`: what a task's data looks like to the model, and whether its splits leak, before anyone trains on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from core.cli import default_config
from core.codec.types import UNK, Codecs, Featurizer, Tokenizer, as_encoded
from core.config_toml import is_override, load
from core.data.sources import read_records
from core.errors import ConfigError, DataError
from core.record import SPLITS, Record, Split
from core.settings import run_config
from core.task import Task

EXAMPLES = 5
SAMPLE = 2000
"""Records of a split that rates are measured on, evenly spread over it."""
SHOWN = 5
"""Leaks that are printed."""


def doctor(task: Task[Any], words: Sequence[str]) -> int:
    """Print sizes, examples, rates and overlaps; 3 where a source stands in two splits, or there is nothing to train on."""
    overrides = [word for word in words if is_override(word)]
    files = [word for word in words if word not in overrides]
    if wrong := [word for word in files if not word.endswith(".toml")]:
        raise ConfigError(f"{wrong[0]}: neither a CONFIG.toml nor key=value")
    if len(files) > 1:
        raise ConfigError(f"{files[1]}: one CONFIG is enough, {files[0]} was given before")
    path = Path(files[0]) if files else default_config(task)
    cfg = load(run_config(task.config), path, overrides).config
    found: dict[Split, list[Record]] = {}
    for split in SPLITS:
        read = read_records(task, cfg.task, cfg.data, split)
        found[split] = read.records
        refused = f", {len(read.refused)} refused, the first: {read.refused[0]}" if read.refused else ""
        print(f"{split:<5}  {len(read.records):,} records of {cfg.data.source}{refused}")
    if not found["train"]:
        raise DataError(f"data.source = {cfg.data.source!r} has no train records")
    codecs = task.codecs(cfg.task, found["train"])
    train = found["train"]
    for record in train[:: max(len(train) // EXAMPLES, 1)][:EXAMPLES]:
        print("\n" + example(record, codecs))
    print()
    for split in ("train", "dev"):
        for side in ("source", "target"):
            print(f"{split:<5}  {side}  {rates(found[split], codecs, side)}")
    print()
    return leakage(found)


def example(record: Record, codecs: Codecs) -> str:
    """Raw, as tokens, as ids, and back."""
    lines = [str(record.meta.get("place") or record.key)]
    for side, codec, raw in (("source", codecs.source, record.source), ("target", codecs.target, record.target)):
        lines.append(f"  {side}   {raw}")
        encoded = as_encoded(codec.encode(raw)).values
        if isinstance(codec, Featurizer) or encoded.ndim == 2:
            lines.append(f"  frames   {encoded.shape[0]} of {encoded.shape[1]} features")
            continue
        ids = encoded.tolist()
        lines.append("  tokens   " + " | ".join(codec.label(token) for token in ids))
        lines.append("  ids      " + " ".join(str(token) for token in ids))
        lines.append(f"  decoded  {codec.decode(ids)}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Side:
    """What is measured of one side of a sample of records."""

    lengths: list[int]
    unknown: int
    back: int
    """Records that decode to what they were."""

    def __str__(self) -> str:
        middle, longest = self.lengths[len(self.lengths) // 2], self.lengths[-1]
        unknown = 100 * self.unknown / max(sum(self.lengths), 1)
        back = 100 * self.back / len(self.lengths)
        return f"unknown tokens {unknown:.2f} %, round trip {back:.2f} %, length median {middle}, longest {longest}"


def rates(records: Sequence[Record], codecs: Codecs, side: str) -> str:
    """Unknown tokens, how much comes back as it went in, and lengths."""
    sample = records[:: max(len(records) // SAMPLE, 1)]
    codec = codecs.source if side == "source" else codecs.target
    raw = [record.source if side == "source" else record.target for record in sample]
    if not sample:
        return "no records"
    encoded = [as_encoded(codec.encode(one)).values for one in raw]
    if isinstance(codec, Featurizer):
        lengths = sorted(len(one) for one in encoded)
        return f"frames, length median {lengths[len(lengths) // 2]}, longest {lengths[-1]}"
    return str(measured(codec, raw, [one.tolist() for one in encoded]))


def measured(codec: Tokenizer, raw: Sequence[Any], encoded: Sequence[list[int]]) -> Side:
    """The rates of a tokenizer."""
    back = sum(codec.decode(ids) == one for ids, one in zip(encoded, raw, strict=True))
    return Side(sorted(len(ids) for ids in encoded), sum(ids.count(UNK) for ids in encoded), back)


def leakage(found: Mapping[Split, Sequence[Record]]) -> int:
    """Sources that stand in two splits, said with their keys; 3 if there are any."""
    keys: dict[Split, dict[str, str]] = {}
    for split, records in found.items():
        keys[split] = {str(record.source): str(record.meta.get("place") or record.key) for record in records}
    leaks = 0
    for one, other in combinations(SPLITS, 2):
        shared = sorted(keys[one].keys() & keys[other].keys())
        leaks += len(shared)
        print(f"{one} and {other}: {len(shared)} sources in both")
        for source in shared[:SHOWN]:
            print(f"  {keys[one][source]} and {keys[other][source]}: {source[:80]}")
    if leaks:
        print("leakage: what is measured on a source that was trained on is memory")
    return DataError.exit_code if leaks else 0
