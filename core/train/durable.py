"""What survives a power cut: content and names on the disk before anything builds on them; and a full disk, said in one line."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from core.errors import DataError


class NotSaved(DataError):
    """Something could not be written; what stood there before still does."""


def not_saved(path: Path, need: int, error: OSError) -> NotSaved:
    """Path, reason, bytes needed and bytes free."""
    place = next(one for one in (path.parent, *path.parents) if one.exists())
    free = shutil.disk_usage(place).free
    return NotSaved(f"{path}: not saved: {error.strerror or error}; {need:,} bytes needed, {free:,} free")


def write_synced(path: Path, content: bytes) -> None:
    """On the disk when it returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """The names in it, too."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def made(folder: Path) -> None:
    """There, with all folders above it, and on the disk."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync_folder(one.parent)
