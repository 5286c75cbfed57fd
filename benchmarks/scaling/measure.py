"""Steps of a small Transformer by 1, 2 and 4 gloo processes on this machine, each with as many tokens: what work costs, and the exchange.

The figure is a process's own processor time, which other work on the machine changes little; the wall clock stands beside it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import statistics
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from benchmarks.scaling.plan import RESULTS
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.stream import TrainBatches
from core.model.build import build
from core.model.config import TransformerConfig
from core.testing.tiny import tiny_codecs, tiny_pairs
from core.train.config import TrainConfig
from core.train.environment import describe
from core.train.ranks import joined
from core.train.trainer import Trainer

WORLDS = (1, 2, 4)
MODEL = TransformerConfig(width=192, heads=4, encoder_layers=3, decoder_layers=3, inner=768, dropout=0.0)
LENGTH = 24
RECORDS = 16
"""Of one process in one step."""


def trainer_of(rank: int, world: int, ranks: Any) -> Trainer:
    """All pairs are equally long, so that all processes and steps do as much."""
    codecs = tiny_codecs()
    every = tiny_pairs(codecs, 3000, longest=LENGTH, seed=1)
    pairs = [one for one in every if len(one[1]) == LENGTH]
    cfg = TrainConfig(steps=1000, precision="fp32")
    batch = BatchConfig(tokens=RECORDS * world * (LENGTH + 2), most=RECORDS * world)
    batches = TrainBatches(Examples.build(pairs), batch, 5, rank=rank, world=world)
    return Trainer(build(MODEL, codecs, seed=3), batches, cfg, seed=5, device=torch.device("cpu"), ranks=ranks)


def steps(rank: int, world: int, port: int, count: int, out: Path) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    os.environ.update(
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1"}
    )
    os.environ["MASTER_PORT"] = str(port)
    with joined(torch.device("cpu"), 3600) as ranks:
        trainer = trainer_of(rank, world, ranks)
        spent = [0.0]
        real = trainer.gradients.engine.exchange

        def timed() -> None:
            before = time.process_time()
            real()
            spent[0] = time.process_time() - before

        trainer.gradients.engine.exchange = timed
        work: list[float] = []
        exchange: list[float] = []
        wall: list[float] = []
        tokens = 0
        for _, batch in islice(trainer.batches.batches(), count + 1):
            begun, clock = time.process_time(), time.perf_counter()
            trainer.train_step([batch])
            wall.append(time.perf_counter() - clock)
            exchange.append(spent[0])
            work.append(time.process_time() - begun - spent[0])
            tokens = batch.tokens
        if ranks.first:
            parameters = sum(one.numel() for one in trainer.model.parameters())
            middle = statistics.median
            found = {
                "work_cpu_seconds": middle(work[1:]),
                "exchange_cpu_seconds": middle(exchange[1:]) if world > 1 else 0.0,
                "wall_seconds": middle(wall[1:]),
            }
            out.write_text(json.dumps({"parameters": parameters, "tokens": tokens, "found": found}))


def measure(name: str, count: int, place: Path) -> Path:
    """The result file."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    tree: dict[str, Any] = {"steps": count, "processes": {}}
    for world in WORLDS:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        out = place / f"{world}.json"
        started = [forks.Process(target=steps, args=(rank, world, port, count, out)) for rank in range(world)]
        for one in started:
            one.start()
        for one in started:
            one.join()
        said = json.loads(out.read_text(encoding="utf-8"))
        tree |= {"parameters": said["parameters"], "tokens": said["tokens"]}
        tree["processes"][str(world)] = said["found"]
    facts = describe(torch.device("cpu"), "fp32")
    tree |= {"hardware": facts["hardware"], "git": facts["git"], "torch": facts["versions"]["torch"]}
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    return path
