"""The field's own files: lines, CSV and JSONL with any column names, a folder with a file a text and a file a summary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from core.data.config import DataConfig
from core.data.jsonl import json_object, read_tree, text
from core.data.lines import BadLine, Line, read_lines
from core.data.sources import read_files, with_holdout
from core.errors import BadRecord, DataError
from core.nearest import did_you_mean
from core.record import Prediction, Record, Split
from core.task import Format
from tasks.summarization.page import FOOT, HEAD, write_page
from tasks.summarization.settings import SummarizationConfig
from tasks.summarization.tables import read_table, write_csv

ARTICLE, SUMMARY = ".article.txt", ".summary.txt"
COLUMNS = {
    "article": ("article", "document", "text", "body", "source"),
    "summary": ("summary", "highlights", "abstract", "target"),
}


def read_text(cfg: SummarizationConfig, path: Path) -> Iterator[Record]:
    """A text a line, the empty ones too: outputs must be as many as inputs. A summary beside its text is no input."""
    if path.name.endswith(SUMMARY) and partner(path, SUMMARY, ARTICLE).is_file():
        return iter(())

    def parse(line: Line) -> Record:
        return Record(str(line.number), line.text, meta={"place": line.place})

    return map(parse, read_lines(path))


def read_article(cfg: SummarizationConfig, path: Path) -> Iterator[Record]:
    """One text that fills a file, and the summary in the file beside it, if there is one."""

    def parse(path: Path) -> Record:
        summary = partner(path, ARTICLE, SUMMARY)
        target = whole(summary) if summary.is_file() else None
        return Record(path.name.removesuffix(ARTICLE), whole(path), target, {"place": str(path)})

    return map(parse, [path])


def read_jsonl(cfg: SummarizationConfig, path: Path) -> Iterator[Record]:
    """An object a line, its fields named as the config says or as the field does."""

    def parse(line: Line) -> Record:
        tree = json_object(line)
        article, summary = column(cfg, "article", tree, line), optional_column(cfg, "summary", tree)
        tree = {**tree, "source": tree[article], "target": tree[summary] if summary else None}
        record = read_tree(tree, line, text, text, targets=tree["target"] is not None, prefix="")
        return fitting(record, line)

    return map(parse, (line for line in read_lines(path) if line.raw.strip()))


def read_csv(cfg: SummarizationConfig, path: Path) -> Iterator[Record]:
    """Columns by the names of the first row; `id` names records where there is such a column."""
    header, rows = read_table(path)
    names = dict.fromkeys(header)
    article, summary = column(cfg, "article", names, path), optional_column(cfg, "summary", names)

    def parse(row: tuple[Line, dict[str, str]]) -> Record:
        line, cells = row
        target = cells[summary] if summary else None
        key = cells.get("id") or str(line.number)
        return fitting(Record(key, cells[article], target, {"place": line.place}), line)

    return map(parse, rows)


def optional_column(cfg: SummarizationConfig, side: Literal["article", "summary"], names: dict[str, Any]) -> str:
    """The column of a side, or nothing."""
    named = cfg.article_column if side == "article" else cfg.summary_column
    if named:
        return named if named in names else ""
    return next((name for name in COLUMNS[side] if name in names), "")


def column(
    cfg: SummarizationConfig, side: Literal["article", "summary"], names: dict[str, Any], at: Line | Path
) -> str:
    """The column of a side, which must be there."""
    if found := optional_column(cfg, side, names):
        return found
    named = cfg.article_column if side == "article" else cfg.summary_column
    wanted = repr(named) + did_you_mean(named, names) if named else " or ".join(COLUMNS[side])
    message = f"no column {wanted}; there are {', '.join(names)} (task.{side}_column names another)"
    raise at.bad(message) if isinstance(at, Line) else DataError(f"{at}:1: {message}")


def fitting(record: Record, line: Line) -> Record:
    """A text without a summary, or a summary of nothing, is a mistake; neither is an empty input."""
    if record.target is not None and bool(record.source.strip()) != bool(record.target.strip()):
        raise line.bad("a summary of an empty text" if record.target.strip() else "an empty summary")
    return record


def whole(path: Path) -> str:
    """A file as text, without the last line's end."""
    lines = list(read_lines(path))
    return "\n".join(line.text for line in lines).strip("\n")


def partner(path: Path, ending: str, other: str) -> Path:
    """The file beside it."""
    return path.with_name(path.name.removesuffix(ending) + other)


def write_text(prediction: Prediction, n_best: int) -> str:
    """The best summaries, one a line."""
    return "\n".join(prediction.lines(n_best))


FORMATS = {
    "text": Format(endings=(".txt", ".txt.gz"), read=read_text, write=write_text, suffix=SUMMARY),
    "article": Format(endings=(ARTICLE,), read=read_article),
    "csv": Format(
        endings=(".csv", ".csv.gz", ".tsv", ".tsv.gz"),
        read=read_csv,
        write=write_csv,
        head="id,article,summary\n",
    ),
    "jsonl": Format(endings=(".jsonl", ".jsonl.gz"), read=read_jsonl),
    "html": Format(write=write_page, head=HEAD, foot=FOOT, suffix=".html"),
}


def files(cfg: SummarizationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Folders of texts and summaries, else what core reads by its ending."""

    def read(split: Split) -> Iterator[Record]:
        found = [folder for name in data.path if (folder := folder_of(Path(name).expanduser(), split))]
        if not found:
            return read_files(FORMATS, cfg, data, split)
        return chain.from_iterable(folder.records(split) for folder in found)

    return with_holdout(read, data)(split)


@dataclass(frozen=True, slots=True)
class PairFolder:
    """NAME.article.txt beside NAME.summary.txt, for every NAME."""

    path: Path

    def records(self, split: Split) -> Iterator[Record]:
        """In the order of their names; one without a partner is refused."""
        names = {path.name.removesuffix(end) for end in (ARTICLE, SUMMARY) for path in self.path.glob(f"*{end}")}
        return map(partial(self.record, split), sorted(names))

    def record(self, split: Split, name: str) -> Record:
        """One pair."""
        article, summary = self.path / f"{name}{ARTICLE}", self.path / f"{name}{SUMMARY}"
        for here, other in ((article, summary), (summary, article)):
            if not other.is_file():
                raise BadRecord(f"{here}: no {other.name} beside it")
        (record,) = read_article(SummarizationConfig(), article)
        if not (record.source.strip() and str(record.target).strip()):
            raise BadLine(f"{article if not record.source.strip() else summary}:1", "an empty file")
        return replace(record, key=f"{split}-{name}")


def folder_of(path: Path, split: Split) -> PairFolder | None:
    """PATH/SPLIT with such files; for training PATH itself will do."""
    for folder in (path / split, path) if split == "train" else (path / split,):
        if any(folder.glob(f"*{ARTICLE}")) or any(folder.glob(f"*{SUMMARY}")):
            return PairFolder(folder)
    return None
