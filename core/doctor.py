"""`doctor`: what a task's data looks like to the model, and whether its splits leak, before anyone trains on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.cli import default_config
from core.config_toml import is_override, load
from core.errors import ConfigError, DataError
from core.record import SPLITS, Record, Split
from core.settings import run_config
from core.task import Task


def doctor(task: Task[Any], words: Sequence[str]) -> int:
    """Print examples, rates and overlaps; 3 where a pair stands in two splits."""
    from core.data.sources import read_records

    overrides = [word for word in words if is_override(word)]
    files = [word for word in words if word not in overrides]
    if len(files) > 1:
        raise ConfigError(f"{files[1]}: one CONFIG is enough")
    path = Path(files[0]) if files else default_config(task)
    cfg = load(run_config(task.config), path, overrides).config
    found: dict[Split, list[Record]] = {}
    for split in SPLITS:
        try:
            found[split] = read_records(task, cfg.task, cfg.data, split).records
        except DataError as error:
            print(f"{split}: {error}")
            found[split] = []
    print("records: " + ", ".join(f"{split} {len(records):,}" for split, records in found.items()))
    if not found["train"]:
        return DataError.exit_code
    codecs = task.codecs(cfg.task, found["train"])
    for record in found["train"][:5]:
        ids = codecs.target.encode(record.target)
        print(f"\n{record.key}\n  source  {record.source}\n  target  {record.target}")
        print("  tokens  " + " | ".join(codecs.target.label(one) for one in ids))
        print(f"  ids     {ids}\n  decoded {codecs.target.decode(ids)}")
    print()
    for split in ("train", "dev", "test"):
        report(split, found[split], codecs.target)
    return leakage(found)


def report(split: str, records: Sequence[Record], tokenizer: Any) -> None:
    """Unknown symbols, and how much text comes back as it went in."""
    if not records:
        return
    sample = records[:: max(len(records) // 2000, 1)]
    encoded = [tokenizer.encode(record.target) for record in sample]
    symbols = sum(len(ids) for ids in encoded)
    unknown = sum(ids.count(3) for ids in encoded)
    back = sum(tokenizer.decode(ids) == record.target for ids, record in zip(encoded, sample, strict=True))
    lengths = sorted(len(ids) for ids in encoded)
    print(
        f"{split}: unknown {100 * unknown / max(symbols, 1):.2f} % of target tokens, round trip {100 * back / len(sample):.2f} %,"
        f" target length median {lengths[len(lengths) // 2]}, longest {lengths[-1]}"
    )


def leakage(found: dict[Split, list[Record]]) -> int:
    """Pairs and sources that stand in two splits."""
    pairs = {split: {(str(one.source), str(one.target)): one.key for one in records} for split, records in found.items()}
    leaks = 0
    for held in ("dev", "test"):
        shared = pairs[held].keys() & pairs["train"].keys()
        sources = {pair[0] for pair in pairs[held]} & {pair[0] for pair in pairs["train"]}
        print(f"{held}: {len(shared)} pairs and {len(sources)} sources stand in train too")
        for pair in sorted(shared)[:5]:
            print(f"  {pairs[held][pair]} = {pairs['train'][pair]}")
        leaks += len(shared)
    both = pairs["dev"].keys() & pairs["test"].keys()
    print(f"test: {len(both)} pairs stand in dev too")
    return DataError.exit_code if leaks or both else 0
