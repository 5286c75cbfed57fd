"""A checkpoint is there whole or not at all, says when it is damaged, and its bytes follow from its content."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core.errors import DataError
from core.train import checkpoint as module
from core.train.checkpoint import (
    Checkpoint,
    as_json,
    find,
    put_weights,
    read_checkpoint,
    sweep,
    weights_of,
    write_checkpoint,
)

FILES = {"config.json", "codecs.json", "weights.safetensors", "trainer.safetensors", "trainer.json", "manifest.json"}


def made(step: int = 1, *, size: int = 6) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    return Checkpoint(
        config={"task_name": "roman", "seed": 1, "train": {"lr": 0.005}},
        codecs={"source": {"kind": "regex", "words": ["é", "I", "V"]}},
        weights={name: torch.randn(size, 3, generator=generator) for name in ("b", "a", "c.d")},
        trainer={"ema.a": torch.randn(size, 3, generator=generator), "step": torch.tensor(float(step))},
        facts={"step": step, "best": None},
    )


def must_equal(one: Checkpoint | None, other: Checkpoint) -> None:
    assert one is not None
    assert (one.config, one.codecs, one.facts) == (other.config, other.codecs, other.facts)
    for mine, yours in ((one.weights, other.weights), (one.trainer, other.trainer)):
        assert set(mine) == set(yours)
        assert all(torch.equal(mine[name], yours[name]) and mine[name].dtype == yours[name].dtype for name in yours)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# --- writing and reading -------------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last"
    assert read_checkpoint(path) is None
    write_checkpoint(path, made())
    assert {one.name for one in path.iterdir()} == FILES
    must_equal(read_checkpoint(path), made())
    write_checkpoint(path, made(2))
    must_equal(read_checkpoint(path), made(2))
    assert [one.name for one in path.parent.iterdir()] == ["last"]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    one, other = made(), made()
    other = Checkpoint(
        dict(reversed(other.config.items())),
        other.codecs,
        {name: x.T.contiguous().T for name, x in reversed(other.weights.items())},  # other strides, other order
        dict(reversed(other.trainer.items())),
        other.facts,
    )
    write_checkpoint(tmp_path / "one", one)
    write_checkpoint(tmp_path / "elsewhere" / "other", other)
    assert content(tmp_path / "one") == content(tmp_path / "elsewhere" / "other")
    written = (tmp_path / "one" / "weights.safetensors").read_bytes()
    header = json.loads(written[8 : 8 + int.from_bytes(written[:8], "little")])
    assert set(header) == {"a", "b", "c.d"}, "nothing but tensors: no time, host or path"
    write_checkpoint(tmp_path / "two", made(2))
    assert content(tmp_path / "one")["weights.safetensors"] != content(tmp_path / "two")["weights.safetensors"]


def test_shards(tmp_path: Path) -> None:
    weights = {f"w{n}": torch.full((150_000,), float(n)) for n in range(4)}  # 0.57 MiB each
    weights["w4"] = torch.full((400_000,), 4.0)  # more than a shard holds
    weights["w5"] = torch.zeros(3)
    whole = Checkpoint({}, {}, weights, {"m": torch.zeros(300_000), "n": torch.ones(1)}, {"step": 1})
    write_checkpoint(tmp_path / "last", whole, shard_mib=1)
    must_equal(read_checkpoint(tmp_path / "last"), whole)
    names = {path.name for path in (tmp_path / "last").iterdir()}
    assert {name for name in names if name.startswith("weights")} == {
        f"weights-0000{n}-of-00006.safetensors" for n in range(1, 7)
    }
    assert {name for name in names if name.startswith("trainer-")} == {
        "trainer-00001-of-00002.safetensors",
        "trainer-00002-of-00002.safetensors",
    }
    small = [path.stat().st_size for path in (tmp_path / "last").glob("weights-*") if "00005" not in path.name]
    assert max(small) <= 2**20 + 1000
    write_checkpoint(tmp_path / "last", whole)
    assert {path.name for path in (tmp_path / "last").iterdir()} == FILES
    must_equal(read_checkpoint(tmp_path / "last"), whole)


class Tied(nn.Module):
    """Two layers, one matrix, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.output = nn.Linear(4, 5)
        self.output.weight = self.embedding.weight
        self.register_buffer("count", torch.tensor(3))


def test_tied_weights_are_saved_once_and_stay_tied(tmp_path: Path) -> None:
    model = Tied()
    weights = weights_of(model)
    assert set(weights) == {"embedding.weight", "output.bias", "count"}
    write_checkpoint(tmp_path / "last", Checkpoint({}, {}, weights, {}, {"step": 0}))
    stored = read_checkpoint(tmp_path / "last")
    assert stored is not None
    other = Tied()
    put_weights(other, stored.weights, "here")
    assert other.output.weight is other.embedding.weight
    assert torch.equal(other.output.weight, model.output.weight)
    with torch.no_grad():
        model.embedding.weight.zero_()
    assert not torch.equal(weights["embedding.weight"], model.embedding.weight), "weights_of keeps what it was given"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("output.bias"), "disagree about output.bias"),
        (lambda weights: weights.update(more=torch.zeros(1)), "disagree about more"),
        (lambda weights: weights.update({"output.bias": torch.zeros(6)}), r"shape \(6,\), the config asks for \(5,\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(change: Callable[[dict[str, Tensor]], object], said: str) -> None:
    weights = weights_of(Tied())
    change(weights)
    with pytest.raises(DataError, match=f"runs/x: .*{said}"):
        put_weights(Tied(), weights, "runs/x")


# --- damage --------------------------------------------------------------------------------------------------------


def must_be_refused(folder: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        read_checkpoint(folder)
    assert name in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_flipped_bit_of_small_files_and_many_of_large_ones_are_detected(tmp_path: Path) -> None:
    folder = tmp_path / "last"
    write_checkpoint(folder, made())
    draw = random.Random(0)
    flips = 0
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        bits = range(8 * len(whole)) if path.name == "trainer.json" else draw.sample(range(8 * len(whole)), 300)
        for bit in bits:
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(DataError):
                read_checkpoint(folder)
            flips += 1
        path.write_bytes(whole)
    assert flips > 1500
    must_equal(read_checkpoint(folder), made())


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_cut_and_swapped_files_are_named(tmp_path: Path, name: str) -> None:
    folder, other = tmp_path / "last", tmp_path / "other"
    write_checkpoint(folder, made())
    write_checkpoint(other, made(2))
    whole = (folder / name).read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", whole + b"\n", bytes(len(whole))):
        (folder / name).write_bytes(damaged)
        must_be_refused(folder, name)
    if (other / name).read_bytes() != whole:
        (folder / name).write_bytes((other / name).read_bytes())  # sound in itself, of another step
        with pytest.raises(DataError, match="corrupt"):
            read_checkpoint(folder)
    (folder / name).unlink()
    must_be_refused(folder, name)
    (folder / name).symlink_to(other / name)
    must_be_refused(folder, name)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    must_be_refused(folder, name)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    weights = {f"w{n}": torch.zeros(300_000) for n in range(3)}
    write_checkpoint(tmp_path / "last", Checkpoint({}, {}, weights, {}, {"step": 1}), shard_mib=1)
    (tmp_path / "last" / "weights-00002-of-00003.safetensors").unlink()
    must_be_refused(tmp_path / "last", "weights-00002-of-00003.safetensors")


@pytest.mark.parametrize(
    "manifest",
    [
        {"format": 2, "files": {}},
        {"format": 1},
        {"format": 1, "files": []},
        {"format": 1, "files": {"../config.json": {}, "codecs.json": {}, "trainer.json": {}, "config.json": {}}},
        {"format": 1, "files": {"a\0b": {}, "codecs.json": {}, "trainer.json": {}, "config.json": {}}},
        {"format": True, "files": {"codecs.json": 1, "trainer.json": None, "config.json": "x"}},
        [],
        "[" * 100_000,
        '{"format": 1, "files": {"\\ud800": 1e999, "codecs.json": 1, "trainer.json": 1, "config.json": 1}}',
        '{"format": NaN}',
        "\xff",
    ],
    ids=range(11),
)
def test_hostile_manifests_are_refused_in_one_line(tmp_path: Path, manifest: object) -> None:
    folder = tmp_path / "last"
    write_checkpoint(folder, made())
    raw = manifest.encode("latin-1") if isinstance(manifest, str) else as_json(manifest)
    (folder / "manifest.json").write_bytes(raw)
    must_be_refused(folder, str(folder))


def test_digests_that_agree_do_not_make_nonsense_a_tensor(tmp_path: Path) -> None:
    folder = tmp_path / "last"
    write_checkpoint(folder, made())
    (folder / "weights.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{nonsense")
    files = {name: raw for name, raw in content(folder).items() if name != "manifest.json"}
    entries = {name: {"sha256": module.digest(raw), "bytes": len(raw)} for name, raw in files.items()}
    (folder / "manifest.json").write_bytes(as_json({"format": 1, "files": entries}))
    must_be_refused(folder, "weights.safetensors is corrupt")


# --- crashes -------------------------------------------------------------------------------------------------------


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
    must_be_refused(tmp_path / "last", "codecs.json")


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


def test_a_folder_can_be_moved(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "runs" / "last", made(1))
    moved = tmp_path / "with spaces é\n" / "last"
    moved.parent.mkdir()
    (tmp_path / "runs" / "last").rename(moved)
    must_equal(read_checkpoint(moved), made(1))
