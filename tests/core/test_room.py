"""Memory that runs out: a batch is learned from in parts with the gradient of the whole, and what had room is part of the state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.data.batch import Batch
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.model.build import build
from core.model.config import RNNConfig, TransformerConfig
from core.testing.tiny import batch_of, tiny_codecs, tiny_pairs
from core.train.config import TrainConfig
from core.train.room import NoRoom, Room, places, ran_out
from core.train.trainer import Trainer

CODECS = tiny_codecs()
PAIRS = tiny_pairs(CODECS, 40)
CFG = TrainConfig(steps=12, warmup=5, lr=0.01, evaluate_every=1000, log_every=1000, precision="fp32")
MODELS = {
    "transformer": TransformerConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, inner=12, dropout=0.0),
    "rnn": RNNConfig(width=8, dropout=0.0),
}


def trainer_of(model: str = "transformer", *, double: bool = True, **train: Any) -> Trainer:
    built = build(MODELS[model], CODECS, seed=3)
    batches = TrainBatches(Examples.build(PAIRS), BatchConfig(tokens=90, window=40), 5)
    cfg = replace(CFG, **train)
    return Trainer(built.double() if double else built, batches, cfg, seed=5, device=torch.device("cpu"))


def allocator(trainer: Trainer, records: int, *, where: str, error: Callable[[], BaseException]) -> list[int]:
    """From here on a module of the decoder finds room for so many records only, forwards or backwards; those asked for are told."""
    asked: list[int] = []

    def refuse(x: Tensor) -> None:
        asked.append(x.shape[0])
        if x.shape[0] > records:
            raise error()

    def forwards(module: nn.Module, given: Any, output: Tensor) -> None:
        if where == "forwards":
            refuse(output)
        elif output.requires_grad:
            output.register_hook(refuse)

    trainer.model.embedding.register_forward_hook(forwards)
    return asked


def cuda() -> BaseException:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def cpu() -> BaseException:
    return RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")


def gradient(trainer: Trainer, micro: list[Batch]) -> dict[str, Tensor]:
    trainer.gradients.of(micro, 0, sum(batch.tokens for batch in micro))
    return {name: one.grad.clone() for name, one in trainer.model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("where", ["forwards", "backwards"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("records", [1, 3])
def test_the_gradient_is_that_of_the_whole(model: str, where: str, records: int) -> None:
    micro = [batch_of(PAIRS[:7]), batch_of(PAIRS[7:12])]
    for double, most in ((True, 1e-12), (False, 1e-6)):
        expected = gradient(trainer_of(model, double=double), micro)
        trainer = trainer_of(model, double=double)
        asked = allocator(trainer, records, where=where, error=cuda if double else cpu)
        found = gradient(trainer, micro)
        assert max(asked) > records, "it never ran out"
        assert found.keys() == expected.keys()
        scale = math.sqrt(sum(float(one.square().sum()) for one in expected.values()))
        for name, one in expected.items():
            assert float((found[name] - one).norm()) <= most * scale, name


def test_what_had_room_is_state_and_said() -> None:
    trainer = trainer_of()
    asked = allocator(trainer, 3, where="forwards", error=cuda)
    said: list[str] = []
    trainer.gradients.say = said.append
    micro = [batch_of(PAIRS[:8])]
    trainer.train_step(micro)
    most = trainer.gradients.room.most
    assert 0 < most < places(micro[0])
    assert said[-1] == f"out of memory at step 1: at most {most:,} tokens at once from here on, for the same updates"
    again = trainer_of()
    again.restore(*trainer.state())
    assert again.gradients.room.most == most
    asked.clear()
    trainer.train_step(micro)
    assert max(asked) <= 3, "it tried again what had no room"


def test_one_record_without_room_is_an_error_in_one_line() -> None:
    trainer = trainer_of()
    allocator(trainer, 0, where="forwards", error=cpu)
    with pytest.raises(NoRoom) as caught:
        trainer.train_step([batch_of(PAIRS[:2])])
    assert str(caught.value).startswith("out of memory with one record of ")


def test_any_other_error_is_left_alone() -> None:
    trainer = trainer_of()
    allocator(trainer, 3, where="forwards", error=lambda: RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        trainer.train_step([batch_of(PAIRS[:8])])


def test_the_largest_batch_is_tried_before_anything_is_learned() -> None:
    trainer = trainer_of(steps=30)
    allocator(trainer, 4, where="backwards", error=cuda)
    before = [one.clone() for one in trainer.model.parameters()]
    largest = trainer.rehearse()
    every = [places(batch) for _, (_, batch) in zip(range(30), trainer.batches.batches(), strict=False)]
    assert largest >= max(every)
    assert trainer.gradients.room.most > 0
    assert all(one.grad is None for one in trainer.model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_with_dropout_a_part_draws_anew_and_always_the_same() -> None:
    found: list[dict[str, Tensor]] = []
    for _ in range(2):
        trainer = trainer_of()
        for one in trainer.model.modules():
            if isinstance(one, nn.Dropout):
                one.p = 0.3
        allocator(trainer, 3, where="forwards", error=cuda)
        found.append(gradient(trainer, [batch_of(PAIRS[:8])]))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_parts_are_all_records_in_order_and_about_equal() -> None:
    batch = batch_of(PAIRS[:11])
    room = Room()
    assert room.parts(batch) == [batch]
    room.most = places(batch) // 3
    parts = room.parts(batch)
    assert sum((part.index for part in parts), ()) == batch.index
    assert sum(part.tokens for part in parts) == batch.tokens
    assert max(places(part) for part in parts) <= room.most
    assert max(part.size for part in parts) - min(part.size for part in parts) <= 1


def test_what_running_out_is() -> None:
    assert ran_out(cuda())
    assert ran_out(cpu())
    assert ran_out(MemoryError())
    assert not ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
