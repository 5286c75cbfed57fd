"""Recordings in the cache, made or unpacked once, with a manifest that says what each file is."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.cache import cache_folder
from core.data.config import DataConfig
from core.errors import DataError
from core.record import Record, Split
from tasks.speech_to_text.reading import text
from tasks.speech_to_text.recording import Recording
from tasks.speech_to_text.settings import SpeechConfig

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Filed:
    """One recording of a shelf."""

    key: str
    file: str
    """Within the folder."""
    text: str
    speaker: str
    split: Split
    seconds: float
    sha256: str

    def tree(self) -> dict[str, Any]:
        """A line of the manifest, which NeMo's readers understand, too."""
        return {
            "id": self.key,
            "audio_filepath": self.file,
            "text": self.text,
            "duration": self.seconds,
            "speaker": self.speaker,
            "split": self.split,
            "sha256": self.sha256,
        }


def shelf(name: str, data: DataConfig, make: Callable[[Path], Iterable[Filed]]) -> Path:
    """The folder of that name in the cache; `make` fills it where it is not there, and it appears when it is whole."""
    folder = cache_folder(data) / "speech_to_text" / name
    if (folder / MANIFEST).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as made:
        beside = Path(made) / "whole"
        beside.mkdir()
        filed = list(make(beside))
        lines = (json.dumps(one.tree(), ensure_ascii=False) for one in filed)
        (beside / MANIFEST).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # without a manifest it is of no use
        try:
            beside.replace(folder)
        except OSError:
            if not (folder / MANIFEST).is_file():  # else another process made it meanwhile
                raise
    return folder


def filed(folder: Path) -> Iterator[Filed]:
    """What the manifest says."""
    path = folder / MANIFEST
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            tree = json.loads(line)
            yield Filed(
                tree["id"],
                tree["audio_filepath"],
                tree["text"],
                tree["speaker"],
                tree["split"],
                float(tree["duration"]),
                tree["sha256"],
            )
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}:{number}: damaged; remove {folder}, and it is made anew") from None


def records(cfg: SpeechConfig, folder: Path, split: Split) -> Iterator[Record]:
    """Of one split. Files are read when they are needed, and then compared with their sha256."""
    for one in filed(folder):
        if one.split == split:
            path = folder / one.file
            if not path.is_file():
                raise DataError(f"{path}: not there; remove {folder}, and it is made anew")
            source = Recording(one.file, str(path), 0.0, one.seconds, True, one.sha256)
            meta = {"group": one.speaker, "place": str(path)} if one.speaker else {"place": str(path)}
            yield Record(one.key, source, text(cfg, one.text), meta)


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
