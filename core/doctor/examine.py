"""`doctor`: what a task's data looks like to the model, what is wrong with it, and whether its splits leak, before anyone trains on it.

Exit 3 where a source stands in two splits (with --strict also where nearly the same one does), or there is nothing to train on.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from core.cli import default_config
from core.codec.types import UNK, Codecs, Featurizer, Rewriting, Tokenizer, as_encoded
from core.config_toml import is_override, load
from core.data.alike import EQUAL, TEXT, Alike
from core.data.sources import read_records
from core.doctor.damage import damage
from core.doctor.lengths import outliers, shifted, uneven
from core.doctor.twins import Crowd, nearly_repeated, place_of, repeated, twins
from core.errors import ConfigError, DataError
from core.record import SPLITS, Record, Split
from core.run.folder import write_json
from core.settings import run_config
from core.task import Task

EXAMPLES = 5
SAMPLE = 2000
"""Records of a split that rates are measured on, evenly spread over it."""
SHOWN = 5
"""Places that are printed of each fault; --json has all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    config: Path | None
    overrides: tuple[str, ...]
    json: Path | None
    strict: bool


def doctor(task: Task[Any], words: Sequence[str]) -> int:
    """Print sizes, examples, rates, faults and overlaps."""
    asked = read_words(words)
    cfg = load(run_config(task.config), asked.config or default_config(task), asked.overrides).config
    found: dict[Split, list[Record]] = {}
    refused: dict[Split, int] = {}
    for split in SPLITS:
        read = read_records(task, cfg.task, cfg.data, split)
        found[split], refused[split] = read.records, len(read.refused)
        told = f", {len(read.refused)} refused, the first: {read.refused[0]}" if read.refused else ""
        print(f"{split:<5}  {len(read.records):,} records of {cfg.data.source}{told}")
    train = found["train"]
    if not train:
        raise DataError(f"data.source = {cfg.data.source!r} has no train records")
    codecs = task.codecs(cfg.task, train)
    for record in train[:: max(len(train) // EXAMPLES, 1)][:EXAMPLES]:
        print("\n" + example(record, codecs))
    print()
    tree: dict[str, Any] = {"task": task.name, "source": cfg.data.source, "splits": {}, "between": {}, "rates": {}}
    for split in ("train", "dev"):
        for side in ("source", "target"):
            known = rates(found[split], codecs, side)
            print(f"{split:<5}  {side}  {known or 'no records'}")
            tree["rates"][f"{split} {side}"] = known.tree() if known else None
    print()
    alike = task.alike or (TEXT if isinstance(train[0].source, str) else EQUAL)
    crowds = {split: Crowd(alike, records) for split, records in found.items() if split != "test"}
    for split, records in found.items():
        faults = found_faults(records) | found_twice(alike, records, crowds.get(split))
        tree["splits"][split] = {"records": len(records), "refused": refused[split], **faults}
        for what, places in faults.items():
            print(said(split, what, places, len(records)))
    print()
    leaks = nearly = 0
    for one, other in combinations(SPLITS, 2):
        same, near = twins(crowds[one], found[other])
        leaks, nearly = leaks + len(same), nearly + len(near)
        tree["between"][f"{one} and {other}"] = {
            "same": [asdict(twin) for twin in same],
            "near": [asdict(twin) for twin in near],
        }
        share = 100 * len(near) / max(len(found[other]), 1)
        print(f"{one} and {other}: {len(same)} sources in both; {len(near)} of {other} nearly ({share:.1f} %)")
        for twin in (*same[:SHOWN], *near[:SHOWN]):
            how = "" if twin.share == 1 else f" ({100 * twin.share:.0f} % {alike.said})"
            print(f"  {twin.other} and {twin.place}: {twin.text}{how}")
    if leaks:
        print("leakage: what is measured on a source that was trained on is memory")
    if asked.json is not None:
        write_json(asked.json, tree)
    return DataError.exit_code if leaks or (asked.strict and nearly) else 0


def read_words(words: Sequence[str]) -> Asked:
    """CONFIG, settings, --json FILE, --strict."""
    config: list[str] = []
    overrides: list[str] = []
    json: Path | None = None
    strict = False
    rest = iter(words)
    for word in rest:
        if word == "--strict":
            strict = True
        elif word == "--json" or word.startswith("--json="):
            name = word.removeprefix("--json=") if "=" in word else next(rest, "")
            if not name:
                raise ConfigError("--json: which FILE?")
            json = Path(name)
            if not json.parent.is_dir():
                raise ConfigError(f"--json {name}: no such folder {json.parent}")
        elif is_override(word):
            overrides.append(word)
        elif word.endswith(".toml"):
            config.append(word)
        else:
            raise ConfigError(f"{word}: neither a CONFIG.toml nor key=value nor --json FILE nor --strict")
    if len(config) > 1:
        raise ConfigError(f"{config[1]}: one CONFIG is enough, {config[0]} was given before")
    return Asked(Path(config[0]) if config else None, tuple(overrides), json, strict)


def found_faults(records: Sequence[Record]) -> dict[str, list[str]]:
    """What -> the places of the records, for what can be seen of texts."""
    damaged: list[str] = []
    for record in records:
        for side in (record.source, record.target):
            if isinstance(side, str) and (why := damage(side)):
                damaged.append(f"{place_of(record)}: {why}")
                break
    faults = {"encoding damage": damaged}
    both = [record for record in records if isinstance(record.source, str) and isinstance(record.target, str)]
    if both and len(both) == len(records):
        source_N, target_N = (
            [len(one) for one in side] for side in zip(*((r.source, r.target) for r in both), strict=True)
        )
        faults["lengths far out"] = [place_of(both[row]) for row in sorted({*outliers(source_N), *outliers(target_N)})]
        faults["one side far longer"] = [place_of(both[row]) for row in uneven(source_N, target_N)]
        faults["lines that fit others better"] = [
            f"{place_of(both[one.begin])} to {place_of(both[one.end - 1])}: targets stand {abs(one.by)} "
            f"too {'late' if one.by > 0 else 'early'}"
            for one in shifted(source_N, target_N)
        ]
    return faults


def found_twice(alike: Alike, records: Sequence[Record], crowd: Crowd | None) -> dict[str, list[str]]:
    """What -> the places of the records that were said before in the same split."""
    again, otherwise = repeated(alike, records)
    found = {
        "said twice": [f"{twin.place} as {twin.other}" for twin in again],
        "answered otherwise": [f"{twin.place} as {twin.other}" for twin in otherwise],
    }
    if crowd is not None and alike.letters:
        found["nearly said before"] = [
            f"{twin.place} as {twin.other} ({100 * twin.share:.0f} %)" for twin in nearly_repeated(crowd)
        ]
    return found


def said(split: Split, what: str, places: Sequence[str], of: int) -> str:
    """A line, and the first places."""
    line = f"{split:<5}  {what}: {len(places):,} of {of:,}"
    return "\n".join([line, *(f"  {place}" for place in places[:SHOWN])])


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
    """Sorted."""
    unknown: int = 0
    back: int | None = None
    """Records that decode to what they were; None of frames, which nothing decodes."""

    def tree(self) -> dict[str, Any]:
        """For --json."""
        found = {"sample": len(self.lengths), "median": self.middle, "longest": self.lengths[-1]}
        return found if self.back is None else {**found, "unknown": self.unknown_share, "round trip": self.back_share}

    @property
    def middle(self) -> int:
        return self.lengths[len(self.lengths) // 2]

    @property
    def unknown_share(self) -> float:
        """Percent of the tokens."""
        return round(100 * self.unknown / max(sum(self.lengths), 1), 2)

    @property
    def back_share(self) -> float:
        """Percent of the records."""
        return round(100 * (self.back or 0) / len(self.lengths), 2)

    def __str__(self) -> str:
        told = f"length median {self.middle}, longest {self.lengths[-1]}"
        if self.back is None:
            return f"frames, {told}"
        return f"unknown tokens {self.unknown_share:.2f} %, round trip {self.back_share:.2f} %, {told}"


def rates(records: Sequence[Record], codecs: Codecs, side: str) -> Side | None:
    """Unknown tokens, how much comes back as it went in, and lengths; None where there is no record."""
    sample = records[:: max(len(records) // SAMPLE, 1)]
    codec = codecs.source if side == "source" else codecs.target
    raw = [record.source if side == "source" else record.target for record in sample]
    if not sample:
        return None
    encoded = [as_encoded(codec.encode(one)).values for one in raw]
    if isinstance(codec, Featurizer):
        return Side(sorted(len(one) for one in encoded))
    return measured(codec, raw, [one.tolist() for one in encoded])


def measured(codec: Tokenizer, raw: Sequence[Any], encoded: Sequence[list[int]]) -> Side:
    """The rates of a tokenizer."""
    same = codec.same if isinstance(codec, Rewriting) else operator.eq
    back = sum(bool(same(codec.decode(ids), one)) for ids, one in zip(encoded, raw, strict=True))
    return Side(sorted(len(ids) for ids in encoded), sum(ids.count(UNK) for ids in encoded), back)
