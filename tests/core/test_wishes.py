"""What users want of outputs, in their own words; and answers of a stream that are written while they are found."""

from __future__ import annotations

import io
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.cli import dispatch
from core.task import Task
from tasks.roman import TASK as ROMAN

TASK = replace(ROMAN, read=None, read_target=None)


def trained(folder: Path, *more: str) -> Path:
    config = Path(__file__).parents[2] / "configs" / "roman" / "tiny.toml"
    short = ("train.steps=2", "train.evaluate_every=2", "train.evaluate_records=4", "save.every=2")
    assert dispatch("train", lambda: TASK, "roman", [str(config), *short, *more, "--run", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hardly trained model."""
    return trained(tmp_path_factory.mktemp("roman") / "run")


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Exit code, standard output, standard error."""

    def run_it(*words: str | Path, text: str, task: Task[Any] = TASK) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        capsys.readouterr()
        code = dispatch("predict", lambda: task, "roman", [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


@pytest.mark.parametrize("strategy", ["beam", "greedy", "sample"])
def test_a_config_wishes_for_all_and_a_record_for_itself(
    run: Path, predict: Any, tmp_path: Path, strategy: str
) -> None:
    asked = [
        {"source": "12"},
        {"source": "7", "meta": {"prefix": "MM", "include": "LX"}},
        {"source": "9", "meta": {"include": ["V", "DC"], "exclude": ["I"]}},
    ]
    file = tmp_path / "asked.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in asked))
    settings = [f"search.strategy={strategy}", "search.prefix=X", 'search.include=["CD"]', 'search.exclude=["XX"]']
    code, out, said = predict(run, file, *settings, text="")
    assert code == 0, said
    first, second, third = out.splitlines()
    assert all("CD" in one and "XX" not in one for one in (first, second, third))
    assert (first[0], third[0]) == ("X", "X")
    assert second.startswith("MM")
    assert "LX" in second
    assert "V" in third
    assert "DC" in third
    assert "I" not in third


def test_a_shortlist_is_all_that_is_said(run: Path, predict: Any, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("XX\nVI\n")
    code, out, said = predict(
        run, "-", f"search.shortlist={tmp_path / 'list.txt'}", 'search.include=["M"]', text="12\n7\n"
    )
    assert code == 0, said
    assert set(out) <= set("XVIM\n")
    assert all("M" in line for line in out.splitlines())
    code, _, said = predict(run, "-", "search.shortlist=nowhere.txt", text="12\n")
    assert (code, "nowhere.txt" in said) == (2, True)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("search.prefix=Q", "holds a symbol that the vocabulary of this run lacks"),
        ('search.include=["Q"]', "search.include: 'Q'"),
        ("search.draft=4", "greedy"),
        ("search.groups=2", "2 groups do not divide"),
        ('search.rerank=["nobody"]', "KIND:WHAT"),
        ('search.rerank=["run:nowhere"]', "nowhere"),
        ('search.rerank=["python:none.py:f"]', "none.py"),
        ('search.rerank=["run:x*y"]', "no number"),
    ],
)
def test_what_cannot_be_is_one_line(run: Path, predict: Any, setting: str, said: str) -> None:
    code, out, told = predict(run, "-", setting, "search.beams=5", text="12\n")
    assert (code, out) == (2, "")
    assert said in told
    assert len(told.strip().splitlines()) == 1


def test_a_record_s_own_mistake_is_its_own(run: Path, predict: Any, tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text('{"source": "12", "meta": {"include": 5}}\n{"source": "7"}\n')
    code, out, said = predict(run, file, text="")
    assert code == 3
    assert "a text, or a list of texts, is right" in said
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize("strategy", ["beam", "greedy"])
def test_tokens_of_a_stream_are_written_as_they_become_certain(run: Path, predict: Any, strategy: str) -> None:
    settings, text = [f"search.strategy={strategy}"], "12\n\n1984\n"
    _, whole, _ = predict(run, *settings, text=text)
    code, out, said = predict(run, "--stream", "--tokens", *settings, text=text)
    assert (code, out) == (0, whole), said
    code, out, _ = predict(run, "--stream", "--tokens", "--format", "jsonl", *settings, text=text)
    lines = [json.loads(line) for line in out.splitlines()]
    last = [one for one in lines if "output" in one]
    assert [one["output"] for one in last] == whole.splitlines()
    for one in last:
        parts = [part["partial"] for part in lines if part["id"] == one["id"] and "partial" in part]
        assert all(b.startswith(a) and len(b) > len(a) for a, b in itertools.pairwise(parts))
        assert all(one["output"].startswith(part) for part in parts)
    assert len(lines) > len(last)


def test_a_chosen_answer_does_not_grow(run: Path, predict: Any) -> None:
    for words in (["search.strategy=sample"], ["search.n_best=2"], ['search.rerank=["python:x.py:f"]']):
        code, out, said = predict(run, "--stream", "--tokens", *words, text="12\n")
        assert (code, out) == (2, "")
        assert said.startswith("error: ")
    code, _, said = predict(run, "--tokens", text="12\n")
    assert (code, "--stream" in said) == (2, True)


def test_answers_are_ranked_anew(run: Path, predict: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def short(source, output):\n    return -len(output)\n")
    other = trained(tmp_path / "other", "seed=7")
    among = ["search.beams=6", "search.n_best=6", "--format", "jsonl"]

    def asked(*rerank: str) -> list[tuple[str, float]]:
        setting = [f"search.rerank={json.dumps(list(rerank))}"] if rerank else []
        code, out, said = predict(run, "-", *among, *setting, text="12\n")
        assert code == 0, said
        return [(one["output"], one["score"]) for one in json.loads(out)["hypotheses"]]

    plain = asked()
    twice = asked(f"run:{run}")
    assert [score for _, score in twice] == pytest.approx([2 * score for _, score in plain], abs=1e-4)
    by_function = asked(f"python:{tmp_path / 'mine.py'}:short*100")
    assert [len(output) for output, _ in by_function] == sorted(len(output) for output, _ in plain)
    half, whole = asked(f"run:{other}*0.5"), asked(f"run:{other}")
    own, a, b = dict(plain), dict(half), dict(whole)
    assert all(b[one] - own[one] == pytest.approx(2 * (a[one] - own[one]), abs=1e-5) for one in own)
    assert asked(f"lm:{other}") != asked(f"reverse:{other}") != plain


def test_a_stranger_s_run_makes_no_code_run(predict: Any, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "mine.py").write_text(f"open({str(canary)!r}, 'w').close()\n\ndef f(source, output):\n    return 0\n")
    named = f'"python:{tmp_path / "mine.py"}:f"'
    theirs = trained(tmp_path / "theirs", f"search.rerank=[{named}]")
    code, out, said = predict(theirs, "-", text="12\n")
    assert (code, out, canary.exists()) == (2, "", False), said
    assert "code is run only where you ask for it" in said
    assert predict(theirs, "-", "search.rerank=[]", text="12\n")[0] == 0
    assert not canary.exists()
    assert predict(theirs, "-", f"search.rerank=[{named}]", text="12\n")[0] == 0
    assert canary.exists()


def test_what_a_run_is_not_sure_of_is_left_blank(run: Path, predict: Any) -> None:
    code, out, said = predict(run, "-", "--abstain", "2", text="12\n")
    assert (code, "from 0 to 1" in said) == (2, True)
    asked, text = ["-", "search.prefix=X"], "12\n7\n1984\n"
    lines = [json.loads(one) for one in predict(run, *asked, "--format", "jsonl", text=text)[1].splitlines()]
    sure = [one["hypotheses"][0]["confidence"] for one in lines]
    least = sorted(sure)[1]
    code, out, said = predict(run, *asked, "--abstain", f"{least:.17f}", text=text)
    assert code == 0, said
    left = [p >= float(f"{least:.17f}") for p in sure]
    assert out.splitlines() == [one["output"] if kept else "" for one, kept in zip(lines, left, strict=True)]
    assert not all(left)
    _, out, _ = predict(run, *asked, "--abstain", f"{least:.17f}", "--format", "jsonl", text=text)
    assert ["abstained" in json.loads(one) for one in out.splitlines()] == [not kept for kept in left]
