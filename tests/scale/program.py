"""What one of several processes does; tests/scale/launching.py starts it as torchrun would."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.cli import main
from core.data.batch import Batch
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import Cursor, TrainBatches
from core.errors import UserError
from core.model.build import build
from core.model.config import RNNConfig
from core.testing.tiny import stir, tiny_codecs, tiny_models, tiny_pairs
from core.train.checkpoint import weights_of
from core.train.config import TrainConfig
from core.train.parallel import refuse
from core.train.ranks import Ranks, joined
from core.train.trainer import Trainer
from tasks.roman import TASK

CPU = torch.device("cpu")
CFG = TrainConfig(steps=20, warmup=5, lr=0.01, evaluate_every=1000, log_every=1000, precision="fp32", clip=0.5)
STEPS = 3


def roman(words: Sequence[str]) -> int:
    """`python -m tasks.roman.train ...`."""
    return main("train", TASK, list(words))


def learn(out: Path, kind: str, names: Sequence[str]) -> None:
    """Some steps of each model by each optimizer; gradients' moments, weights and sums are kept in a file of the first process."""
    torch.set_num_threads(1)
    kept: dict[str, Tensor] = {}
    with joined(CPU, 120) as ranks:
        for name in names:
            cfg = tiny_models()[name]
            print(name, file=sys.stderr, flush=True)
            codecs = tiny_codecs(shared=True)
            pairs = tiny_pairs(codecs, 40, copy=cfg.copies)
            for optimizer in ("adamw", "muon"):
                train = replace(CFG, parallel=kind, optimizer=optimizer, accumulate=2)
                refuse(train, 0.0)
                model = build(replace(cfg, dropout=0.0), codecs, seed=3).double()
                stir(model)
                batches = TrainBatches(
                    Examples.build(pairs), BatchConfig(tokens=30, window=16), 5, rank=ranks.rank, world=ranks.world
                )
                trainer = Trainer(model, batches, train, seed=5, device=CPU, ranks=ranks)
                stream = batches.batches()
                for _ in range(STEPS):
                    trainer.train_step([batch for _, batch in islice(stream, train.accumulate)])
                case = f"{name}/{optimizer}"
                kept |= {f"{case}/weight/{one}": x for one, x in weights_of(model).items()}
                kept |= {f"{case}/state/{one}": x.clone() for one, x in trainer.state()[0].items()}
                stats = trainer.stats()
                kept[f"{case}/loss"] = torch.tensor(stats.loss)
                kept[f"{case}/norm"] = trainer.norm.clone()
        if ranks.first:
            save_file(kept, out)


class Astray(TrainBatches):
    """A stream that leaves a batch out, once, in one process."""

    def batches(self, cursor: Cursor = Cursor()) -> Generator[tuple[Cursor, Batch], None, None]:  # noqa: B008
        stream = super().batches(cursor)
        for number, (after, batch) in enumerate(stream):
            if number == 4 and self.rank == self.world - 1:
                continue
            yield after, batch


def stray(how: str, out: Path, patience: float, names: Sequence[str] = ()) -> int:
    """A training whose last process does at the fifth step what the others do not; the exit code is that of the verb."""
    torch.set_num_threads(1)
    codecs = tiny_codecs()
    examples = Examples.build(tiny_pairs(codecs, 40))
    try:
        with joined(CPU, patience) as ranks:
            last = ranks.rank == ranks.world - 1
            kind = Astray if how == "takes another batch" else TrainBatches
            batches = kind(examples, BatchConfig(tokens=50, window=16), 5, rank=ranks.rank, world=ranks.world)
            trainer = Trainer(build(RNNConfig(width=8), codecs, seed=3), batches, CFG, seed=5, device=CPU, ranks=ranks)

            def tripped(stats: object) -> None:
                if last and trainer.step == 5:
                    trip(how, trainer, ranks)

            trainer.cfg = replace(CFG, log_every=1, steps=20 if how != "nothing" else 6)
            trainer.fit(
                log=tripped,
                evaluate=lambda trainer: 0.0,
                save=lambda trainer: None,
                save_every=7,
                stop=lambda: None,
            )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def trip(how: str, trainer: Trainer, ranks: Ranks) -> None:
    """What the last process does."""
    if how == "has other weights":
        with torch.no_grad():
            next(trainer.model.parameters()).view(-1)[0] += 1e-6
    elif how == "goes to another exchange":
        ranks.at("an evaluation of its own")
        ranks.told(["a longer text", *range(100)])
    elif how == "fails":
        raise UserError("a file of this machine is gone")
    elif how == "hangs":
        time.sleep(3600)
