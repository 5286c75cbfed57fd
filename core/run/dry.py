"""`--dry-run`: build everything, take one step, decode one batch, say what it would cost, leave nothing behind."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch

from core.data.stream import TrainBatches
from core.decode.predict import predict_records
from core.run.learning import with_budget
from core.run.origin import begin, counted, origin_of, sizes
from core.run.prepared import make_model, make_rule, training_data
from core.settings import RunConfig
from core.task import Task
from core.train.trainer import Trainer


def dry_run(task: Task[Any], cfg: RunConfig, device: torch.device) -> int:
    """Everything but the training."""
    origin = origin_of(task, cfg)
    data = training_data(task, cfg, origin.codecs(task, cfg) if origin else None)
    cfg, budget = with_budget(task, cfg, data, device)
    model = make_model(task, cfg, data.codecs).to(device)
    begin(origin, None, task, cfg, model, data)
    rule = make_rule(task, cfg, data.codecs)
    batches = TrainBatches(data.encoded.examples, cfg.batch, cfg.seed, encode=data.augmented, mixture=data.mixture)
    trainer = Trainer(model, batches, cfg.train, seed=cfg.seed, device=device, rule=rule)
    largest = trainer.rehearse()
    stream = batches.batches()
    times: list[float] = []
    tokens = 0
    for _ in range(3):  # the first pays for warming up
        begun = time.perf_counter()
        micro = [next(stream)[1] for _ in range(cfg.train.accumulate)]
        trainer.train_step(micro)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - begun)
        tokens = sum(batch.tokens for batch in micro)
    begun = time.perf_counter()
    few = data.dev.records[:16]
    predict_records(model, data.codecs, few, cfg.search, longest=cfg.batch.longest, rule=rule, seed=cfg.seed)
    decoding = time.perf_counter() - begun
    step = min(times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    longest_S, longest_T = data.encoded.examples.longest
    said = {
        "parameters": counted(sizes(model)).replace(" parameters", ""),
        "training records": f"{len(data.encoded.records):,} (longest source {longest_S}, target {longest_T} tokens)",
        "dev records": f"{len(data.dev.records):,}",
        "vocabulary": f"{getattr(data.codecs.source, 'size', '-')} source, {data.codecs.target.size} target",
        "memory": f"{peak:,.0f} MiB at the peak so far, the largest batch ({largest:,} tokens) among it"
        + (f", {torch.cuda.max_memory_allocated(device) / 2**20:,.0f} MiB on the GPU" if device.type == "cuda" else ""),
        "step": f"{step:.3f} s, {tokens:,} target tokens",
        "decoding": f"{decoding:.2f} s for {len(few)} records (untrained, so outputs run to their limit)",
        "estimated training": f"{step * cfg.train.steps / 60:.1f} minutes for {cfg.train.steps:,} steps, without evaluations"
        + (f"; stops after {cfg.train.minutes:g} minutes" if cfg.train.minutes else ""),
    }
    if budget is not None:
        print(budget)
    for name, value in said.items():
        print(f"{name:<20}{value}")
    print("nothing was written", file=sys.stderr)
    return 0
