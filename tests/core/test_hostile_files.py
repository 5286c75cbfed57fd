"""Files of strangers that were once read for ever, into all memory, or with a traceback: each is refused in one line."""

from __future__ import annotations

import base64
import gzip
import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.leaderboard.arrays import pack, unpack
from benchmarks.leaderboard.store import NEEDED, read_result
from core.codec.places import PlaceTokenizer
from core.codec.regex import RegexTokenizer, slow
from core.codec.store import load_codecs
from core.config_toml import LONGEST as LONGEST_CONFIG
from core.config_toml import lines_of, load, parse_file
from core.data import lines
from core.data.jsonl import read_jsonl
from core.data.lines import Line
from core.errors import BadRecord, ConfigError, DataError
from core.record import Hypothesis, Prediction, Record
from core.report.facts import read_log
from core.run.outputs import parse_json
from core.run.written import destination
from core.settings import run_config
from core.task import Format
from core.train import published
from core.train.checkpoint import Checkpoint, as_json, read_checkpoint, write_checkpoint
from core.train.log import read_line
from core.train.published import beside
from core.words import run_folder
from tasks import TASKS


@pytest.mark.timeout(20)
@pytest.mark.parametrize("line", [" ", "a ", '" ', "[ a", "[a] ", "[a"], ids=repr)
def test_lines_of_a_config_are_found_in_time_that_grows_with_them(line: str) -> None:
    """A row of blanks took the cube of its length: 10,000 of them, hours."""
    assert lines_of(line + " " * 200_000) in ({}, {"a": 1})


def test_lines_of_a_config_are_those_of_its_keys() -> None:
    text = 'a = 1\n[b]\n"c d" = 2\n [[ e . f ]] # there\ng= 3\n[h\n[i] j\nk\nl.m =4\n'
    assert lines_of(text) == {"a": 1, "b": 2, "b.c d": 3, "e.f": 4, "e.f.g": 5, "e.f.l.m": 9}


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, ".".join("a" * 900) + " = 1", "a = " + "{a = " * 300 + "1" + "}" * 300]
)
def test_a_config_that_is_nested_too_deep_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"deep\.toml: .*nested too deep"):
        load(run_config(TASKS["roman"].config), path)


def test_a_config_is_a_file_of_a_size_that_configs_have(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(ConfigError, match="not a regular file"):
        parse_file(tmp_path / "pipe.toml")
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(LONGEST_CONFIG + 1)
    with pytest.raises(ConfigError, match="a config has at most"):
        parse_file(tmp_path / "large.toml")


def test_a_line_that_no_memory_holds_is_refused_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 100)
    path = tmp_path / "bomb.txt.gz"
    path.write_bytes(gzip.compress(b"a" * 100 + b"\n" + b"b" * 102 + b"\n"))
    found = lines.read_lines(path)
    assert next(found).raw == b"a" * 100
    with pytest.raises(DataError, match=r"bomb\.txt\.gz:2: a line of more than 100 bytes"):
        next(found)


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+$", r"\s*\s*x", r"(?:a|b)c", r"\d{1,200}", r"a{1,9}b{1,9}", "a?a?", "a**", r"(a)\1", "(?=a)", "[", "\\", "[z-a]", "x" * 2000],
)  # fmt: skip
def test_a_pattern_that_may_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="the pattern"):
        RegexTokenizer(("a",), pattern)


@pytest.mark.parametrize(
    "pattern", [".", r"\w+|x*", "[ab]+", r"\w+|\s", r"\[[^\[\]]{1,30}\]|Br|%[0-9]{2}|.", "[]a]|.", "a{,5}"]
)
def test_a_pattern_of_signs_is_right(pattern: str) -> None:
    assert slow(pattern) == ""
    assert "".join(RegexTokenizer((), pattern).cut("a[b]Br%10 xx]")) == "a[b]Br%10 xx]"


SUBWORD = {"kind": "subword", "model": "bpe", "pieces": ["a", "b", "ab"], "merges": [[0, 1]], "scores": [], "user_symbols": []}  # fmt: skip
UNIGRAM = {**SUBWORD, "model": "unigram", "merges": [], "scores": [0.0, -1.0, -2.0]}


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"source": 1, "target": None},
        {"source": {"kind": ["regex"]}, "target": None},
        {"source": {"kind": "regex"}, "target": None},
        {"source": {"kind": "regex", "symbols": [["a"]], "pattern": "."}, "target": None},
        {"source": {"kind": "regex", "symbols": [1], "pattern": "."}, "target": None},
        {"source": {"kind": "regex", "symbols": ["a"], "pattern": "(a+)+$"}, "target": None},
        {"source": {"kind": "words", "words": "abc", "whole": 1}, "target": None},
        {"source": {**SUBWORD, "merges": [[1, 1]]}, "target": None},
        {"source": {**SUBWORD, "merges": [[0]]}, "target": None},
        {"source": {**SUBWORD, "merges": [[0, -1]]}, "target": None},
        {"source": {**SUBWORD, "model": "gpt"}, "target": None},
        {"source": {**SUBWORD, "user_symbols": ["x"]}, "target": None},
        {"source": {**SUBWORD, "pieces": ["a", "b", "ab", "\ud800"]}, "target": None},
        {"source": {**UNIGRAM, "scores": [0.0]}, "target": None},
        {"source": {**UNIGRAM, "scores": [0.0, -1.0, float("nan")]}, "target": None},
    ],
    ids=lambda tree: json.dumps(tree)[:60],
)
def test_codecs_that_are_none_are_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"^codecs\.json: "):
        load_codecs(tree)


@pytest.mark.parametrize("tree", [SUBWORD, UNIGRAM], ids=["bpe", "unigram"])
def test_codecs_that_are_some_are_read(tree: dict[str, Any]) -> None:
    codec = load_codecs({"source": tree, "target": None}).source
    assert codec.dump() == {name: value for name, value in tree.items() if name != "kind"}
    assert codec.encode("ab")


def test_packed_numbers_inflate_to_what_they_promise_and_no_further() -> None:
    import numpy as np

    rows = np.arange(12.0).reshape(3, 4)
    assert (unpack(pack(rows)) == rows).all()
    bomb = base64.b64encode(zlib.compress(bytes(1 << 24))).decode()
    for shape in ([2, 2], [1 << 20, 1 << 20], [-1], ["a"], [1 << 40], []):
        with pytest.raises(DataError, match="packed numbers"):
            unpack({"type": "uint8", "shape": shape, "zlib": bomb})


@pytest.mark.parametrize("number", ["NaN", "1e999"])
def test_a_result_with_what_is_no_number_is_refused(number: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(dict.fromkeys(NEEDED, 1)).replace('"cost": 1', f'"cost": {number}'))
    with pytest.raises(DataError, match=r"result\.json: "):
        read_result(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of one number."""
    write_checkpoint(tmp_path / "last", Checkpoint({}, {}, {"a": torch.ones(1)}, {}, {"step": 1}))
    return tmp_path / "last"


@pytest.mark.parametrize("name", ["manifest.json", "weights.safetensors", "codecs.json"])
def test_a_file_of_a_terabyte_that_takes_no_room_is_not_read(folder: Path, name: str) -> None:
    with (folder / name).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match=rf"{name} is corrupt: .*1,099,511,627,776 bytes"):
        read_checkpoint(folder)


def test_a_manifest_that_promises_a_terabyte_is_refused(folder: Path) -> None:
    with (folder / "weights.safetensors").open("r+b") as file:
        file.truncate(1 << 40)
    listed = json.loads((folder / "manifest.json").read_text())
    listed["files"]["weights.safetensors"]["bytes"] = 1 << 40
    (folder / "manifest.json").write_bytes(as_json(listed))
    with pytest.raises(DataError, match="memory"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\u202e", "../x", "\0"])
def test_a_name_in_a_manifest_cannot_write_to_a_terminal(folder: Path, name: str) -> None:
    listed = json.loads((folder / "manifest.json").read_text())
    listed["files"][name] = listed["files"]["config.json"]
    (folder / "manifest.json").write_bytes(as_json(listed))
    with pytest.raises(DataError, match="is no file name") as refusal:
        read_checkpoint(folder)
    assert str(refusal.value).isprintable()


def test_half_a_character_is_no_text_and_a_whole_one_is(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"source": "\\ud83d", "target": "a"}\n{"source": "\\ud83d\\ude00", "target": "a"}\n')
    found = read_jsonl(path)
    with pytest.raises(BadRecord, match=r"train\.jsonl:1: half of a character"):
        next(found)
    assert next(found).source == "\N{GRINNING FACE}"


def test_an_id_as_long_as_no_file_name_is_shortened(tmp_path: Path) -> None:
    form: Format[Any] = Format(write=lambda prediction, n_best: prediction.hypotheses[0].output, suffix=".txt")
    ids = ["x" * 300, "x" * 301, "é" * 200, "../" * 100 + "y"]
    with destination(form, tmp_path / "out", folder=True) as write:
        for one in ids:
            write(Prediction(Record(one, "a"), (Hypothesis(one, 0.0),)), 1)
    written = {path.read_text() for path in (tmp_path / "out").iterdir()}
    assert written == {f"{one}\n" for one in ids}


@pytest.mark.parametrize("place", ["9" * 30_000, "9" * 10, "-1", "1.0", "²"])
def test_a_place_that_no_source_has_is_refused(place: str) -> None:
    with pytest.raises(DataError, match="is no place of the source"):
        PlaceTokenizer().encode(f"0 {place}")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_recording_whose_name_no_file_has_is_refused_in_few_words(name: str, tmp_path: Path) -> None:
    from tasks.speech_to_text.recording import located

    with pytest.raises(BadRecord, match="no file has such a name") as refusal:
        located(name, tmp_path)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("step", ["1", -1, 1.5, None, [], True])
def test_a_step_that_is_no_number_is_refused(folder: Path, step: Any) -> None:
    """Its maker may have written digests that agree."""
    write_checkpoint(folder, Checkpoint({}, {}, {"a": torch.ones(2)}, {"a": torch.ones(2)}, {"step": step}))
    with pytest.raises(DataError, match=r"trainer\.json is corrupt: step: .* a whole number is right"):
        read_checkpoint(folder)


def test_facts_that_are_nested_too_deep_hide_no_reason(tmp_path: Path) -> None:
    """`run.json` says whose run it is, before its config is read."""
    (tmp_path / "config.toml").write_text("seed = 1\n")
    (tmp_path / "run.json").write_text("[" * 100_000 + "]" * 100_000)
    assert run_folder(TASKS["roman"], [str(tmp_path)], ()) == tmp_path


@pytest.mark.parametrize(
    ("task", "name", "content", "said"),
    [
        ("reaction_prediction", "a.tsv", b"\t" * 1_000_000, "a.tsv:1: no row of a table: more than 10,000 cells"),
        ("reaction_prediction", "a.csv", b"," * 1_000_000, "a.csv:1: no row of a table: more than 10,000 cells"),
        (
            "protein_alignment",
            "a.msf",
            b"MKV" * 100_000,
            "a.msf:1: no alignment in msf format: a line of more than 200,000",
        ),
        ("protein_alignment", "a.phy", b'{"t": 1, ' * 10_000, "a.phy:1: no alignment in phylip format"),
    ],
)
def test_a_row_of_a_million_cells_is_not_cut_up(
    task: str, name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    form = next(form for form in TASKS[task].formats.values() if name[1:] in form.endings)
    assert form.read is not None
    with pytest.raises((BadRecord, DataError)) as error:
        list(form.read(TASKS[task].config(), tmp_path / name))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"" = 1', 'a.toml:1: "" = 1: no such key; the top level has'),
        ('"a b" = [{x = 1}]', 'a.toml:1: "a b" = [{x = 1}]: no such key'),
        ('[train]\n"\\u0007" = 1', 'train."\\u0007" = 1: no such key'),
        ("[train]\n" + "9" * 5000 + " = 1", f"a.toml:2: train.{'9' * 60}... = 1: no such key"),
    ],
)
def test_a_key_of_any_kind_is_named_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load(run_config(TASKS["roman"].config), tmp_path / "a.toml")
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_json_that_is_nested_too_deep_is_refused_wherever_it_is_read(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    (tmp_path / "config.json").write_text(deep)
    with pytest.raises(DataError, match=r"train\.init_encoder: .*config\.json: maximum recursion"):
        beside(tmp_path / "model.safetensors", "config.json", "train.init_encoder")
    (tmp_path / "log.jsonl").write_text(deep + "\n")
    with pytest.raises(DataError, match=r"log\.jsonl: maximum recursion"):
        read_log(tmp_path / "log.jsonl")
    assert read_line(deep.encode() + b"\n") == ("", sys.maxsize)
    with pytest.raises(BadRecord, match=r"x:1: not JSON: maximum recursion"):
        parse_json(Line(Path("x"), 1, deep.encode()))


def test_an_encoder_of_a_hundred_thousand_tensors_is_refused_at_its_head(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((1 << 21).to_bytes(8, "little") + b"{" + b" " * (1 << 21))
    with pytest.raises(DataError, match=r"train\.init_encoder: .*a header of 2,097,152 bytes; at most 1,048,576"):
        published.read(path, "train.init_encoder")
