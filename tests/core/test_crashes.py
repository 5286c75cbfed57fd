"""A crash at any step of writing or sweeping leaves the old checkpoint or the new one, whole."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from core.errors import DataError
from core.train import checkpoint as module
from core.train.checkpoint import Checkpoint, find, read_checkpoint, sweep, write_checkpoint

FILES = {"config.json", "codecs.json", "weights.safetensors", "trainer.safetensors", "trainer.json", "manifest.json"}


def made(step: int) -> Checkpoint:
    return Checkpoint({}, {}, {"w": torch.full((3,), float(step))}, {"ema.w": torch.ones(2)}, {"step": step})


def must_equal(one: Checkpoint | None, other: Checkpoint) -> None:
    assert one is not None
    assert (one.config, one.codecs, one.facts) == (other.config, other.codecs, other.facts)
    for mine, yours in ((one.weights, other.weights), (one.trainer, other.trainer)):
        assert set(mine) == set(yours)
        assert all(torch.equal(mine[name], yours[name]) and mine[name].dtype == yours[name].dtype for name in yours)


class PowerCut(BaseException):
    """The machine goes down at this call."""


def crashing(monkeypatch: pytest.MonkeyPatch, at: int, *, torn: bool = False) -> list[str]:
    """Every step of the writer that touches the disk is counted; the one numbered `at` does not happen, or half of it."""
    calls: list[str] = []

    def wrap(place: object, name: str, label: str) -> None:
        real = getattr(place, name)

        def step(*words: object, **options: object) -> object:
            calls.append(label)
            if len(calls) > at:
                if torn and label == "write":
                    path, raw = words
                    assert isinstance(path, Path)
                    assert isinstance(raw, bytes)
                    path.write_bytes(raw[: len(raw) // 2])
                elif torn and label == "rmtree" and (left := Path(str(words[0]))).is_dir():
                    sorted(left.iterdir())[0].unlink()
                raise PowerCut
            return real(*words, **options)

        monkeypatch.setattr(place, name, step)

    wrap(module, "write_synced", "write")
    wrap(module, "sync_folder", "sync")
    wrap(module.shutil, "rmtree", "rmtree")
    wrap(Path, "mkdir", "mkdir")
    wrap(Path, "rename", "rename")
    return calls


def writer_steps(tmp_path: Path) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path / "steps" / "last"
        write_checkpoint(path, made(1))
        calls = crashing(patch, 10_000)
        write_checkpoint(path, made(2))
    return calls


@pytest.mark.parametrize("torn", [False, True])
def test_a_crash_at_every_step_leaves_the_old_or_the_new_one(tmp_path: Path, *, torn: bool) -> None:
    steps = writer_steps(tmp_path)
    assert steps.count("write") == 6
    assert steps.count("rename") == 2
    found: list[int] = []
    for at in range(len(steps)):
        path = tmp_path / f"run {at}" / "last"
        write_checkpoint(path, made(1))
        with pytest.MonkeyPatch.context() as patch:
            crashing(patch, at, torn=torn)
            with pytest.raises(PowerCut):
                write_checkpoint(path, made(2))
        unswept = read_checkpoint(path)
        assert unswept is not None, f"nothing is left after a crash at step {at} ({steps[at]})"
        for second in range(4):  # the sweep itself may break off
            with pytest.MonkeyPatch.context() as patch:
                crashing(patch, second, torn=torn)
                try:
                    sweep(path.parent)
                except PowerCut:
                    assert read_checkpoint(path) is not None, f"step {at}, sweep {second}"
        sweep(path.parent)
        assert [one.name for one in path.parent.iterdir()] == ["last"]
        stored = read_checkpoint(path)
        must_equal(stored, unswept)
        assert stored is not None
        must_equal(stored, made(stored.step))
        found.append(stored.step)
        write_checkpoint(path, made(3))
        must_equal(read_checkpoint(path), made(3))
        assert [one.name for one in path.parent.iterdir()] == ["last"]
    assert found == sorted(found)
    assert set(found) == {1, 2}


def test_a_crash_during_the_first_save_leaves_nothing_or_all(tmp_path: Path) -> None:
    found: list[int] = []
    for at in range(len(writer_steps(tmp_path)) - 1):
        path = tmp_path / f"run {at}" / "last"
        with pytest.MonkeyPatch.context() as patch:
            crashing(patch, at)
            with suppress(PowerCut):
                write_checkpoint(path, made(1))
        sweep(path.parent)
        stored = read_checkpoint(path)
        found.append(0 if stored is None else stored.step)
        assert stored is not None or not path.parent.exists() or not any(path.parent.iterdir())
    assert found == sorted(found)
    assert set(found) == {0, 1}


def test_writing_over_the_leavings_of_a_crash_without_a_sweep(tmp_path: Path) -> None:
    for at in range(len(writer_steps(tmp_path))):
        path = tmp_path / f"run {at}" / "last"
        write_checkpoint(path, made(1))
        with pytest.MonkeyPatch.context() as patch:
            crashing(patch, at)
            with pytest.raises(PowerCut):
                write_checkpoint(path, made(2))
        write_checkpoint(path, made(3))
        must_equal(read_checkpoint(path), made(3))
        assert [one.name for one in path.parent.iterdir()] == ["last"]


def test_the_manifest_comes_last_and_all_is_synced_before_the_names_change(tmp_path: Path) -> None:
    names: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        real_fsync, real_rename = os.fsync, Path.rename

        def fsync(handle: int) -> None:
            names.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
            real_fsync(handle)

        def rename(self: Path, to: Path) -> Path:
            names.append(f"{self.name} -> {to.name}")
            return real_rename(self, to)

        patch.setattr(os, "fsync", fsync)
        patch.setattr(Path, "rename", rename)
        write_checkpoint(tmp_path / "last", made(1))
        write_checkpoint(tmp_path / "last", made(2))
    second = names[names.index(tmp_path.name) + 1 :]
    assert set(second[:5]) == FILES - {"manifest.json"}
    assert second[5:] == ["manifest.json", "last.new", "last -> last.old", "last.new -> last", tmp_path.name]


def test_of_two_leavings_the_sound_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "last"
    for name, step in (("last.new", 2), ("last.old", 1)):
        write_checkpoint(tmp_path / name, made(step))
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "last.new", kept)
    must_equal(read_checkpoint(path), made(2))
    (tmp_path / "last.new" / "trainer.json").write_bytes(b"{}")
    must_equal(read_checkpoint(path), made(1))
    sweep(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["kept", "last"]
    must_equal(read_checkpoint(path), made(1))


@pytest.mark.parametrize("name", ["last.new", "last.old"])
def test_what_is_damaged_and_alone_is_not_swept_away(tmp_path: Path, name: str) -> None:
    """Else a run would begin anew without a word."""
    write_checkpoint(tmp_path / name, made(1))
    (tmp_path / name / "codecs.json").write_bytes(b"{}")
    sweep(tmp_path)
    assert find(tmp_path / "last") == tmp_path / name
    with pytest.raises(DataError, match=r"codecs\.json is corrupt"):
        read_checkpoint(tmp_path / "last")


def test_sweeping_leaves_others_alone(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere")
    for name in ("last", "best"):
        write_checkpoint(tmp_path / name, made(1))
    (tmp_path / "best.new").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    sweep(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["best", "last", "notes.txt"]


def test_a_full_disk_is_said_in_one_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last"
    write_checkpoint(path, made(1))
    real = os.fsync
    for room in range(6):
        left = [room]

        def fsync(handle: int, left: list[int] = left) -> None:
            if left[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left[0] -= 1
            real(handle)

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(
            DataError, match=r"last: not saved: No space left on device; [\d,]+ bytes needed, [\d,]+ free"
        ):
            write_checkpoint(path, made(2))
        monkeypatch.setattr(os, "fsync", real)
        assert [one.name for one in tmp_path.iterdir()] == ["last"]
        must_equal(read_checkpoint(path), made(1))


def test_one_that_is_replaced_while_it_is_read_is_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "last", module.read_bytes
    for late in sorted(FILES):
        write_checkpoint(path, made(1))
        left = [late]

        def read(one: Path, size: int | None = None, *, left: list[str] = left) -> bytes:
            if one.name in left:
                left.clear()
                write_checkpoint(path, made(2))
            return real(one, size)

        monkeypatch.setattr(module, "read_bytes", read)
        must_equal(read_checkpoint(path), made(2))
