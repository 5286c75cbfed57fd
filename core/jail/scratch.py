"""A folder to write in, where the tier can make no file system: emptied after each program, whatever that left there."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path


def empty(folder: Path) -> None:
    """Remove all in it. Folders in folders are moved up before they are looked into: no depth is too deep for that."""
    fresh = count()
    while entries := list(os.scandir(folder)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            for inner in list(os.scandir(entry.path)):
                if not inner.is_dir(follow_symlinks=False):
                    os.unlink(inner.path)
                    continue
                os.chmod(inner.path, 0o700)
                while os.path.lexists(place := folder / f"up{next(fresh)}"):
                    pass
                os.rename(inner.path, place)
            os.rmdir(entry.path)


def fresh_scratch(folder: Path, user: int | None) -> Path:
    """An empty folder for the next program."""
    empty(folder)
    made = folder / "job"
    made.mkdir(mode=0o700)
    if user is not None:
        os.chown(made, user, user)
    return made
