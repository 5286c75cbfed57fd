"""What the torture brings about is what it says: points that exist, every way of a training, states that a power cut can leave."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.torture.ordeals import ACCUMULATE, MODELS, WORKERS, ordeals
from benchmarks.torture.points import POINTS, Point, place_of
from benchmarks.torture.recorded import CHOICES, Recording, after_the_cut
from benchmarks.torture.storage import WRITES
from tasks import TASKS


@pytest.mark.parametrize("point", [*POINTS, *WRITES], ids=lambda point: point.name)
def test_a_point_is_a_function_of_the_product(point: Point) -> None:
    owner, name = place_of(point)
    assert callable(getattr(owner, name))
    assert point.when in ("before", "after", "half")


def test_there_are_points_enough_and_each_has_a_name() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS) >= 16


def test_trainings_are_the_whole_product() -> None:
    every = ordeals()
    assert len(set(every)) == len(every) == len(TASKS.names()) * len(MODELS) * len(WORKERS) * len(ACCUMULATE)
    assert {one.task for one in ordeals(["roman"])} == {"roman"}


def names(recording: Recording, into: Path) -> set[tuple[str, ...]]:
    """What many cuts leave."""
    found: set[tuple[str, ...]] = set()
    for number in range(60):
        place = into / str(number)
        after_the_cut(recording, CHOICES[number % len(CHOICES)], random.Random(number), place)
        found.add(
            tuple(sorted(f"{one.relative_to(place)}={one.read_text()}" for one in place.rglob("*") if one.is_file()))
        )
    return found


def written(recording: Recording, path: str, content: str, *, synced: bool) -> None:
    recording.made(path, folder=False)
    recording.nodes[recording.names[path]].contents.append(content.encode())
    if synced:
        recording.synced(path)


def test_without_a_sync_a_name_may_be_gone_and_its_content_cut_off(tmp_path: Path) -> None:
    recording = Recording()
    written(recording, "a", "0123456789", synced=False)
    found = names(recording, tmp_path)
    assert {(), ("a=0123456789",), ("a=",)} <= found
    assert any(one and 0 < len(one[0]) < 12 for one in found), "cut off"


def test_a_synced_file_is_whole_but_its_name_is_the_folders(tmp_path: Path) -> None:
    recording = Recording()
    written(recording, "a", "whole", synced=True)
    assert names(recording, tmp_path / "one") == {(), ("a=whole",)}
    recording.synced("")
    assert names(recording, tmp_path / "two") == {("a=whole",)}


def test_a_rename_is_one_change_and_folders_keep_theirs_apart(tmp_path: Path) -> None:
    recording = Recording()
    recording.made("last", folder=True)
    written(recording, "last/f", "old", synced=True)
    recording.synced("last")
    recording.synced("")
    recording.made("last.new", folder=True)
    written(recording, "last.new/f", "new", synced=True)
    recording.synced("last.new")
    recording.renamed("last", "last.old")
    recording.renamed("last.new", "last")
    found = names(recording, tmp_path)
    assert found == {
        ("last/f=old",),
        ("last.new/f=new", "last/f=old"),
        ("last.new/f=new", "last.old/f=old"),
        ("last.old/f=old", "last/f=new"),
    }
