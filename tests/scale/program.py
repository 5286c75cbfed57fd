"""What one of several processes does: `python tests/scale/program.py OUT KIND PATIENCE`, started as torchrun starts one.

Each case takes the same steps as one process would and keeps the gradients' first moments, weights and sums in OUT (a file of
the first process). Imported by nobody: tests read what it leaves.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.model.build import build
from core.testing.tiny import stir, tiny_codecs, tiny_models, tiny_pairs
from core.train.checkpoint import weights_of
from core.train.config import TrainConfig
from core.train.parallel import refuse
from core.train.ranks import joined
from core.train.trainer import Trainer

CPU = torch.device("cpu")
CFG = TrainConfig(steps=20, warmup=5, lr=0.01, evaluate_every=1000, log_every=1000, precision="fp32", clip=0.5)
STEPS = 3


def main(out: Path, kind: str, patience: float, only: str = "") -> None:
    """All cases, one after the other."""
    torch.set_num_threads(1)
    kept: dict[str, Tensor] = {}
    with joined(CPU, patience) as ranks:
        for name, cfg in tiny_models().items():
            if only and name not in only.split(","):
                continue
            print(name, file=sys.stderr, flush=True)
            codecs = tiny_codecs(shared=True)
            pairs = tiny_pairs(codecs, 40, copy=cfg.copies)
            for optimizer in ("adamw", "muon"):
                train = replace(CFG, parallel=kind, optimizer=optimizer, accumulate=2)
                if kind == "fsdp" and getattr(cfg, "layer_drop", 0.0):
                    continue
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
                kept[f"{case}/loss"] = torch.tensor(trainer.stats().loss)
                kept[f"{case}/norm"] = trainer.norm.clone()
        if ranks.first:
            save_file(kept, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), *sys.argv[4:])
