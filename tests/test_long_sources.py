"""The benchmark of long sources: what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.long_sources import main


def test_figures_of_every_length_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "found.json"
    sizes = ["--lengths", "40", "80", "--repeats", "1", "--window", "8", "--first", "2"]
    assert main([*sizes, "--output", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["lengths"] == [40, 80]
    assert all(len(found["seconds"][name]) == 2 and min(found["seconds"][name]) > 0 for name in ("dense", "sparse"))
    assert set(found["growth"]) == {"dense", "sparse"}
    assert "growth: dense" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--lengths", "80", "40"], ["--lengths", "0"], ["--repeats", "0"]])
def test_what_makes_no_sense_is_refused(wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*wrong, "--output", str(tmp_path / "x.json")])
    assert ended.value.code == 2
    assert not list(tmp_path.iterdir())
