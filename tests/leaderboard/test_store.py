"""Results on disk: whole or not there, whoever is killed; damage is seen."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from benchmarks.leaderboard.arrays import pack, unpack
from benchmarks.leaderboard.store import STALE_SECONDS, read_result, read_results, result_files, write_result
from core.errors import DataError
from tests.leaderboard.results import answers, result

WRITERS = Path(__file__).with_name("writers.py")


@given(
    arrays(np.float64, array_shapes(max_dims=2, max_side=6), elements=st.floats(allow_infinity=False))
    | arrays(np.float64, (4, 3), elements=st.integers(-70000, 70000).map(float))
)
def test_packed_numbers_come_back_exactly(array: np.ndarray) -> None:
    tree = json.loads(json.dumps(pack(array)))
    np.testing.assert_array_equal(unpack(tree), array)


def test_packed_counts_are_small() -> None:
    rows = np.random.default_rng(0).integers(0, 30, size=(1000, 4)).astype(float)
    tree = pack(rows)
    assert tree["type"] == "uint8"
    assert len(tree["zlib"]) < 4500


def test_packed_numbers_that_are_damaged_are_refused() -> None:
    tree = pack(np.arange(6.0).reshape(2, 3))
    for wrong in ({**tree, "shape": [7, 1]}, {**tree, "zlib": "AAAA"}, {**tree, "type": "object"}, {}):
        with pytest.raises(DataError, match="packed numbers cannot be read"):
            unpack(wrong)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    given = result("transformer", answers(0.5))
    path = write_result(given, tmp_path)
    assert {**given, "format": 1} == {**read_result(path), "digest": given["digest"]}
    assert write_result(given, tmp_path) == path, "the same cell has the same name"
    assert len(read_results(tmp_path)) == 1


def test_an_edited_result_is_refused(tmp_path: Path) -> None:
    path = write_result(result("transformer", answers(0.5)), tmp_path)
    text = path.read_text()
    path.write_text(text.replace('"training_minutes": 1.5', '"training_minutes": 0.5'))
    with pytest.raises(DataError, match="digest does not fit"):
        read_results(tmp_path)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        read_results(tmp_path)
    path.write_text("{}")
    with pytest.raises(DataError, match="not a result of the leaderboard: no format"):
        read_results(tmp_path)


def test_leftovers_are_swept_once_they_are_old(tmp_path: Path) -> None:
    folder = tmp_path / "roman" / "board"
    folder.mkdir(parents=True)
    path = folder / "any"
    fresh, old = path.with_name(".1-fresh.new"), path.with_name(".2-old.new")
    for one in (fresh, old):
        one.write_text("half a")
    long_ago = time.time() - 2 * STALE_SECONDS
    os.utime(old, (long_ago, long_ago))
    write_result(result("two", answers(0.5)), tmp_path)
    assert fresh.exists()
    assert not old.exists()
    assert len(list(result_files(tmp_path))) == 1


def watched(process: subprocess.Popen[str], most: int, count: int) -> int:
    """How many results it said were written, killed after `most` of them where that is not all."""
    assert process.stdout is not None
    lines = 0
    while lines < most and process.stdout.readline():
        lines += 1
    if most < count:
        process.kill()
    lines += sum(line.endswith("\n") for line in process.stdout)
    process.wait()
    process.stdout.close()
    return lines


def killed_writers(folder: Path, writers: int, count: int, seed: int) -> None:
    """Half of the writers are killed after some of their results; then nothing is torn, doubled or lost."""
    luck = random.Random(seed)
    allowed = [luck.randrange(count) if writer % 2 else count for writer in range(writers)]
    processes = [
        subprocess.Popen(
            [sys.executable, str(WRITERS), str(folder), str(writer), str(count)], stdout=subprocess.PIPE, text=True
        )
        for writer in range(writers)
    ]
    with ThreadPoolExecutor(writers) as pool:
        told = list(pool.map(watched, processes, allowed, [count] * writers))
    found = read_results(folder)
    names = [one["system"] for one in found]
    assert len(set(names)) == len(names)
    for writer, lines in enumerate(told):
        own = {name for name in names if name.startswith(f"w{writer}n")}
        assert {f"w{writer}n{number}" for number in range(lines)} <= own, "what was told to be written is there"
        assert len(own) <= lines + 1, "and at most the one that was being written besides"
    assert [told[writer] for writer in range(0, writers, 2)] == [count] * len(range(0, writers, 2))


def test_killed_writers_lose_nothing(tmp_path: Path) -> None:
    killed_writers(tmp_path, writers=3, count=12, seed=1)


@pytest.mark.slow
def test_eight_writers_of_a_thousand_results_each(tmp_path: Path) -> None:
    killed_writers(tmp_path, writers=8, count=1000, seed=2)
