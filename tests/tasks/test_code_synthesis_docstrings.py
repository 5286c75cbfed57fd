"""Functions read out of source files: kept until a file changes, and never taken from a damaged cache."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from core.record import Record, Split

docstrings: Any = import_module("tasks.code_synthesis.docstrings")
"""The module: the package shows the function of this name."""
CODE = '''
def double(number):
    """Give back twice the number."""
    return number * 2


def nothing():
    """Do nothing at all."""
    pass
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "module.py"
    path.write_text(CODE)
    monkeypatch.setattr(docstrings, "sources", lambda: iter([("package/module.py", path)]))
    return path


def mined(folder: Path) -> dict[Split, tuple[Record, ...]]:
    """Without what this process remembers."""
    docstrings.mined.cache_clear()
    try:
        return docstrings.mined(folder)
    finally:
        docstrings.mined.cache_clear()


def all_of(found: dict[Split, tuple[Record, ...]]) -> list[Record]:
    return [record for records in found.values() for record in records]


def test_what_was_read_is_kept_until_a_file_changes(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = mined(tmp_path)
    said = capsys.readouterr().err
    (record,) = all_of(first)
    assert (record.source, record.target) == ("double(number): Give back twice the number.", "return number * 2")
    assert "1 with nothing in them" in said
    with monkeypatch.context() as patch:
        patch.setattr(docstrings, "read", lambda files: pytest.fail("read again"))
        assert mined(tmp_path) == first
        assert capsys.readouterr().err == said
    module.write_text(CODE.replace("number * 2", "number + number"))
    assert all_of(mined(tmp_path))[0].target == "return number + number"


def test_a_damaged_cache_is_made_again(module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = mined(tmp_path)
    (kept,) = tmp_path.glob("docstrings-*.jsonl.gz")
    for content in (kept.read_bytes()[:-12], b"", b"no gzip"):
        kept.write_bytes(content)
        assert mined(tmp_path) == first
        assert "damaged; making it again" in capsys.readouterr().err
