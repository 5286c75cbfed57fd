"""What one of several processes does where memory is short, in all of them or in one."""

from __future__ import annotations

import json
import resource
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.model.build import build
from core.model.config import TransformerConfig
from core.testing.tiny import tiny_codecs, tiny_pairs
from core.train.budget import found_budget
from core.train.checkpoint import weights_of
from core.train.config import TrainConfig
from core.train.memory import addressed
from core.train.ranks import joined
from core.train.trainer import Trainer

CPU = torch.device("cpu")
MODEL = TransformerConfig(width=16, heads=4, encoder_layers=1, decoder_layers=1, inner=32, dropout=0.0)


def together(out: Path, rooms: list[int]) -> None:
    """Rank r may take rooms[r] MiB more; what it finds goes to a file of its own."""
    torch.set_num_threads(1)
    codecs = tiny_codecs()
    examples = Examples.build(tiny_pairs(codecs, 300, longest=150))
    with joined(CPU, 120) as ranks:

        def batches(tokens: int) -> TrainBatches:
            return TrainBatches(examples, BatchConfig(tokens=tokens), 5, rank=ranks.rank, world=ranks.world)

        cfg = TrainConfig(precision="fp32", lr=1e-12)

        def trainer() -> Trainer:
            return Trainer(build(MODEL, codecs, seed=3), batches(1), cfg, seed=5, device=CPU)

        trainer().train_step(batches(1).largest())  # what is made once only
        limit = addressed() + rooms[ranks.rank] * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        found = found_budget(trainer, batches, ranks)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        out.with_suffix(f".{ranks.rank}").write_text(json.dumps([found.tokens, found.trials]))


def starved(folder: Path, records: int) -> None:
    """Three updates; the last process, where there are several, has no room for more than so many records at once."""
    torch.set_num_threads(1)
    codecs = tiny_codecs()
    examples = Examples.build(tiny_pairs(codecs, 60))
    with joined(CPU, 120) as ranks:
        model = build(MODEL, codecs, seed=3).double()
        batches = TrainBatches(examples, BatchConfig(tokens=120, window=30), 5, rank=ranks.rank, world=ranks.world)
        cfg = TrainConfig(precision="fp32", steps=20, warmup=2, lr=0.01, accumulate=2)
        trainer = Trainer(model, batches, cfg, seed=5, device=CPU, ranks=ranks)
        times = 0

        def refuse(module: nn.Module, given: object, output: Tensor) -> None:
            nonlocal times
            if output.shape[0] > records:
                times += 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        if ranks.world > 1 and ranks.rank == ranks.world - 1:
            model.embedding.register_forward_hook(refuse)
        said: list[str] = []
        trainer.gradients.say = said.append
        trainer.rehearse()
        stream = batches.batches()
        for _ in range(3):
            trainer.train_step([batch for _, batch in islice(stream, cfg.accumulate)])
        (folder / f"{ranks.rank}.json").write_text(json.dumps([trainer.gradients.room.most, times, len(said)]))
        save_file(weights_of(model), folder / f"{ranks.rank}.safetensors")
