"""Recorded sessions, and the documentation that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import record

PAGES = [page for page in record.pages() if record.MARK.search(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(record.ROOT).as_posix())
def test_what_a_page_shows_is_what_was_recorded(page: Path) -> None:
    text = page.read_text()
    assert record.MARK.sub(lambda match: record.renewed(match[1], match[2]), text) == text, (
        "renew it: python -m benchmarks.record --fill"
    )


def test_no_text_is_kept_of_data_whose_licence_nobody_knows(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")
    assert record.private("roman", tmp_path) == ""
    for text in ('[data]\nsource = "jsonl"\n', '[[data.mix]]\nname = "mine"\nsource = "jsonl"\n'):
        config.write_text(text)
        assert record.private("roman", tmp_path) == "(texts of `jsonl` are not kept: nothing is known of their licence)"
    lines = ["step 5  loss 1.2", "  source  secret", "  target  secret", "  output  secret", "written"]
    assert record.without_samples(lines) == ["step 5  loss 1.2", "written"]


def test_a_session_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "short.toml"
    config.write_text((record.ROOT / "configs" / "roman" / "tiny.toml").read_text().replace("steps = 750", "steps = 2"))
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results")
    record.record("roman", config, tmp_path / "run")
    results = tmp_path / "results" / "roman"
    scores, spent = (json.loads((results / f"short{end}").read_text()) for end in (".json", ".run.json"))
    assert scores["split"] == "test"
    assert spent["steps"] == 2
    assert set(spent["wall_seconds"]) == {"train", "evaluate", "predict", "refuse"}
    said = (results / "short.txt").read_text()
    for part in ("# train\n$ python -m tasks.roman.train", "# evaluate\n", "# predict\nsource  ", "# refuse\n"):
        assert part in said
    assert "(exit 3)" in said
    record.record("roman", config, tmp_path / "run", again=["predict"])
    assert (results / "short.txt").read_text() == said, "a part done again leaves the others as they were"
    record.record("roman", config, tmp_path / "run", again=["refuse"])
    assert (results / "short.txt").read_text() == said
    assert (
        json.loads((results / "short.run.json").read_text())["wall_seconds"]["train"] == spent["wall_seconds"]["train"]
    )
    page = tmp_path / "page.md"
    monkeypatch.setattr(record, "ROOT", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "results").rename(tmp_path / "benchmarks" / "results")
    page.write_text("before\n\n<!-- benchmarks/results/roman/short.txt:predict -->\n```text\nold\n```\n\nafter\n")
    assert record.fill(page)
    shown = page.read_text()
    assert "old" not in shown
    assert shown.count("source  ") == 3
    assert shown.endswith("```\n\nafter\n")
    assert not record.fill(page)
