"""Where downloads are kept."""

from __future__ import annotations

import os
from pathlib import Path

from core.data.config import DataConfig
from core.errors import DataError


def cache_folder(data: DataConfig) -> Path:
    """`data.cache`, else the user's cache folder by the XDG convention; made if it is not there."""
    folder = Path(data.cache).expanduser() if data.cache else default_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot make the cache folder {folder}: {error.strerror}; name another with data.cache"
        ) from None
    return folder


def default_cache() -> Path:
    """`transduce` in the user's cache folder."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given else Path.home() / ".cache") / "transduce"
