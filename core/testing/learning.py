"""A tiny model is trained on a toy and asked what it was not trained on, through the real loop, averaging and search."""

from __future__ import annotations

import torch

from core.data.config import BatchConfig, DataConfig
from core.data.encode import encode_split
from core.data.stream import TrainBatches
from core.decode.config import SearchConfig
from core.decode.predict import predict_records
from core.model.build import build
from core.model.config import ModelConfig
from core.testing.toys import TOY, ToyConfig, codecs, strings
from core.train.config import TrainConfig
from core.train.trainer import Trainer


def exact_match(
    task: ToyConfig, model_config: ModelConfig, steps: int, lr: float, tokens: int = 1024, seed: int = 1
) -> float:
    """Percent of the held-out strings answered exactly, after so many steps."""
    train = TrainConfig(
        steps=steps,
        lr=lr,
        warmup=60,
        schedule="linear",
        label_smoothing=0.0,
        ema=0.98,
        precision="fp32",
        evaluate_every=steps,
    )
    batch = BatchConfig(tokens=tokens)
    both = codecs(task, strings(task, DataConfig(), "train"))
    encoded = encode_split(list(strings(task, DataConfig(), "train")), both, longest=batch.longest, long="stop")
    model = build(model_config, both, seed=seed)
    batches = TrainBatches(encoded.examples, batch, seed)
    trainer = Trainer(model, batches, train, seed=seed, device=torch.device("cpu"))
    trainer.fit(
        log=lambda stats: None,
        evaluate=lambda trainer: 0.0,
        save=lambda trainer: None,
        save_every=steps,
        stop=lambda: None,
    )
    records = list(strings(task, DataConfig(), "test"))
    with trainer.averaged():
        predictions = predict_records(model, both, records, SearchConfig(beams=2), longest=batch.longest)
    (metric,) = TOY.metrics(task)
    return metric.score(metric.statistics(predictions))
