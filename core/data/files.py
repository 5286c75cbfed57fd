"""Which files of a user's folder hold which split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.data.config import DataConfig
from core.errors import ConfigError, DataError
from core.record import Split


def split_files(data: DataConfig, split: Split, endings: Sequence[str]) -> list[Path]:
    """`data.train` (`dev`, `test`) where it is given; else SPLIT.ENDING in each folder of `data.path`.

    A file in `data.path` is training data.
    """
    if single := own_file(data, split):
        return [single]
    if not (data.path or data.train or data.dev or data.test):
        raise ConfigError(f'data.source = "{data.source}" needs data.path (a folder) or data.train (a file)')
    found: list[Path] = []
    for name in data.path:
        path = Path(name).expanduser()
        if path.is_dir():
            here = [path / f"{split}{ending}" for ending in endings if (path / f"{split}{ending}").exists()]
            if len(here) > 1:
                raise DataError(f"{here[0]} and {here[1]}: which? Name one with data.{split}")
            found.extend(here)
        elif not path.exists():
            raise DataError(f"data.path: {path}: no such file or folder")
        elif split == "train":
            found.append(path)
    if split == "train" and not found and data.path:
        names = " or ".join(f"train{ending}" for ending in endings)
        raise DataError(f"{', '.join(data.path)}: holds no {names}")
    return found


def own_file(data: DataConfig, split: Split) -> Path | None:
    """The file that `data.train`, `data.dev` or `data.test` names."""
    name = {"train": data.train, "dev": data.dev, "test": data.test}[split]
    if not name:
        return None
    path = Path(name).expanduser()
    if not path.is_file():
        raise DataError(f"data.{split}: {path}: no such file")
    return path
