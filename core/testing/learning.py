"""A tiny model is trained and asked what it was not trained on, through the real loop, averaging and search."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.codec.types import Codecs
from core.data.config import BatchConfig, DataConfig
from core.data.encode import encode_split
from core.data.stream import TrainBatches
from core.decode.config import SearchConfig
from core.decode.predict import predict_records
from core.metrics.exact import ExactMatch
from core.model.build import build
from core.model.config import ModelConfig
from core.record import Prediction, Record
from core.testing.toys import ToyConfig, codecs, strings
from core.train.config import TrainConfig
from core.train.trainer import Trainer

PAIR = SearchConfig(beams=2)


def answers(
    cfg: ModelConfig,
    codecs: Codecs,
    known: Sequence[Record],
    asked: Sequence[Record],
    *,
    steps: int,
    lr: float,
    tokens: int = 1024,
    warmup: int = 60,
    seed: int = 1,
    searches: Sequence[SearchConfig] = (PAIR,),
) -> list[list[Prediction]]:
    """What each search finds for `asked` after so many steps on `known`."""
    train = TrainConfig(
        steps=steps,
        lr=lr,
        warmup=warmup,
        schedule="linear",
        label_smoothing=0.0,
        ema=0.98,
        precision="fp32",
        evaluate_every=steps,
    )
    batch = BatchConfig(tokens=tokens)
    split = encode_split(known, codecs, longest=batch.longest, long="stop", copy=cfg.copies, head=cfg.head)
    model = build(cfg, codecs, seed=seed)
    batches = TrainBatches(split.examples, batch, seed)
    trainer = Trainer(model, batches, train, seed=seed, device=torch.device("cpu"))
    trainer.fit(
        log=lambda stats: None,
        evaluate=lambda trainer: 0.0,
        save=lambda trainer: None,
        save_every=steps,
        stop=lambda: None,
    )
    with trainer.averaged():
        return [predict_records(model, codecs, asked, search, longest=batch.longest) for search in searches]


def answered_exactly(predictions: Sequence[Prediction]) -> float:
    """Percent."""
    metric = ExactMatch(1)
    return metric.score(metric.statistics(predictions))


def exact_match(task: ToyConfig, cfg: ModelConfig, steps: int, lr: float, tokens: int = 1024, seed: int = 1) -> float:
    """Percent of a toy's held-out strings answered exactly, after so many steps."""
    known, asked = (list(strings(task, DataConfig(), split)) for split in ("train", "test"))
    (found,) = answers(cfg, codecs(task, known), known, asked, steps=steps, lr=lr, tokens=tokens, seed=seed)
    return answered_exactly(found)
