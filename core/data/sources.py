"""`data.source` resolved: the one way from a config to the records of a split."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, filterfalse, islice
from pathlib import Path
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from core.data.config import DataConfig
from core.data.files import split_files
from core.data.hub import read_hub
from core.data.jsonl import read_jsonl
from core.data.lines import BadLine
from core.data.split import hashed_share
from core.errors import BadRecord, ConfigError, DataError
from core.nearest import did_you_mean
from core.record import Record, Split

if TYPE_CHECKING:
    from core.task import Format, Task

Read = Callable[[Split], Iterator[Record]]
JSONL = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that was left out by `data.bad`."""

    message: str
    """With its place."""
    raw: str = ""
    """What stood there, where that is text."""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class ReadRecords:
    """A split as read."""

    records: list[Record]
    refused: list[Refused]


def read_records(task: Task[Any], task_config: Any, data: DataConfig, split: Split) -> ReadRecords:
    """All records of a split, and those refused."""
    refused: list[Refused] = []
    return ReadRecords(list(records(task, task_config, data, split, refused.append)), refused)


def records(
    task: Task[Any],
    task_config: Any,
    data: DataConfig,
    split: Split,
    report: Callable[[Refused], object] = lambda refused: None,
) -> Iterator[Record]:
    """Records of a split with unique keys, the same ones each time; `report` is told of those left out."""
    source = resolve(task, task_config, data)
    found = unique(under_policy(source(split), data, report))
    if split != "train" or data.shards == 1 or data.source == "hf":  # which takes its part itself
        return found
    return islice(found, data.shard, None, data.shards)


def resolve(task: Task[Any], task_config: Any, data: DataConfig) -> Read:
    """A task's own source of a name comes before core's, so that a task may widen `files`."""
    own = dict(task.sources)
    if own and data.source == "builtin":
        return partial(next(iter(own.values())), task_config, data)
    if data.source in own:
        return partial(own[data.source], task_config, data)
    read_target = partial(task.read_target, task_config) if task.read_target else None
    match data.source:
        case "jsonl":

            def jsonl(split: Split) -> Iterator[Record]:
                files = split_files(data, split, JSONL)
                return chain.from_iterable(
                    read_jsonl(
                        path,
                        read=source_reader(task, task_config, path.parent),
                        read_target=read_target,
                        prefix=f"{split}{number or ''}",
                    )
                    for number, path in enumerate(files)
                )

            return with_holdout(jsonl, data)
        case "files":
            return with_holdout(partial(read_files, task.formats, task_config, data), data)
        case "hf":
            read = source_reader(task, task_config, Path())
            hub, whole = (
                partial(read_hub, one, read=read, read_target=read_target)
                for one in (data, replace(data, shards=1, shard=0))
            )
            return with_holdout(hub, data, whole)
        case name:
            choices = list(dict.fromkeys(("builtin", *own, "jsonl", "files", "hf")))
            hint = did_you_mean(name, choices)
            raise ConfigError(f"data.source = {name!r}: no such source{hint}; {task.name} has {', '.join(choices)}")


def source_reader(task: Task[Any], task_config: Any, folder: Path) -> Callable[[Any], Any] | None:
    """A JSON value -> a source of the task, whose file names begin in `folder`; None: as it is."""
    whole = task.read
    return None if whole is None else lambda value: whole(task_config, value, folder)


def read_files(
    formats: Mapping[str, Format[Any]], task_config: Any, data: DataConfig, split: Split
) -> Iterator[Record]:
    """The field's own formats, told apart by their endings."""
    able = {ending: one for one in formats.values() if one.read is not None for ending in one.endings}
    if not able:
        raise ConfigError('data.source = "files": this task has no file format of its own; "jsonl" is right')
    files = split_files(data, split, tuple(able))
    return chain.from_iterable(
        map(partial(named, f"{split}{number or ''}"), reader(able, str(path))(task_config, path))
        for number, path in enumerate(files)
    )


def reader(able: dict[str, Format[Any]], name: str) -> Callable[[Any, Path], Iterator[Record]]:
    """The reader of a file, by the longest ending that fits."""
    fitting = [ending for ending in able if name.endswith(ending)]
    read = able[max(fitting, key=len)].read if fitting else None
    if read is None:
        raise ConfigError(f"{name}: unknown ending; one of {', '.join(able)}")
    return read


def named(prefix: str, record: Record) -> Record:
    """Formats number or name their records file by file; with the split before it a key is unique."""
    if record.target is None:
        place = str(record.meta.get("place", record.key))
        raise BadLine(place, "no target; training and scoring need one", str(record.source))
    return replace(record, key=f"{prefix}-{record.key}")


def with_holdout(read: Read, data: DataConfig, whole: Read | None = None) -> Read:
    """Where there are no dev records, a part of train serves as dev: what a hash of the keys chooses, or what has a pattern in it.

    Where `read` gives this process's share of train alone, `whole` gives all of it: dev is the same for everyone.
    """
    held_out, said = holding_out(data)

    def reading(split: Split) -> Iterator[Record]:
        if split == "test":
            return read("test")
        dev, first = peek(read("dev"))
        if first and (key := data.holding_out):
            raise ConfigError(f"data.{key} = {getattr(data, key)!r}: there are dev records already; leave it out")
        if split == "train":
            train = read("train")
            return train if first else filterfalse(held_out, train)
        if first or not said:
            return dev
        print(f"no dev data: {said}", file=sys.stderr)
        return filter(held_out, (whole or read)("train"))

    return reading


def holding_out(data: DataConfig) -> tuple[Callable[[Record], bool], str]:
    """(whether a training record serves as dev, how that is said); nothing is said where none does."""
    if not data.holding_out:
        said = f"{100 * data.holdout:g} % of train is held out by a hash of its keys" if data.holdout else ""
        return lambda record: hashed_share(record.key) < data.holdout, said
    patterns = {"source": data.holdout_source, "target": data.holdout_target}
    given = {side: re.compile(pattern) for side, pattern in patterns.items() if pattern}
    wheres = [f"{pattern!r} is in the {side}" for side, pattern in patterns.items() if pattern]
    if data.holdout_longer:
        wheres.append(f"the target has more than {data.holdout_longer} words")

    def found(record: Record) -> bool:
        if data.holdout_longer and len(text_of(record, "target").split(" ")) <= data.holdout_longer:
            return False
        return all(pattern.search(text_of(record, side)) is not None for side, pattern in given.items())

    return found, f"the training records are held out where {' and '.join(wheres)}"


def text_of(record: Record, side: str) -> str:
    """A side of a record that a pattern can be looked for in."""
    value = getattr(record, side)
    if not isinstance(value, str):
        raise ConfigError(f"data.holdout_{side}: the {side}s of this task are no text; data.holdout goes by a hash")
    return value


def peek(found: Iterator[Record]) -> tuple[Iterator[Record], bool]:
    """The iterator again, and whether it has anything (a record that is refused counts)."""
    try:
        first = next(found)
    except StopIteration:
        return found, False
    except BadRecord as error:
        return chain(map(raise_it, [error]), found), True
    return chain([first], found), True


def raise_it(error: BadRecord) -> Record:
    """Put an error back into the stream."""
    raise error


def under_policy(found: Iterator[Record], data: DataConfig, report: Callable[[Refused], object]) -> Iterator[Record]:
    """`data.bad`: the first bad record ends the reading, or each is reported and passed over."""
    while True:
        try:
            record = next(found)
        except StopIteration:
            return
        except BadRecord as error:
            if data.bad == "stop":
                raise
            if isinstance(found, GeneratorType):  # it ended with the error: what follows would be lost in silence
                raise DataError(f"{error} (this source cannot go on after a bad record)") from None
            report(Refused(str(error), getattr(error, "raw", "")))
        else:
            yield record


def unique(found: Iterator[Record]) -> Iterator[Record]:
    """A key names one record."""
    places: dict[str, Any] = {}
    for record in found:
        place = record.meta.get("place", f"record {len(places) + 1}")
        if record.key in places:
            raise DataError(f"{place}: the key {record.key!r} stands at {places[record.key]} already")
        places[record.key] = place
        yield record
