"""The gradient of a step is the same however its records are divided into processes and micro-batches (float64, 1e-10)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.scale.launching import all_ended, launched
from tests.scale.splitting import LOSSES, SPLITS, divide

CLOSE = 1e-10


def gradients(place: Path, world: int, kind: str = "ddp") -> dict[str, torch.Tensor]:
    out = place / f"{world}-{kind}.safetensors"
    found = all_ended(launched(world, place / f"{world}-{kind}", divide, out, kind), 1500)
    assert [code for code, *_ in found] == [0] * world, found[0][2][-2000:]
    return load_file(out)


def must_be_one(found: dict[str, torch.Tensor], whole: dict[str, torch.Tensor]) -> None:
    """All of them, each against that of one process with one batch; the loss itself is summed in float32."""
    for name, one in found.items():
        loss, _, place = name.split("/")
        expected = whole[f"{loss}/1/{place}"]
        close = 1e-6 * float(expected) if place == "loss" else CLOSE * max(1.0, float(expected.abs().max()))
        assert float((one - expected).abs().max()) <= close, name


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return gradients(tmp_path_factory.mktemp("alone"), 1)


def test_of_one_process_in_micro_batches(alone: dict[str, torch.Tensor]) -> None:
    assert {tuple(name.split("/")[:2]) for name in alone} == {(loss, str(n)) for loss in LOSSES for n in SPLITS}
    must_be_one(alone, alone)
    names = [name for name in alone if "/1/" in name and not name.endswith("/loss")]
    assert all(bool(alone[name].any()) for name in names if "positions" not in name)


def test_of_two_processes(alone: dict[str, torch.Tensor], tmp_path: Path) -> None:
    must_be_one(gradients(tmp_path, 2), alone)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("world", "kind"), [(4, "ddp"), (2, "fsdp"), (4, "fsdp")])
def test_of_more_processes_and_of_shards(alone: dict[str, torch.Tensor], tmp_path: Path, world: int, kind: str) -> None:
    must_be_one(gradients(tmp_path, world, kind), alone)
