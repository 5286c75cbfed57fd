"""Summarization: the files that people bring, and those that they take away."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.data.config import DataConfig
from core.data.sources import ReadRecords, read_records
from core.errors import BadRecord, ConfigError, DataError
from core.record import Hypothesis, Prediction, Record, Split
from core.run.inputs import read_inputs
from core.run.outputs import read_outputs
from core.words import run_folder
from tasks.summarization import TASK
from tasks.summarization.settings import SummarizationConfig


def read(folder: Path, split: Split = "train", *, data: Any = None, **task: Any) -> ReadRecords:
    config = DataConfig(source="files", path=(str(folder),), **{"holdout": 0.0, **(data or {})})
    return read_records(TASK, SummarizationConfig(**task), config, split)


def asked(*paths: Path, **task: Any) -> tuple[list[Record], list[str]]:
    """What `predict` reads, and what it refuses."""
    refused: list[str] = []
    records = list(read_inputs(TASK, SummarizationConfig(**task), tuple(map(str, paths)), refused))
    return records, refused


TABLE = 'id,headline,text,summary\n7,x,"One, two.\nThree ""four"".",one\n8,y,Five six.,five\n'


def test_csv_cells_hold_commas_quotes_and_lines(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TABLE)
    records = read(tmp_path).records
    assert [(one.key, one.source, one.target) for one in records] == [
        ("train-7", 'One, two.\nThree "four".', "one"),
        ("train-8", "Five six.", "five"),
    ]
    assert [one.meta["place"] for one in records] == [f"{tmp_path / 'train.csv'}:2", f"{tmp_path / 'train.csv'}:4"]
    named = read(tmp_path, article_column="headline").records
    assert [one.source for one in named] == ["x", "y"]
    with pytest.raises(DataError, match=r"train\.csv:1: no column 'texd'; did you mean text\?; there are id, headline"):
        read(tmp_path, article_column="texd")


def test_tab_separated_tables_have_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text('text\tsummary\nA 5" disk, old.\tdisk\n')
    assert [(one.source, one.target) for one in read(tmp_path).records] == [('A 5" disk, old.', "disk")]


def test_bad_rows_are_refused_where_they_stand_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    rows = [
        b"text,summary",
        b'"Two\nlines.",two',
        b"one cell",
        b"caf\xe9,coffee",
        b"Text.,",
        b"Good.,good",
        b'"never ends,x',
        b"",
    ]
    path.write_bytes(b"\n".join(rows))
    with pytest.raises(BadRecord, match=rf"{path}:4: 1 cells; the first row names 2 \(text, summary\)"):
        read(tmp_path)
    found = read(tmp_path, data={"bad": "skip"})
    assert [one.target for one in found.records] == ["two", "good"]
    assert [str(one).removeprefix(f"{path}:") for one in found.refused] == [
        "4: 1 cells; the first row names 2 (text, summary)",
        "5: byte 4 of the line (0xe9) is not UTF-8",
        "6: an empty summary",
        "8: a quoted cell that never ends",
    ]


def test_a_table_without_rows_or_with_equal_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("")
    with pytest.raises(DataError, match=r"train\.csv:1: an empty file; its first row must name the columns"):
        read(tmp_path)
    path.write_text("text,text\n")
    with pytest.raises(DataError, match=r"train\.csv:1: two columns of one name"):
        read(tmp_path)


@pytest.mark.parametrize("told", ["article_column=Body", "summary_column=Title", "rouge_words='unicode'", "novelty=3"])
def test_a_trained_run_reads_other_tables_and_is_scored_otherwise(told: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[data]\nsource = "toy"\n[task]\nrouge_stemmer = false\n')
    assert run_folder(TASK, [str(tmp_path)], [f"task.{told}"]) == tmp_path
    with pytest.raises(ConfigError, match=r"a trained run keeps its \[task\]"):
        run_folder(TASK, [str(tmp_path)], ["task.vocabulary=500"])


def test_jsonl_has_the_names_of_the_field(tmp_path: Path) -> None:
    lines = [
        {"document": "A long text.", "summary": "text"},
        {"article": "Another.", "highlights": "other", "id": "n2", "meta": {"references": ["another"]}},
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = read(tmp_path).records
    assert [(one.key, one.source, one.references) for one in records] == [
        ("train-1", "A long text.", ("text",)),
        ("train-n2", "Another.", ("other", "another")),
    ]
    with pytest.raises(BadRecord, match=r"train\.jsonl:1: no column 'news'; there are document, summary"):
        read(tmp_path, article_column="news")
    (tmp_path / "train.jsonl").write_text('{"text": 3, "summary": "x"}\nnonsense\n{"text": "a b"}\n')
    refused = read(tmp_path, data={"bad": "skip"}).refused
    assert [str(one).split("train.jsonl:")[1] for one in refused] == [
        "1: `source`: the number 3; a text is right",
        "2: not JSON: Expecting value at column 1",
        "3: no target; training and scoring need one",
    ]


def folder_of_pairs(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name.replace('_', '.')}.txt").write_text(text)
    return folder


def test_a_folder_of_articles_and_summaries(tmp_path: Path) -> None:
    folder_of_pairs(
        tmp_path / "train", b_article="Text b.\nMore.\n", b_summary="b\n", a_article="Text a.", a_summary="a"
    )
    folder_of_pairs(tmp_path / "test", c_article="Text c.", c_summary="c")
    assert [(one.key, one.source, one.target) for one in read(tmp_path).records] == [
        ("train-a", "Text a.", "a"),
        ("train-b", "Text b.\nMore.", "b"),
    ]
    assert [one.key for one in read(tmp_path, "test").records] == ["test-c"]
    assert len(read(tmp_path / "test").records) == 1, "a folder of pairs is training data"
    (tmp_path / "train" / "b.summary.txt").unlink()
    folder_of_pairs(tmp_path / "train", d_summary="d", e_article=" \n", e_summary="e")
    with pytest.raises(BadRecord, match=r"b\.article\.txt: no b\.summary\.txt beside it"):
        read(tmp_path)
    refused = [str(one).split("train/")[1] for one in read(tmp_path, data={"bad": "skip"}).refused]
    assert refused == [
        "b.article.txt: no b.summary.txt beside it",
        "d.summary.txt: no d.article.txt beside it",
        "e.article.txt:1: an empty file",
    ]


def test_predict_reads_lines_tables_objects_and_folders(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("One text.\n\nAnother\u2028one.\n")
    (tmp_path / "in.csv").write_text(TABLE)
    (tmp_path / "in.jsonl").write_text('{"text": "Plain."}\n{"source": "Ours.", "id": "k"}\n')
    folder_of_pairs(tmp_path / "news", x_article="News x.\nMore.", x_summary="x", y_article="News y.")
    records, refused = asked(tmp_path / "in.txt", tmp_path / "in.csv", tmp_path / "in.jsonl", tmp_path / "news")
    assert refused == []
    assert [(one.key, one.source) for one in records] == [
        ("1", "One text."),
        ("2", ""),
        ("3", "Another\u2028one."),
        ("7", 'One, two.\nThree "four".'),
        ("8", "Five six."),
        ("1", "Plain."),
        ("k", "Ours."),
        ("x", "News x.\nMore."),
        ("y", "News y."),
    ]
    assert all(one.target is None for one in records)


def test_refused_inputs_keep_their_place(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\nGood.\na,b\nFine.\n")
    records, refused = asked(tmp_path / "in.csv")
    assert [one.source for one in records] == ["Good.", "", "Fine."]
    assert refused == [f"{tmp_path / 'in.csv'}:3: 2 cells; the first row names 1 (text)"]


def prediction(*outputs: str, source: str = 'A "long", text.') -> Prediction:
    return Prediction(Record("k", source), tuple(Hypothesis(one, -float(rank)) for rank, one in enumerate(outputs)))


def written(name: str, one: Prediction, n_best: int = 1) -> str:
    form = TASK.formats[name]
    assert form.write is not None
    text = form.write(one, n_best)
    assert isinstance(text, str)
    return form.head + text + "\n" + form.foot


def test_what_is_written_has_as_many_lines_as_answers() -> None:
    assert written("text", prediction("one\ntwo", "three"), 2) == "one two\nthree\n"
    assert written("text", prediction()) == "\n"
    assert written("text", prediction("one"), 3) == "one\n\n\n"
    rows = list(csv.reader(io.StringIO(written("csv", prediction("one\ntwo", "three"), 2))))
    assert rows == [
        ["id", "article", "summary"],
        ["k", 'A "long", text.', "one\ntwo"],
        ["k", 'A "long", text.', "three"],
    ]
    assert list(csv.reader(io.StringIO(written("csv", prediction()))))[1] == ["k", 'A "long", text.', ""]


def test_the_page_marks_copied_and_new_words_and_escapes_the_rest() -> None:
    page = written("html", prediction("Map <new>", source="The map & <b>more</b>"))
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>\n")
    assert '<p class="summary"><mark>Map</mark> &lt;<ins>new</ins>&gt;</p>' in page
    assert "<p>The <mark>map</mark> &amp; &lt;b&gt;more&lt;/b&gt;</p>" in page


def test_summaries_by_anyone_are_read_from_our_own_formats(tmp_path: Path) -> None:
    records = [Record("a", "Text a.", "x"), Record("b", "Text b.", "y")]
    made = [Prediction(one, (Hypothesis(one.source.lower(), 0.0),)) for one in records]
    table, objects, lines = tmp_path / "out.csv", tmp_path / "out.jsonl", tmp_path / "out.txt"
    form = TASK.formats["csv"]
    assert form.write is not None
    table.write_text(form.head + "".join(f"{form.write(one, 1)}\n" for one in made))
    objects.write_text(
        "".join(json.dumps({"id": one.record.key, "output": one.output}) + "\n" for one in reversed(made))
    )
    lines.write_text("text a.\ntext b.\n")
    for path in (table, objects, lines):
        found = read_outputs(TASK, SummarizationConfig(), path, records)
        assert [(one.record.key, one.output) for one in found] == [("a", "text a."), ("b", "text b.")], path.name
