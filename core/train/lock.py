"""One training at a time writes into a run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ConfigError

try:
    import fcntl
except ImportError:  # no such locks on this system: two trainings there are the user's to avoid
    fcntl = None

NAME = ".lock"
PATIENCE = 2.0
"""Seconds for whoever has taken the lock to write down who that is."""


@contextmanager
def alone(folder: Path) -> Generator[None, None, None]:
    """Inside, no other process trains in this folder; ConfigError where one does.

    The system holds the lock on the open file, not on its being there: it goes with the process however that ends, and
    with the folder wherever that is moved. Children do not inherit it, so that one left behind blocks nobody.
    """
    if fcntl is None:
        yield
        return
    path = folder / NAME
    begun = time.monotonic()
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            os.close(handle)
            if not holder and time.monotonic() - begun < PATIENCE:
                time.sleep(0.01)
                continue
            raise ConfigError(
                f"{folder}: {f'process {holder}' if holder else 'another process'} is training there; "
                "wait for it or stop it, or name another folder"
            ) from None
        except OSError:  # a file system without locks
            break
        try:
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                break
        except FileNotFoundError:  # whoever had it took the file along
            pass
        os.close(handle)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
