"""Queries run in a database that they cannot change, for a limited time; results are compared as multisets of rows."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from core.errors import ConfigError

READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
FORBIDDEN = {"load_extension", "zeroblob", "randomblob", "fts3_tokenizer", "writefile", "readfile", "edit"}
MOST_ROWS = 20_000
LONGEST = 1_000_000
"""Bytes of a query, a value or a row."""
HEAP = 256 << 20
Rows = Counter[tuple[object, ...]]


class Database:
    """An SQLite file, opened for reading only; attaching, pragmas, writes and extensions are refused by SQLite's own hook."""

    def __init__(self, path: str, seconds: float) -> None:
        self.path, self.seconds = Path(path).expanduser(), seconds
        if not self.path.is_file():
            raise ConfigError(f"task.database: {self.path}: no such file")
        self.version = sqlite3.sqlite_version

    @property
    def digest(self) -> str:
        """Of the file: results compare only where it is the same."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]

    def __enter__(self) -> Self:
        uri = f"file:{quote(str(self.path.resolve()))}?mode=ro&immutable=1"
        try:
            self.connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            self.connection.execute("select count(*) from sqlite_master").fetchall()
        except sqlite3.Error as error:
            raise ConfigError(f"task.database: {self.path}: {error}") from None
        self.connection.execute(f"pragma hard_heap_limit = {HEAP}")
        self.connection.execute("pragma temp_store = memory")
        self.connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for limit, most in (
            (sqlite3.SQLITE_LIMIT_LENGTH, LONGEST),
            (sqlite3.SQLITE_LIMIT_SQL_LENGTH, LONGEST),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
            (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 500),
            (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 100),
        ):
            self.connection.setlimit(limit, most)
        self.connection.set_authorizer(authorise)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def result(self, query: str) -> Rows | None:
        """The rows of one statement; None where it fails, changes something, takes too long or has too many rows."""
        end = time.monotonic() + self.seconds
        self.connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
        try:
            found = self.connection.execute(query)
            if found.description is None:
                return None
            rows = found.fetchmany(MOST_ROWS + 1)
            found.close()
        except (sqlite3.Error, sqlite3.Warning, ValueError, UnicodeError, MemoryError):
            return None
        return None if len(rows) > MOST_ROWS else Counter(tuple(map(comparable, row)) for row in rows)


def authorise(action: int, one: str | None, two: str | None, database: str | None, trigger: str | None) -> int:
    """Reading, and functions that only compute."""
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (two or "").lower() in FORBIDDEN else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in READING else sqlite3.SQLITE_DENY


def comparable(value: object) -> object:
    """Numbers by value, to nine digits: sums in another order differ in the last ones."""
    return float(f"{value:.9g}") if isinstance(value, float) else value
