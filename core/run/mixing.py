"""`data.mix`: the training records of further sources behind those of the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from core.data.config import MAIN, DataConfig, MixedSource
from core.data.mixture import Mixture
from core.data.sources import ReadRecords, read_records
from core.errors import ConfigError, DataError
from core.record import Record
from core.task import Task


def read_mixed(task: Task[Any], task_config: Any, data: DataConfig) -> Iterator[ReadRecords]:
    """Each further source in order, whole: dev and test are no affair of theirs."""
    for one in data.mix:
        own = replace(
            data,
            source=one.source,
            path=one.path,
            train=one.train,
            dev="",
            test="",
            holdout=0.0,
            holdout_source="",
            holdout_target="",
            holdout_longer=0,
            limit=0,
            mix=(),
            temperature=1.0,
        )
        try:
            found = read_records(task, task_config, own, "train")
        except (ConfigError, DataError) as error:
            raise type(error)(f"data.mix, {one.name}: {error}") from None
        if not found.records:
            raise DataError(f"data.mix, {one.name}: no training records")
        yield ReadRecords([tagged(one, record) for record in found.records], found.refused)


def tagged(one: MixedSource, record: Record) -> Record:
    """Under a key of its own, and with its tag."""
    source = record.source
    if one.tag:
        if not isinstance(source, str):
            raise ConfigError(f"data.mix, {one.name}: tag = {one.tag!r} is for sources that are text; leave it out")
        source = f"{one.tag} {source}"
    return Record(f"{one.name}/{record.key}", source, record.target, {**record.meta, "mix": one.name})


def limited(records: Sequence[Record], sizes: Sequence[int], data: DataConfig) -> list[Record]:
    """The first so many of each source; 0: all."""
    found: list[Record] = []
    begin = 0
    limits = (data.limit, *(one.limit for one in data.mix))
    for size, limit in zip(sizes or (len(records),), limits, strict=True):
        found += records[begin : begin + (min(limit, size) if limit else size)]
        begin += size
    return found


def mixture_of(data: DataConfig, kept: Sequence[Record]) -> Mixture | None:
    """Of the records that training sees; None where there is one source."""
    if not data.mix:
        return None
    names = names_of(data)
    count = dict.fromkeys(names, 0)
    for record in kept:
        count[record.meta.get("mix", MAIN)] += 1
    if empty := [name for name in names if not count[name]]:
        raise DataError(f"data.mix, {empty[0]}: no training record fits batch.longest")
    return Mixture(tuple(count.values()), data.temperature)


def names_of(data: DataConfig) -> tuple[str, ...]:
    """Of all sources, in order."""
    return (MAIN, *(one.name for one in data.mix))


def mixed_facts(data: DataConfig, mixture: Mixture | None) -> dict[str, Any]:
    """For run.json: how many records each source has, and its share of training."""
    if mixture is None:
        return {}
    shares = mixture.counts / mixture.places
    return {
        "mix": {
            name: {"records": size, "share": float(share)}
            for name, size, share in zip(names_of(data), mixture.sizes, shares, strict=True)
        }
    }
