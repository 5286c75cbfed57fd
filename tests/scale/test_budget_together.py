"""Processes of one training share what they know of memory: the one with least of it counts for all."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.scale.budgeting import starved, together
from tests.scale.launching import all_ended, launched


def found(place: Path, rooms: list[int]) -> list[tuple[int, int]]:
    out = place / "found.json"
    ended = all_ended(launched(len(rooms), place, together, out, rooms), 1000)
    assert [code for code, *_ in ended] == [0] * len(rooms), ended[0][2][-2000:]
    return [json.loads(out.with_suffix(f".{rank}").read_text()) for rank in range(len(rooms))]


def test_the_least_counts_for_all(tmp_path: Path) -> None:
    one, other = found(tmp_path / "uneven", [120, 40])
    assert one == other
    (large, _), same = found(tmp_path / "even", [120, 120])
    assert same[0] == large > one[0]


def test_where_one_runs_out_all_begin_anew(tmp_path: Path) -> None:
    """The same updates as of one process that has room."""
    one, two = tmp_path / "one", tmp_path / "two"
    for world, place in ((1, one), (2, two)):
        ended = all_ended(launched(world, place, starved, place, 3), 1000)
        assert [code for code, *_ in ended] == [0] * world, ended[0][2][-2000:]
    (room, times, said), (other, other_times, _) = (json.loads((two / f"{rank}.json").read_text()) for rank in (0, 1))
    assert room == other > 0
    assert times == 0 < other_times == said
    expected = load_file(one / "0.safetensors")
    for rank in (0, 1):
        for name, found in load_file(two / f"{rank}.safetensors").items():
            torch.testing.assert_close(
                found, expected[name], rtol=1e-9, atol=1e-10, msg=lambda why, at=name: f"{at}: {why}"
            )
