"""What `predict` and `evaluate` do around a search: folders, streams, files an input, a task's own way of solving, anyone's outputs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from core.cli import dispatch
from core.errors import MetricSkipped
from core.record import Hypothesis, Prediction, Record
from core.run.answering import Answerer
from core.run.folder import RunFolder
from core.run.outputs import read_outputs
from core.run.stored import load_run
from core.task import Format, Solve, Task
from tasks.roman import TASK as ROMAN

TASK = replace(ROMAN, read=None)  # which takes any text

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hardly trained model."""
    folder = tmp_path_factory.mktemp("roman") / "run"
    config = Path(__file__).parents[2] / "configs" / "roman" / "tiny.toml"
    short = ("train.steps=2", "train.evaluate_every=2", "train.evaluate_records=4", "save.every=2")
    assert dispatch("train", lambda: TASK, "roman", [str(config), *short, "--run", str(folder)]) == 0
    return folder


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Exit code, standard output, standard error."""

    def run_it(verb: str, task: Task[Any], *words: str | Path, text: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        capsys.readouterr()
        code = dispatch(verb, lambda: task, task.name, [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def upper(config: object, codecs: object, search: Solve, records: Sequence[Record]) -> list[Prediction]:
    """Every record searched twice, and told so."""
    twice = search([*records, *records])
    return [
        Prediction(record, (Hypothesis(f"{one.output == other.output} {record.source}", 0.0),))
        for record, one, other in zip(records, twice[: len(records)], twice[len(records) :], strict=True)
    ]


def test_a_task_solves_in_its_own_way_and_blank_lines_stay_blank(run: Path, typed: Typed) -> None:
    task = replace(TASK, solve=upper)
    assert typed("predict", task, run, text=b"12\n\n7\n") == (0, "True 12\n\nTrue 7\n", "")


def test_a_bar_moves_while_a_task_solves_records_together(run: Path) -> None:
    task = replace(TASK, solve=upper)
    stored = load_run(task, RunFolder(run), ("search.batch_tokens=64",))
    records = [Record(str(n), str(n)) for n in range(1, 13)]
    told: list[int] = []
    Answerer(task, stored.config, stored.codecs, stored.model, stored.rule)(
        [*records, Record("blank", "")], told.append
    )
    assert sum(told) == 13
    assert told[0] == 1, "the blank one"
    assert max(told[1:]) < 12, "not all at once in the end"


def test_a_folder_stands_for_the_files_in_it(run: Path, typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.jsonl").write_text('{"source": "9"}\n')
    (tmp_path / "a.jsonl").write_text('{"source": "5"}\n{"source": "6"}\n')
    (tmp_path / "other.bin").write_bytes(b"\xff\n")
    code, out, _ = typed("predict", replace(TASK, solve=upper), run, tmp_path)
    assert (code, out) == (0, "True 5\nTrue 6\nTrue 9\n")
    (tmp_path / "empty").mkdir()
    code, out, said = typed("predict", replace(TASK, solve=upper), run, tmp_path / "empty", tmp_path / "a.jsonl")
    assert (code, out) == (3, "True 5\nTrue 6\n")
    assert "holds no .jsonl" in said


def test_a_refused_line_keeps_its_number(run: Path, typed: Typed) -> None:
    code, out, said = typed("predict", TASK, run, "--format", "jsonl", text=b"12\n\xff\n7\n")
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["1", "2", "3"]
    assert (code, said.count("standard input:2: byte 1")) == (3, 1)


def test_a_format_shows_as_many_answers_as_it_says_unless_a_number_is_given(run: Path, typed: Typed) -> None:
    one = replace(TASK, formats={"short": Format(write=lambda prediction, n: str(n), shown=1)})
    assert typed("predict", one, run, "search.beams=3", text=b"12\n")[1] == "1\n"
    assert typed("predict", one, run, "--n-best", "2", "search.beams=3", text=b"12\n")[1] == "2\n"
    assert typed("predict", one, run, "search.n_best=3", "search.beams=3", text=b"12\n")[1] == "3\n"


def test_a_stream_is_answered_as_it_comes(run: Path, typed: Typed) -> None:
    taken: list[str] = []

    def listen(config: object, stream: BinaryIO) -> Iterator[Record]:
        for number, raw in enumerate(stream.read().split(b";")):
            taken.append(raw.decode())
            yield Record(str(number), raw.decode())

    def solve(config: object, codecs: object, search: Solve, records: Sequence[Record]) -> list[Prediction]:
        assert [record.source for record in records] == taken[-1:], "an answer waited for later input"
        return upper(config, codecs, search, records)

    task = replace(TASK, solve=solve, listen=listen)
    assert typed("predict", task, run, "--stream", text=b"3;4;5") == (0, "True 3\nTrue 4\nTrue 5\n", "")
    assert typed("predict", replace(TASK, solve=upper), run, "-", "--stream", text=b"3\n4\n")[1] == "True 3\nTrue 4\n"
    assert typed("predict", TASK, run, "x.txt", "--stream")[0] == 2


def page(prediction: Prediction, n_best: int) -> str:
    return f"<p>{prediction.record.source}</p>"


def picture(prediction: Prediction, n_best: int) -> bytes:
    return b"\x00" + prediction.record.source.encode()


DRAWN = replace(
    TASK,
    formats={
        "html": Format(write=page, head="<html>", foot="</html>\n", suffix=".html"),
        "png": Format(write=picture, suffix=".png", overrides=("search.beams=2",)),
        "one": Format(write=page),
    },
)


def test_pages_have_head_and_foot_and_pictures_a_folder(run: Path, typed: Typed, tmp_path: Path) -> None:
    assert typed("predict", DRAWN, run, text=b"1\n2\n")[1] == "<html><p>1</p>\n<p>2</p>\n</html>\n"
    out = tmp_path / "pictures"
    assert typed("predict", DRAWN, run, "--format", "png", "--output", f"{out}/", text=b"1\n2\n")[0] == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"1.png": b"\x001", "2.png": b"\x002"}
    code, _, said = typed("predict", DRAWN, run, "--format", "png", text=b"1\n")
    assert (code, "--output FOLDER/" in said) == (2, True)
    code, _, said = typed("predict", DRAWN, run, "--format", "one", "--output", f"{out}/", text=b"1\n")
    assert (code, "name that file" in said) == (2, True)


def test_two_inputs_of_one_name_have_two_files(run: Path, typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        '{"id": "../a b", "source": "1"}\n{"id": "a/a b", "source": "2"}\n{"id": "..", "source": "3"}\n'
    )
    out = tmp_path / "out"
    assert typed("predict", DRAWN, run, tmp_path / "in.jsonl", "--format", "png", "--output", f"{out}/")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["a_b-2.png", "a_b.png", "input.png"]


def test_what_a_task_lets_change_may_change(run: Path, typed: Typed) -> None:
    code, _, said = typed("predict", TASK, run, "task.largest=500", text=b"3\n")
    assert (code, "keeps its [task]" in said) == (2, True)
    assert typed("predict", replace(TASK, changeable=("task.largest",)), run, "task.largest=500", text=b"3\n")[0] == 0


def outputs(tmp_path: Path, typed: Typed) -> list[tuple[str, str]]:
    """Ids and right answers of dev, as anyone may have them."""
    from core.data.config import DataConfig

    return [(one.key, one.target) for one in TASK.sources["numbers"](TASK.config(), DataConfig(), "dev")]


def test_anyones_outputs_are_scored_by_id_or_in_order(typed: Typed, tmp_path: Path) -> None:
    right = outputs(tmp_path, typed)
    lines, by_id, result = tmp_path / "out.txt", tmp_path / "out.jsonl", tmp_path / "scores.json"
    lines.write_text("".join(f"{target}\n" for _, target in right))
    wrong = [(key, "?" if number < 10 else target) for number, (key, target) in enumerate(right)]
    by_id.write_text("".join(json.dumps({"id": key, "output": target}) + "\n" for key, target in reversed(wrong)))
    code, printed, _ = typed("evaluate", TASK, "--predictions", lines, "--json", result)
    assert (code, "the model" in printed, "these outputs  " in printed) == (0, False, True), printed
    assert json.loads(result.read_text())["metrics"]["exact@1"]["value"] == 100
    assert typed("evaluate", TASK, "--predictions", by_id, "--json", result)[0] == 0
    expected = 100 * (len(right) - 10) / len(right)
    assert json.loads(result.read_text())["metrics"]["exact@1"]["value"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"id": "1", "output": "I"}\n', "1 outputs for 2 records"),
        ('{"id": "1", "output": "I"}\n{"id": "9", "output": "I"}\n', "no record has the id '9'"),
        ('{"id": "1", "output": "I"}\n{"id": "1", "output": "I"}\n', "'1' stands there twice"),
        ('{"id": "1", "output": "I"}\n{"id": "2", "output": 3}\n', ":2: no `output`"),
        ('{"id": "1", "output": "I"}\n[]\n', ":2: an object"),
        ('{"id": "1", "output": "I"}\nI\n', ":2: not JSON"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(text)
    with pytest.raises(Exception, match=said.replace("[", r"\[")) as error:
        read_outputs(TASK, TASK.config(), path, [Record("1", "1", "I"), Record("2", "2", "II")])
    assert getattr(error.value, "exit_code", None) == 3


class Unable:
    """A metric that needs what is not here."""

    name, signature, higher_is_better = "unable", "unable|v:1", True

    def statistics(self, predictions: Sequence[Prediction]) -> Any:
        raise MetricSkipped("there is no jail here")

    def score(self, rows: Any) -> float:
        raise AssertionError("nothing to score")


def test_a_metric_that_cannot_be_computed_is_skipped_with_its_reason(run: Path, typed: Typed, tmp_path: Path) -> None:
    task = replace(TASK, metrics=lambda config: (Unable(), *TASK.metrics(config)))
    code, out, _ = typed("evaluate", task, run, "--json", tmp_path / "scores.json")
    assert code == 0
    assert "unable: skipped, there is no jail here" in out
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["skipped"] == {"unable": "there is no jail here"}
    assert list(written["metrics"]) == [metric.name for metric in TASK.metrics(TASK.config())]
    code, _, said = typed("evaluate", replace(TASK, metrics=lambda config: (Unable(),)), run)
    assert (code, "no metric can be computed" in said) == (3, True)


def test_scores_can_be_broken_down(run: Path, typed: Typed, tmp_path: Path) -> None:
    task = replace(TASK, bins={"digits": lambda record: str(len(record.source))})
    code, out, _ = typed("evaluate", task, run, "--by", "digits", "--json", tmp_path / "scores.json")
    bins = json.loads((tmp_path / "scores.json").read_text())["bins"]["digits"]
    assert code == 0
    assert "digits" in out
    assert sum(one["n"] for one in bins.values()) == json.loads((tmp_path / "scores.json").read_text())["n"]
    assert typed("evaluate", task, run, "--by", "letters")[0] == 2


def test_scores_can_be_told_apart_by_what_training_has_shown(run: Path, typed: Typed, tmp_path: Path) -> None:
    asked = ["evaluate", TASK, run, "--by", "seen"]
    code, _, _ = typed(*asked, "--json", tmp_path / "scores.json")
    assert code == 0
    tree = json.loads((tmp_path / "scores.json").read_text())
    assert {name: one["n"] for name, one in tree["bins"]["seen"].items()} == {"new": tree["n"]}
    (tmp_path / "dev.jsonl").write_text('{"source": "7", "target": "VII"}\n')
    code, _, said = typed(*asked, "--data", tmp_path / "dev.jsonl")
    assert (code, "the training data are not told by --data" in said) == (2, True)


def test_the_best_by_utility_may_be_another_and_needs_a_utility(run: Path, typed: Typed) -> None:
    decide, among = "search.decide=utility", ["search.beams=4", "search.n_best=4", "--format", "jsonl", "--n-best", "4"]
    code, out, said = typed("predict", TASK, run, "-", *among, decide, text=b"12\n")
    assert (code, out) == (2, "")
    assert "roman has no utility" in said
    shortest = replace(TASK, utility=lambda output, other: -float(len(output)))
    _, plain, _ = typed("predict", shortest, run, "-", *among, text=b"12\n")
    _, out, _ = typed("predict", shortest, run, "-", *among, decide, text=b"12\n")
    before, after = ([one["output"] for one in json.loads(text)["hypotheses"]] for text in (plain, out))
    assert after == sorted(dict.fromkeys(before), key=len)
    assert json.loads(out)["hypotheses"][0]["score"] == -len(after[0])


def test_runs_decide_together(run: Path, typed: Typed, tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "configs" / "roman" / "tiny.toml"
    short = ("train.steps=2", "train.evaluate_every=2", "train.evaluate_records=4", "save.every=2", "seed=7")
    other = tmp_path / "other"
    assert dispatch("train", lambda: TASK, "roman", [str(config), *short, "--run", str(other)]) == 0
    asked = ["-", "--format", "jsonl"]
    _, alone, _ = typed("predict", TASK, run, *asked, text=b"12\n")
    _, same, _ = typed("predict", TASK, run, "--with", run, *asked, text=b"12\n")
    _, both, _ = typed("predict", TASK, run, "--with", f"{run},{other}", *asked, text=b"12\n")
    scores = [json.loads(text)["hypotheses"][0]["score"] for text in (alone, same, both)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert scores[0] != pytest.approx(scores[2], abs=1e-3)
    code, out, said = typed("evaluate", TASK, run, "--with", other, text=b"")
    assert (code, f"with {other}" in out) == (0, True), said
    code, _, said = typed("predict", TASK, run, "--with", tmp_path / "none", text=b"12\n")
    assert (code, str(tmp_path / "none") in said) == (2, True)
    smaller = tmp_path / "smaller"
    words = [str(config), *short, "task.largest=299", "--run", str(smaller)]
    assert dispatch("train", lambda: TASK, "roman", words) == 0
    code, out, said = typed("predict", TASK, run, "--with", smaller, text=b"12\n")
    assert (code, out) == (2, "")
    assert "its vocabulary is not that of" in said


def test_what_the_limit_cut_is_said(run: Path, typed: Typed) -> None:
    brief = ("search.length_ratio=0", "search.length_extra=2", "search.shortest_extra=2", "--format", "jsonl")
    text = "\n".join(["", *map(str, range(1, 30))]).encode()
    code, out, said = typed("predict", TASK, run, *brief, text=text)
    cut = sum(json.loads(line)["hypotheses"][0]["finish"] == "length" for line in out.splitlines())
    assert code == 0
    assert 1 < cut < 30
    words = f"{cut} outputs ({100 * cut / 30:.1f} %) were cut at the length limit"
    assert said == f"{words} (search.length_ratio, search.length_extra)\n"
