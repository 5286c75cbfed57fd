"""Data sets that the library `datasets` reads: parquet and arrow files, folders of them, ids of the hub."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from core.data.cache import cache_folder
from core.data.config import DataConfig
from core.data.files import own_file
from core.data.jsonl import Read, name_of, text
from core.data.lines import BadLine
from core.errors import BadRecord, ConfigError, DataError
from core.record import Record, Split

QUOTED = 160
"""Letters of a refused cell that are kept: one may hold a whole recording."""
BUILDERS = {".parquet": "parquet", ".arrow": "arrow"}
NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("dev", "validation", "valid", "val"),
    "test": ("test",),
}


def read_hub(data: DataConfig, split: Split, *, read: Read | None, read_target: Read | None) -> Iterator[Record]:
    """Records of a split, none where there is no such split. Goes on after a refused record (it is a `map`)."""
    rows = as_written(load(data, split))
    where = f"{' '.join(data.path) or 'data'}[{split}]"

    def parse(numbered: tuple[int, Any]) -> Record:
        number, row = numbered
        place = f"{where}:{number}"
        source = converted(place, data.column_source, read or text, cell(row, data.column_source, "column_source"))
        target = converted(
            place, data.column_target, read_target or text, cell(row, data.column_target, "column_target")
        )
        return Record(f"{split}-{number}", source, target, {"place": place})

    return map(parse, numbered(rows, data, split))


def numbered(rows: Iterable[Any], data: DataConfig, split: Split) -> Iterator[tuple[int, Any]]:
    """Rows with their number in the whole data set, whoever reads them: keys, and so what is held out, stay the same.

    Of a data set on disk only this process's own training rows are touched; a stream is passed over.
    """
    if split != "train" or data.shards == 1:
        return enumerate(rows, start=1)
    length = getattr(rows, "__len__", None)
    if length is None:
        return islice(enumerate(rows, start=1), data.shard, None, data.shards)
    table: Any = rows
    return ((place + 1, table[place]) for place in range(data.shard, length(), data.shards))


def converted(place: str, column: str, read: Read, value: Any) -> Any:
    """What the task makes of a cell, its refusal with the place."""
    if value is None:
        raise BadLine(place, f"`{column}` is empty")
    try:
        return read(value)
    except BadRecord as error:
        raise BadLine(place, f"`{column}`: {error}", str(value)[:QUOTED]) from None


def as_written(rows: Iterable[Any]) -> Iterable[Any]:
    """Columns of sound stay bytes and names: what becomes of them is the task's, whose refusals have a place."""
    for name, feature in (getattr(rows, "features", None) or {}).items():
        if type(feature).__name__ == "Audio":
            rows = rows.cast_column(name, type(feature)(decode=False))  # pyright: ignore[reportAttributeAccessIssue]
    return rows


def cell(row: dict[str, Any], column: str, key: str) -> Any:
    """The value of a column; dots descend into nested ones."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if not isinstance(value, dict) or part not in value:
            kind = ", ".join(str(name) for name in value) if isinstance(value, dict) else name_of(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            raise ConfigError(f"data.{key} = {column!r}: no column {part!r}; there are {kind}")
        value = value[part]  # pyright: ignore[reportUnknownVariableType]
    return value  # pyright: ignore[reportUnknownVariableType]


def load(data: DataConfig, split: Split) -> Iterable[Any]:
    """The rows of a split."""
    try:
        import datasets
        from datasets import exceptions as datasets_errors
    except ImportError:
        raise ConfigError('data.source = "hf" needs the library datasets: pip install datasets') from None
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    local = local_files(data, split)
    try:
        if local is None:
            return from_hub(datasets, data, split)
        if not local:
            return ()
        if local[0].is_dir():  # written by `save_to_disk`
            return datasets.load_from_disk(str(local[0]))
        return datasets.load_dataset(
            BUILDERS[local[0].suffix],
            data_files={split: [str(path) for path in local]},
            split=split,
            streaming=data.streaming,
            cache_dir=str(cache_folder(data) / "datasets"),
        )
    except (OSError, ValueError, RuntimeError, datasets_errors.DatasetsError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{' '.join(data.path) or getattr(data, split)}: {reason}") from None


def from_hub(datasets: Any, data: DataConfig, split: Split) -> Iterable[Any]:
    """A published data set, by its id."""
    (name,) = data.path
    there = datasets.get_dataset_split_names(name, data.name or None)
    chosen = next((one for one in NAMES[split] if one in there), None)
    if chosen is None:
        if split == "train":
            raise DataError(f"{name}: no split `train`; there are {', '.join(there)}")
        return ()
    cache = str(cache_folder(data) / "datasets")
    return datasets.load_dataset(name, data.name or None, split=chosen, streaming=data.streaming, cache_dir=cache)


def local_files(data: DataConfig, split: Split) -> list[Path] | None:
    """Files of a split; None if `data.path` is an id of the hub."""
    if single := own_file(data, split):
        return checked([single])
    if not data.path:
        if data.train or data.dev or data.test:
            return []
        raise ConfigError(
            'data.source = "hf" needs data.path: the id of a data set, or a parquet or arrow file or folder'
        )
    paths = [Path(name).expanduser() for name in data.path]
    if not any(path.exists() for path in paths):
        if len(paths) > 1:
            raise DataError(f"data.path: {paths[0]}: no such file or folder")
        return None
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"data.path: {path}: no such file or folder")
        found.extend(within(path, split) if path.is_dir() else [path] if split == "train" else [])
    return checked(found)


def within(folder: Path, split: Split) -> list[Path]:
    """A folder's files of a split, by their names; if none is named after a split, all of them are training data."""
    if named := [folder / name for name in NAMES[split] if (folder / name / "state.json").exists()]:
        return named
    if (folder / "state.json").exists():
        return [folder] if split == "train" else []
    files = sorted(path for path in folder.rglob("*") if path.suffix in BUILDERS)
    if not files:
        raise DataError(f"{folder}: holds no .parquet or .arrow file")
    by_split = {one: [path for path in files if path.name.startswith(names)] for one, names in NAMES.items()}
    if not any(by_split.values()):
        return files if split == "train" else []
    return by_split[split]


def checked(files: list[Path]) -> list[Path]:
    """Only endings that can be read."""
    for path in files:
        if path.is_file() and path.suffix not in BUILDERS:
            raise ConfigError(f'{path}: data.source = "hf" reads {" and ".join(BUILDERS)} files')
    return files
