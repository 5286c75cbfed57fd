"""RUN/: all that is needed to predict, evaluate, resume and audit, and nothing that is not."""

from __future__ import annotations

import errno
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ConfigError, DataError
from core.train.durable import made, not_saved, sync_folder, write_synced
from core.train.lock import NAME as LOCK
from core.train.lock import alone

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The places in a run folder."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def card(self) -> Path:
        return self.path / "card.md"

    @property
    def facts(self) -> Path:
        """What the run was made of: data and its digests, versions, hardware."""
        return self.path / "run.json"

    @property
    def calibration(self) -> Path:
        """The temperature of its confidence, fitted on dev."""
        return self.path / "calibration.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        return self.checkpoints / "last"

    @property
    def best(self) -> Path:
        return self.checkpoints / "best"

    @property
    def good(self) -> Path:
        """With `train.nonfinite = "rollback"`: weights to go back to."""
        return self.checkpoints / "good"

    @property
    def finished(self) -> bool:
        return bool(self.metrics.is_file() and read_json(self.metrics).get("finished"))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; what is wrong with it is said with its place."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    try:
        tree = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not isinstance(tree, dict):
        raise DataError(f"{path}: not a JSON object")
    return tree


def write_text(path: Path, text: str) -> None:
    """All of it or nothing, power cuts included: written beside, then renamed. A pipe or a device is written to, never replaced."""
    if is_stream(path):
        path.write_text(text, encoding="utf-8")
        return
    beside = path.with_name(f".{path.name}.new")
    content = text.encode("utf-8")
    try:
        write_synced(beside, content)
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if error.errno not in FULL:
            raise
        raise not_saved(path, len(content), error) from None


def is_stream(path: Path) -> bool:
    """A pipe or a device, such as /dev/stdout."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write_json(path: Path, tree: Any) -> None:
    """Indented, so that a person can read it and a diff is small."""
    write_text(path, json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def new_run(runs: Path, task: str, label: str) -> RunFolder:
    """A name that nobody has: runs/<task>/<time>-<label>."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{label}"
    tries = (runs / task / (stem if number == 1 else f"{stem}-{number}") for number in range(1, 1000))
    return RunFolder(next(path for path in tries if not path.exists()))


def claimed(folder: RunFolder, *, named: bool) -> RunFolder:
    """Make the folder, now that there is something to write; of two runs begun in one second, one takes another name."""
    for number in range(1, 1000):
        path = folder.path if number == 1 else folder.path.with_name(f"{folder.path.name}-{number}")
        try:
            made(path.parent)
            path.mkdir()
            sync_folder(path.parent)
        except FileExistsError:
            if not named:
                continue
            if not empty(path):
                with alone(path):  # which says who it is, if it still trains
                    raise ConfigError(f"--run {path}: another run has begun there in the meantime") from None
        return RunFolder(path)
    raise ConfigError(f"{folder.path}: a thousand runs of this name; name another folder with --run")


def empty(path: Path) -> bool:
    """Nothing there but what a training leaves behind that was killed before it had written its config."""
    return all(one.name in (LOCK, ".config.toml.new") for one in path.iterdir())


def newest_unfinished(runs: Path, task: str) -> RunFolder:
    """The run that `--resume` without `--run` means."""
    folders = [RunFolder(path.parent) for path in (runs / task).glob("*/config.toml")]
    open_ones = [folder for folder in folders if not folder.finished]
    if not open_ones:
        raise ConfigError(f"--resume: no unfinished run under {runs / task}; name one with --run DIR")
    return max(open_ones, key=lambda folder: (folder.config.stat().st_mtime_ns, folder.path.name))


def existing_run(path: Path) -> RunFolder:
    """A run folder that someone names; anything else is refused."""
    folder = RunFolder(path)
    if not path.is_dir():
        raise ConfigError(f"{path}: no such run folder")
    if not folder.config.is_file():
        raise ConfigError(f"{path}: not a run folder (it has no config.toml)")
    return folder
