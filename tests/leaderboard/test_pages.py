"""Both pages: the same results give the same bytes; what is committed is what the committed results give."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmarks.leaderboard.__main__ import main
from benchmarks.leaderboard.charts import critical_difference, ticks
from benchmarks.leaderboard.pages import pages
from benchmarks.leaderboard.store import write_result
from tests.conftest import ROOT
from tests.leaderboard.results import answers, result

VOID = {"meta", "input", "br"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tasks, floors, two seeds, two revisions."""
    folder = tmp_path_factory.mktemp("results")
    for task in ("roman", "translation", "summarization"):
        write_result(result("floor-copy", answers(0.1), task=task, kind="floor", seed=None), folder)
        for at, name in enumerate(("rnn-attention", "transformer")):
            for seed, git, day in ((1, "a" * 8, "01-01"), (2, "a" * 8, "01-02"), (1, "b" * 8, "02-01")):
                right = answers(0.3 + 0.4 * at, seed=seed + 3 * at)
                when = {"date": f"2026-{day}T00:00:00Z", "git": git, "seed": seed}
                write_result(result(name, right, task=task, **when), folder)
    return folder


class Balanced(HTMLParser):
    """Every tag is closed by its own."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_committed_pages_are_what_the_results_give() -> None:
    for name, text in pages().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "python -m benchmarks.leaderboard show"


def test_the_same_results_give_the_same_bytes(results: Path, tmp_path: Path) -> None:
    first = pages(results)
    other = tmp_path / "elsewhere"
    for path in sorted(results.glob("*/board/*.json"), reverse=True):
        copy = other / path.relative_to(results)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    assert pages(other) == first


def test_show_writes_and_check_compares(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["show", "--results", str(results), "--docs", str(tmp_path / "docs")]
    assert main([*words, "--check"]) == 1
    assert main(words) == 0
    assert main([*words, "--check"]) == 0
    page = tmp_path / "docs/leaderboard/index.html"
    page.write_text(page.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert main([*words, "--check"]) == 1
    assert "leaderboard/index.html: not what the results give" in capsys.readouterr().err


def test_the_page_holds_every_row_and_every_plot(results: Path) -> None:
    page = pages(results)["leaderboard/index.html"]
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    table = page[page.index('id="all"') :]
    assert len(re.findall(r'<tr class="\w+" data-task', table)) == 9
    for title in (
        *(
            "Mean ranks with their critical difference",
            "Skill by training minutes",
            "roman, numbers: exact@1 with 95 %",
        ),
        "roman, numbers: exact@1 by revision",
    ):
        assert f"<title>{title}" in page
    assert "http" not in page, "nothing is loaded"


def test_published_results_are_no_rows_of_a_board(results: Path) -> None:
    text = pages(results)["leaderboard.md"]
    before, after = text.split("## Published results")
    assert "Transformer-Tiny" not in before
    assert "arXiv 2105.14462" in after
    assert "transformer against rnn-attention: transformer is better on roman, summarization, translation." in text


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    write_result(result("<b>&|", answers(0.5)), tmp_path)
    made = pages(tmp_path)
    assert "<b>" not in made["leaderboard/index.html"]
    assert "<b>&\\|" in made["leaderboard.md"]


def test_ticks_cover_their_range() -> None:
    for low, high in ((0.0, 100.0), (-3.2, 0.4), (5.0, 5.0), (0.0, 0.0), (99.2, 99.9), (1e-5, 2e-5)):
        marks = ticks(low, high)
        assert marks[0] <= low
        assert marks[-1] >= high
        assert 2 <= len(marks) <= 9


def test_systems_nearer_than_the_critical_difference_are_joined() -> None:
    ranked = [("one", 1.0), ("two", 1.6), ("three", 3.4)]
    assert critical_difference(ranked, 1.0, "t").count('stroke-width="5"') == 1
    assert critical_difference(ranked, 0.1, "t").count('stroke-width="5"') == 0
    assert critical_difference(ranked, 3.0, "t").count('stroke-width="5"') == 1
