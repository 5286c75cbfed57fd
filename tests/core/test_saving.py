"""A disk that is full for a while: what was there stays, what is due is held, training goes on, and everything is said."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.errors import ConfigError, DataError, Diverged
from core.run.folder import RunFolder, claimed, empty, write_text
from core.run.saving import Saver
from core.train.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from core.train.config import TrainConfig
from core.train.durable import NotSaved, made
from core.train.lock import alone
from core.train.log import Log

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
SAID = r"not saved: No space left on device; [\d,]+ bytes needed, [\d,]+ free"


def checkpoint(step: int, value: float = 1.0) -> Checkpoint:
    return Checkpoint({}, {}, {"w": torch.full((3,), value)}, {"moment": torch.full((2,), value)}, {"step": step})


def step_of(path: Path) -> int | None:
    found = read_checkpoint(path)
    return None if found is None else found.step


class Disk:
    """Says that it is full from a call to fsync on, until it is told otherwise."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.full = False
        real: Callable[[int], None] = os.fsync

        def fsync(handle: int) -> None:
            if self.full:
                raise FULL
            real(handle)

        patch.setattr(os, "fsync", fsync)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_what_finds_no_room_is_held_and_written_before_what_is_younger(tmp_path: Path, disk: Disk) -> None:
    said: list[str] = []
    saver, best, last = Saver(said.append, 0), tmp_path / "best", tmp_path / "last"
    assert saver.save(last, checkpoint(1), before=lambda: None)
    disk.full = True
    first = checkpoint(2)
    saver.hold(best, first)
    assert not saver.save(last, checkpoint(2), before=lambda: None)
    assert isinstance(saver.missed, NotSaved)
    first.trainer["moment"].zero_()  # the optimizer goes on
    assert (step_of(last), step_of(best)) == (1, None)
    disk.full = False
    assert saver.save(last, checkpoint(3), before=lambda: None)
    held = read_checkpoint(best)
    assert held is not None
    assert (held.step, held.trainer["moment"].tolist(), step_of(last), saver.missed) == (2, [1.0, 1.0], 3, None)
    assert len(said) == 1
    assert "training goes on" in said[0]


def test_a_log_that_cannot_be_written_keeps_a_checkpoint_from_being_younger_than_it(tmp_path: Path, disk: Disk) -> None:
    path, last = tmp_path / "log.jsonl", tmp_path / "last"
    with Log(path, TrainConfig(), from_step=0) as log:
        log.line({"event": "train", "step": 1})
        disk.full = True
        log.line({"event": "train", "step": 2})
        log.line({"event": "train", "step": 3})
        saver = Saver(log.say, 0)
        assert not saver.save(last, checkpoint(3), before=log.settle)
        assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1], "nothing torn is left"
        assert not last.exists()
        disk.full = False
        assert saver.save(last, checkpoint(3), before=log.settle)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_a_failed_rename_leaves_the_old_one_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "last", Path.rename
    write_checkpoint(path, checkpoint(1))

    def rename(self: Path, to: Path) -> Path:
        if self.suffix == ".new":
            raise FULL
        return real(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(NotSaved, match=SAID):
        write_checkpoint(path, checkpoint(2))
    assert [one.name for one in tmp_path.iterdir()] == ["last"]
    assert step_of(path) == 1


def test_text_is_replaced_whole_or_not_at_all_and_a_full_disk_is_said(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "run.json"
    write_text(path, "old")
    disk.full = True
    with pytest.raises(DataError, match=rf"run\.json: {SAID}"):
        write_text(path, "new")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]
    disk.full = False
    write_text(path, "new")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["new"]


def test_text_and_new_folders_are_on_the_disk_with_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real: Callable[[int], None] = os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "run.json", "{}")
    assert synced == [".run.json.new", tmp_path.name]
    synced.clear()
    made(tmp_path / "a" / "b")
    assert set(synced) == {tmp_path.name, "a"}
    synced.clear()
    made(tmp_path / "a" / "b")
    assert synced == []


@pytest.mark.parametrize("where", ["weights", "trainer"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_never_saved(tmp_path: Path, where: str, value: float) -> None:
    path, saver = tmp_path / "last", Saver(lambda text: None, 0)
    saver.save(path, checkpoint(1), before=lambda: None)
    poisoned = checkpoint(2)
    getattr(poisoned, where)["w" if where == "weights" else "moment"][1] = value
    with pytest.raises(Diverged, match=r"step 2: (w|moment) is no number any more; .*last is left as it was"):
        saver.save(path, poisoned, before=lambda: None)
    with pytest.raises(Diverged):
        saver.hold(tmp_path / "best", poisoned)
    assert (step_of(path), (tmp_path / "best").exists()) == (1, False)


def test_a_run_that_was_killed_before_its_config_was_there_is_no_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert empty(folder.path)
    for name in (".lock", ".config.toml.new"):
        (tmp_path / name).touch()
    assert empty(folder.path)
    folder.config.touch()
    assert not empty(folder.path)
    with pytest.raises(ConfigError, match="another run has begun there in the meantime"):
        claimed(folder, named=True)
    with alone(tmp_path / ".."):  # of another folder
        assert (tmp_path / ".." / ".lock").read_text().strip() == str(os.getpid())
