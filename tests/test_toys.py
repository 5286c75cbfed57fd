"""The table of toys: what it covers, that it goes on where it was, and that its page is what the results give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from benchmarks.toys.__main__ import main, trained
from benchmarks.toys.cells import EXPECTATIONS, TOYS, cells, rows
from benchmarks.toys.page import Scores, low, page, stored
from core.config_shape import Choice, slots_of
from core.errors import ConfigError
from core.model.config import RNNConfig, TransformerConfig
from core.testing.toys import What
from tests.conftest import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "toys.json"


def recorded() -> Scores:
    """What `python -m benchmarks.toys` has written down so far."""
    if not RESULTS.is_file():
        pytest.skip("the table was not recorded yet")
    return stored(json.loads(RESULTS.read_text(encoding="utf-8")))


def choices(kind: type, key: str) -> set[object]:
    """All values of a key."""
    match slots_of(kind)[key].shape:
        case Choice(values):
            return set(values)
        case other:
            raise AssertionError(f"{key}: {other}")


def test_every_attention_of_every_cell_is_in_the_table() -> None:
    recurrent = [one.config for one in rows() if isinstance(one.config, RNNConfig)]
    there = {(one.cell, one.bidirectional, one.attention) for one in recurrent}
    assert there == {
        (cell, both, attention)
        for cell in choices(RNNConfig, "cell")
        for both in (False, True)
        for attention in choices(RNNConfig, "attention")
    }
    blocks = [one.config for one in rows() if isinstance(one.config, TransformerConfig)]
    assert {one.positions for one in blocks} == choices(TransformerConfig, "positions")
    assert {one.groups for one in blocks} >= {1, 2, 4}
    assert any(one.encoder_window for one in blocks)
    assert set(TOYS) == set(get_args(What))
    assert len({one.name for one in cells()}) == len(cells())


def test_floors_are_what_is_said() -> None:
    for one in cells():
        assert one.least == EXPECTATIONS[one.row.expected].least[one.toy]
    none = [one.row for one in cells() if one.row.attention == "none"]
    assert {one.expected for one in none} == {"fades", "one vector"}


def test_what_was_recorded_reaches_its_floors() -> None:
    found = recorded()
    assert found.keys() <= {one.name for one in cells()}
    assert not low(found)


def test_attention_was_better_than_one_vector_where_the_word_stands_far_back() -> None:
    """In the recorded table, read one way: what was read first has to outlive the noise."""
    found = recorded()
    for name in ("rnn one way", "gru one way", "lstm one way"):
        own = {
            one.attention: f"{one.label}: recall" for one in rows() if one.name == name and one.expected != "forward"
        }
        scores = {attention: found[cell]["score"] for attention, cell in own.items() if cell in found}
        if "none" in scores and len(scores) > 1:
            without = scores.pop("none")
            assert min(scores.values()) > without, name


def test_the_page_is_what_the_results_give(capsys: pytest.CaptureFixture[str]) -> None:
    recorded()
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_a_score_that_is_changed_by_hand_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = cells()[0]
    file = {"environment": {}, "cells": {one.name: {"score": 1.5, "processor_seconds": 3, "recipe": one.recipe}}}
    path = tmp_path / "toys.json"
    path.write_text(json.dumps(file), encoding="utf-8")
    assert main(["--write-only", f"--results={path}", f"--docs={tmp_path}"]) == 0
    assert main(["--check", f"--results={path}", f"--docs={tmp_path}"]) == 0
    assert f"Below their floors: {one.name} (1.5, asked {one.least:g})" in (tmp_path / "toys.md").read_text("utf-8")
    file["cells"][one.name]["score"] = 99.5
    path.write_text(json.dumps(file), encoding="utf-8")
    assert main(["--check", f"--results={path}", f"--docs={tmp_path}"]) == 1
    assert "toys.md: not what the results give" in capsys.readouterr().err


def test_a_cell_is_trained_once_and_again_when_its_recipe_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = next(one for one in cells() if one.row.section == "conv")
    short, path = replace(whole, steps=2), tmp_path / "toys.json"
    path.write_text(
        json.dumps({"environment": {}, "cells": {short.name: {"score": 100.0, "recipe": short.recipe}}}), "utf-8"
    )
    assert not stored(json.loads(path.read_text())), "a result of another recipe is none"
    assert "Nothing of the table has been trained yet." in page(json.loads(path.read_text()))
    file = {"environment": {}, "cells": {whole.name: {"score": 99.0, "recipe": whole.recipe, "processor_seconds": 1}}}
    path.write_text(json.dumps(file), "utf-8")
    assert trained([whole], path, 1) == []
    assert json.loads(path.read_text()) == file
    assert capsys.readouterr().err == ""


def test_what_makes_no_sense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="--jobs 0: at least 1"):
        trained(cells()[:1], tmp_path / "toys.json", 0)
    assert main(["--cells", "no such cell"]) == 2
    assert "--cells no such cell: fits no cell" in capsys.readouterr().err
    assert main(["--write-only", f"--results={tmp_path / 'toys.json'}", f"--docs={tmp_path}"]) == 3
    assert main(["--list", "--cells", "lstm one way, dot: *"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"lstm one way, dot: {what}" for what in TOYS]
    assert not list(tmp_path.iterdir())
