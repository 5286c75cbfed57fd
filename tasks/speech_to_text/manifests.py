"""Lists of recordings as the field writes them: NeMo's JSON lines, tables, Kaldi folders; and sound files themselves."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from core.data.config import DataConfig
from core.data.files import own_file, split_files
from core.data.jsonl import converted, json_object, name_of, read_tree
from core.data.lines import Line, read_lines
from core.data.sources import with_holdout
from core.errors import BadRecord, DataError
from core.record import Record, Split
from tasks.speech_to_text.reading import read, read_target, recording, text
from tasks.speech_to_text.recording import Named, seconds_of
from tasks.speech_to_text.settings import SpeechConfig

PATHS = ("path", "audio_filepath", "wav", "file")
TEXTS = ("text", "target", "transcript")


def read_manifest(cfg: SpeechConfig, path: Path) -> Iterator[Record]:
    """JSON lines: NeMo's {"audio_filepath", "text", "duration", "offset"}, or {"id", "source", "target"}."""
    return map(partial(json_record, cfg), (line for line in read_lines(path) if line.raw.strip()))


def json_record(cfg: SpeechConfig, line: Line) -> Record:
    """Either layout; a target may be missing."""
    tree = json_object(line)
    if "audio_filepath" not in tree:
        source, target = partial(read, cfg, folder=line.path.parent), partial(read_target, cfg)
        return grouped(read_tree(tree, line, source, target, targets=tree.get("target") is not None, prefix=""))
    name, said = tree["audio_filepath"], tree.get("text")
    if not isinstance(name, str) or not name.strip():
        raise line.bad(f"`audio_filepath` is {name_of(name)}; a file name is right")
    if said is not None and not isinstance(said, str):
        raise line.bad(f"`text` is {name_of(said)}; a text is right")
    offset = converted(line, "offset", partial(seconds_of, what="offset"), tree.get("offset"))
    duration = converted(line, "duration", partial(seconds_of, what="duration"), tree.get("duration"))
    begin = offset or 0.0
    end = None if duration is None or offset is None else begin + duration  # without an offset it is all of the file
    source = placed(line, lambda: recording(cfg, Named(name, begin, end), line.path.parent))
    meta = {key: tree[key] for key in ("speaker", "lang") if key in tree}
    target = None if said is None else text(cfg, said)
    return grouped(Record(str(tree.get("id", line.number)), source, target, {**meta, "place": line.place}))


def grouped(record: Record) -> Record:
    """Recordings of one speaker are not independent."""
    speaker = record.meta.get("speaker")
    if speaker is None or "group" in record.meta:
        return record
    return Record(record.key, record.source, record.target, {**record.meta, "group": str(speaker)})


def read_table(cfg: SpeechConfig, path: Path) -> Iterator[Record]:
    """`path,text[,start,end]` with a first row that names the columns; tabs in .tsv."""
    tabs = path.name.removesuffix(".gz").endswith(".tsv")
    lines = (line for line in read_lines(path) if line.raw.strip())
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path}:1: an empty file; its first row must name the columns (path,text)")
    names = [name.strip().lower() for name in cells(first, tabs=tabs)]
    column = next((name for name in PATHS if name in names), None)
    if column is None:
        raise DataError(f"{first.place}: the first row must name the columns (path,text[,start,end]); it is {names}")
    said = next((name for name in TEXTS if name in names), None)

    def parse(line: Line) -> Record:
        row = cells(line, tabs=tabs)
        if len(row) != len(names):
            raise line.bad(f"{len(row)} cells; the first row names {len(names)} ({', '.join(names)})")
        by_name = dict(zip(names, row, strict=True))
        begin, end = (
            converted(line, what, partial(seconds_of, what=what), by_name.get(what, "").strip())
            for what in ("start", "end")
        )
        if not by_name[column].strip():
            raise line.bad(f"an empty `{column}`")
        source = placed(line, lambda: recording(cfg, Named(by_name[column], begin or 0.0, end), path.parent))
        meta = {"place": line.place, **({"speaker": by_name["speaker"]} if by_name.get("speaker") else {})}
        return grouped(Record(str(line.number), source, text(cfg, by_name[said]) if said else None, meta))

    return map(parse, lines)


def cells(line: Line, *, tabs: bool) -> list[str]:
    """Of one row, which is one line."""
    if tabs:
        return line.text.split("\t")
    try:
        return next(csv.reader([line.text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise line.bad(f"not CSV: {error}; a row is one line") from None


def read_kaldi(cfg: SpeechConfig, path: Path) -> Iterator[Record]:
    """`wav.scp`, with `text`, `segments` and `utt2spk` beside it where they are."""
    folder = path.parent
    texts, speakers = beside(folder / "text"), beside(folder / "utt2spk")
    segments = folder / "segments"
    files = {line.text.split(maxsplit=1)[0]: line for line in read_lines(path) if line.raw.strip()}

    def utterance(line: Line) -> Record:
        if not segments.is_file():
            key, name = halves(line)
            return made(line, key, Named(plain_file(line, name)))
        parts = line.text.split()
        if len(parts) != 4:
            raise line.bad(f"{len(parts)} fields; utterance, recording, begin and end are right")
        key, whole = parts[0], files.get(parts[1])
        if whole is None:
            raise line.bad(f"the recording {parts[1]!r} is not in {path}")
        begin, end = (
            converted(line, what, partial(seconds_of, what=what), value)
            for what, value in zip(("begin", "end"), parts[2:], strict=True)
        )
        if end is None or float(parts[3]) < 0:
            raise line.bad("no end")
        return made(line, key, Named(plain_file(whole, halves(whole)[1]), begin or 0.0, end))

    def made(line: Line, key: str, one: Named) -> Record:
        if texts and key not in texts:
            raise line.bad(f"{folder / 'text'} has no {key!r}")
        source = placed(line, lambda: recording(cfg, one, folder))
        meta: dict[str, Any] = {"place": line.place}
        if key in speakers:
            meta["group"] = speakers[key]
        return Record(key, source, text(cfg, texts[key]) if texts else None, meta)

    lines = [line for line in read_lines(segments if segments.is_file() else path) if line.raw.strip()]
    without = set(texts) - {line.text.split(maxsplit=1)[0] for line in lines}
    if without:
        print(
            f"{folder / 'text'}: {len(without)} texts without a recording, the first: {min(without)}", file=sys.stderr
        )
    return map(utterance, lines)


def beside(path: Path) -> dict[str, str]:
    """Key -> the rest of its line; empty where there is no such file."""
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for line in read_lines(path):
        if line.raw.strip():
            key, _, rest = line.text.partition(" ")
            if key in found:
                raise DataError(f"{line.place}: {key!r} stands there twice")
            found[key] = rest.strip()
    return found


def halves(line: Line) -> tuple[str, str]:
    """Key and file."""
    parts = line.text.split(maxsplit=1)
    if len(parts) != 2:
        raise line.bad("an utterance and a file are right")
    return parts[0], parts[1].strip()


def plain_file(line: Line, name: str) -> str:
    """Commands and archives are refused: nothing that a data file says is run."""
    if name.endswith("|") or name.startswith("|"):
        raise line.bad(f"a command ({name[:60]!r}), and none is run; write the sound into files first")
    if ".ark:" in name:
        raise line.bad(f"a place within a Kaldi archive ({name[:60]!r}); sound files are right")
    return name


def placed(line: Line, make: Callable[[], Any]) -> Any:
    """What a line describes, its refusal with the line."""
    try:
        return make()
    except BadRecord as error:
        raise line.bad(str(error)) from None


def read_sound_file(cfg: SpeechConfig, path: Path) -> Iterator[Record]:
    """A recording, without a text: what `predict` is given."""

    def whole(path: Path) -> Record:
        return Record(path.stem, recording(cfg, Named(path.name), path.parent), meta={"place": str(path)})

    return map(whole, [path])


MANIFESTS = {
    ".jsonl": read_manifest,
    ".jsonl.gz": read_manifest,
    ".json": read_manifest,
    ".csv": read_table,
    ".tsv": read_table,
    ".scp": read_kaldi,
}


def files(cfg: SpeechConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Manifests named by split (`train.csv`), Kaldi folders (`train/wav.scp`, or `wav.scp` itself for train)."""
    return with_holdout(partial(of_split, cfg, data), data)(split)


def of_split(cfg: SpeechConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """All files of a split, one after the other."""
    found = [] if own_file(data, split) else kaldi_folders(data, split)
    if not found:
        found = split_files(data, split, tuple(MANIFESTS))
    return chain.from_iterable(
        map(partial(keyed, f"{split}{number or ''}"), reader(path)(cfg, path)) for number, path in enumerate(found)
    )


def reader(path: Path) -> Callable[[SpeechConfig, Path], Iterator[Record]]:
    """By the ending."""
    found = next((read for ending, read in MANIFESTS.items() if path.name.endswith(ending)), None)
    if found is None:
        raise DataError(f"{path}: unknown ending; one of {', '.join(MANIFESTS)}")
    return found


def kaldi_folders(data: DataConfig, split: Split) -> list[Path]:
    """`wav.scp` of each folder that has one for this split."""
    folders = [Path(name).expanduser() for name in data.path]
    found = [folder / split / "wav.scp" for folder in folders]
    if split == "train":
        found.extend(folder / "wav.scp" for folder in folders)
    return [path for path in found if path.is_file()]


def keyed(prefix: str, record: Record) -> Record:
    """Records that are numbered by file get the split before their number; training and scoring need a text."""
    if record.target is None:
        raise BadRecord(f"{record.meta.get('place', record.key)}: no text; training and scoring need one")
    key = f"{prefix}-{record.key}" if record.key.isdecimal() else record.key
    return Record(key, record.source, record.target, record.meta)
