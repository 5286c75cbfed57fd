"""CSV as spreadsheets write it: quoted cells may hold line breaks, and every refusal has its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from core.data.lines import Line, read_lines
from core.errors import DataError
from core.record import Prediction


class Rows:
    """Rows of a file, each with the line where it begins; after one that is refused the next call goes on behind it."""

    def __init__(self, path: Path) -> None:
        self.lines = (line for line in read_lines(path) if line.raw.strip() or self.within)
        self.tabs = path.name.removesuffix(".gz").endswith(".tsv")
        self.begin: Line | None = None
        self.within = False
        self.header: list[str] = []

    def __iter__(self) -> Iterator[tuple[Line, dict[str, str]]]:
        return self

    def __next__(self) -> tuple[Line, dict[str, str]]:
        """The next row by the header's names."""
        line, cells = self.cells()
        if len(cells) != len(self.header):
            raise line.bad(f"{len(cells)} cells; the first row names {len(self.header)} ({', '.join(self.header)})")
        return line, dict(zip(self.header, cells, strict=True))

    def cells(self) -> tuple[Line, list[str]]:
        """Just the lines of one row are taken, since a reader asks for the next only within quotes."""
        self.begin, self.within = None, False
        style = (
            csv.reader(self.fed(), csv.excel_tab, quoting=csv.QUOTE_NONE)
            if self.tabs
            else csv.reader(self.fed(), strict=True)
        )
        try:
            found = next(style)
        except csv.Error as error:
            assert self.begin is not None
            never = "unexpected end" in str(error)
            raise self.begin.bad("a quoted cell that never ends" if never else f"not CSV: {error}") from None
        assert self.begin is not None
        return self.begin, found

    def fed(self) -> Iterator[str]:
        """Lines as text, with the breaks that stood inside cells."""
        for line in self.lines:
            self.begin = self.begin or line
            self.within = True
            csv.field_size_limit(max(csv.field_size_limit(), 2 * len(line.raw) + 1))
            yield line.text + "\n"


def read_table(path: Path) -> tuple[list[str], Rows]:
    """The names in the first row, and the rows behind it."""
    rows = Rows(path)
    try:
        line, header = rows.cells()
    except StopIteration:
        raise DataError(f"{path}:1: an empty file; its first row must name the columns") from None
    rows.header = [name.strip() for name in header]
    if len(set(rows.header)) != len(rows.header):
        raise DataError(f"{line.place}: two columns of one name ({', '.join(rows.header)})")
    return rows.header, rows


def write_csv(prediction: Prediction, n_best: int) -> str:
    """Id, text and summary; a row for each of several."""
    record = prediction.record
    outputs = [one.output for one in prediction.hypotheses[:n_best]] or [""]
    return "\n".join(as_row(record.key, str(record.source), output) for output in outputs)


def as_row(*cells: str) -> str:
    """Quoted where needed: what ends lines decides about line breaks within cells."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n")
