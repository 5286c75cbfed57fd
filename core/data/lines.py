"""Lines of text files, plain or gzipped, with the place of whatever is wrong with them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import NamedTuple, cast

from core.errors import BadRecord, DataError

LONGEST = 1 << 26
"""Bytes of a line: a thousand books. A packed file of some kilobytes can hold a line that no memory does."""
BLOCK = 1 << 16
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BadLine(BadRecord):
    """A record refused, with where it stands and what stood there."""

    def __init__(self, place: str, reason: str, raw: str = "") -> None:
        super().__init__(f"{place}: {reason}")
        self.place, self.reason, self.raw = place, reason, raw


class Line(NamedTuple):
    """One line as bytes, without its end. (A tuple: files of a million lines make a million of these.)"""

    path: Path
    number: int
    raw: bytes

    @property
    def place(self) -> str:
        return f"{self.path}:{self.number}"

    @property
    def text(self) -> str:
        """Decoded; BadLine where it is not UTF-8."""
        try:
            return self.raw.decode()
        except UnicodeDecodeError as error:
            byte = self.raw[error.start]
            raise self.bad(f"byte {error.start + 1} of the line (0x{byte:02x}) is not UTF-8") from None

    def bad(self, reason: str) -> BadLine:
        """The error to raise for this line."""
        return BadLine(self.place, reason, self.raw.decode("utf-8", "replace"))


def read_lines(path: Path) -> Iterator[Line]:
    """Every line, the empty ones too. Only a line feed ends a line (and a carriage return before it is dropped)."""
    number = 0
    try:
        with opened(path) as file:
            for number, raw in enumerate(cut(file), start=1):
                if len(raw) > LONGEST + 1:
                    raise DataError(f"{path}:{number}: a line of more than {LONGEST:,} bytes; cut it first")
                yield Line(path, number, (raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw).rstrip(b"\r\n"))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}:{number + 1}: damaged gzip file ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def opened(path: Path) -> BufferedReader:
    """Unpacked where the name says that it is packed."""
    raw = cast(RawIOBase, gzip.GzipFile(path)) if path.suffix == ".gz" else path.open("rb", buffering=0)
    return BufferedReader(raw, BLOCK)


def cut(file: BufferedReader) -> Iterator[bytes]:
    """The lines of a file, all that a buffer holds at a time; of one that is too long, as much as shows that."""
    while ahead := file.peek(1):
        whole, end, _ = ahead.rpartition(b"\n")
        if end:
            file.read(len(whole) + 1)
            yield from whole.split(b"\n")
        else:
            yield file.readline(LONGEST + 2)
