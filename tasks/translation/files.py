"""The field's own files: lines of text, tab-separated pairs, two parallel files, and TMX (see tmx.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.data.config import DataConfig
from core.data.files import own_file
from core.data.lines import BadLine, Line, read_lines
from core.data.parallel import read_parallel
from core.data.sources import read_files, with_holdout
from core.errors import ConfigError, DataError
from core.record import Prediction, Record, Split
from core.task import Format
from tasks.translation.data import TranslationConfig
from tasks.translation.tmx import read_tmx


def read_text(cfg: TranslationConfig, path: Path) -> Iterator[Record]:
    """A record a line, the empty ones too: outputs must be as many as inputs."""

    def parse(line: Line) -> Record:
        return Record(str(line.number), line.text, meta={"place": line.place})

    return map(parse, read_lines(path))


def read_tsv(cfg: TranslationConfig, path: Path) -> Iterator[Record]:
    """Source, tab, target; a source alone where only that is asked for."""

    def parse(line: Line) -> Record:
        cells = line.text.split("\t")
        if len(cells) > 2:
            raise line.bad(f"{len(cells)} columns; two (source, target) are right")
        target = cells[1] if len(cells) == 2 else None
        return Record(str(line.number), cells[0], target, {"place": line.place})

    return map(parse, read_lines(path))


def write_text(prediction: Prediction, n_best: int) -> str:
    """The best translations, one a line."""
    return "\n".join(prediction.lines(n_best))


def write_tsv(prediction: Prediction, n_best: int) -> str:
    """Source, tab, translation."""
    source = " ".join(str(prediction.record.source).split())
    return "\n".join(f"{source}\t{' '.join(output.split())}" for output in prediction.lines(n_best))


FORMATS = {
    "text": Format(endings=(".txt", ".txt.gz"), read=read_text, write=write_text),
    "tsv": Format(endings=(".tsv", ".tsv.gz"), read=read_tsv, write=write_tsv),
    "tmx": Format(endings=(".tmx", ".tmx.gz"), read=read_tmx),
}


def files(cfg: TranslationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Parallel files `train.en`, `train.de` (`data.train` names the first), else what core reads by its ending."""

    def read(split: Split) -> Iterator[Record]:
        if pair := parallel_files(cfg, data, split):
            return read_parallel(*pair, split)
        return map(whole, read_files(FORMATS, cfg, data, split))

    return with_holdout(read, data)(split)


def whole(record: Record) -> Record:
    """Half a pair teaches nothing: as in parallel files."""
    for here, there in ((record.source, record.target), (record.target, record.source)):
        if there.strip() and not here.strip():
            side = "source" if here is record.source else "target"
            raise BadLine(record.meta["place"], f"an empty {side}", f"{record.source}\t{record.target}")
    return record


def parallel_files(cfg: TranslationConfig, data: DataConfig, split: Split) -> tuple[Path, Path] | None:
    """The two files of a split, told by the languages as their endings."""
    ours, theirs = f".{cfg.source_language}", f".{cfg.target_language}"
    if single := own_file(data, split):
        plain = single.name.removesuffix(".gz")
        if not plain.endswith(ours):
            return None
        other = single.with_name(plain.removesuffix(ours) + theirs + (".gz" if single.suffix == ".gz" else ""))
        if not other.is_file():
            raise DataError(f"data.{split}: {single} has no {other.name} beside it")
        return single, other
    for folder in map(Path, data.path):
        for gz in ("", ".gz"):
            left, right = folder / f"{split}{ours}{gz}", folder / f"{split}{theirs}{gz}"
            if left.is_file() != right.is_file():
                there, missing = (left, right) if left.is_file() else (right, left)
                raise DataError(f"{there} has no {missing.name} beside it")
            if left.is_file():
                if len(data.path) > 1:
                    raise ConfigError("data.path: parallel files are read from one folder only")
                return left, right
    return None
