"""A checkpoint is there whole or not at all, says when it is damaged, and its bytes follow from its content."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core.errors import DataError
from core.train import checkpoint as module
from core.train.checkpoint import (
    Checkpoint,
    as_json,
    put_weights,
    read_checkpoint,
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
    backwards = Checkpoint({}, {}, dict(reversed(weights.items())), dict(reversed(whole.trainer.items())), {"step": 1})
    write_checkpoint(tmp_path / "other", backwards, shard_mib=1)
    assert content(tmp_path / "other") == content(tmp_path / "last")
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


def test_a_folder_can_be_moved(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "runs" / "last", made(1))
    moved = tmp_path / "with spaces é\n" / "last"
    moved.parent.mkdir()
    (tmp_path / "runs" / "last").rename(moved)
    must_equal(read_checkpoint(moved), made(1))
