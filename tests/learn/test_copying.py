"""With copying, models write symbols that they have never seen; without it the same models cannot."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs
from core.data.config import BatchConfig
from core.data.encode import encode_split
from core.data.stream import TrainBatches
from core.decode.config import SearchConfig
from core.decode.predict import predict_records
from core.metrics.exact import ExactMatch
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.record import Record
from core.train.config import TrainConfig
from core.train.trainer import Trainer

KNOWN, RARE, UNSEEN = "abcdef", "ghijklmnopqrstuvwxyz", "αβγδεζηθικλμνξοπ"
TRANSFORMER = TransformerConfig(
    width=64, heads=4, encoder_layers=2, decoder_layers=2, inner=128, positions="sinusoidal", dropout=0.0, copy=True
)
RNN = RNNConfig(width=96, dropout=0.0, copy=True)


def strings(strange: str, n: int, seed: int, *, longest: int = 7) -> list[Record]:
    """Strings of which every third symbol, about, is strange; the answer is the string, its strange symbols moved to the front."""
    draw = random.Random(seed)
    records: list[Record] = []
    for number in range(n):
        text = "".join(draw.choice(strange if draw.random() < 0.35 else KNOWN) for _ in range(draw.randint(2, longest)))
        moved = "".join(sorted(text, key=lambda symbol: symbol not in strange))
        records.append(Record(f"{seed}-{number}", text, moved))
    return records


def exact_match(cfg: ModelConfig, asked: Sequence[Record], steps: int, lr: float) -> float:
    """Percent answered exactly, after so many steps on strings whose strange symbols are not those of `asked`."""
    both = RegexTokenizer.fit([KNOWN])
    codecs, batch = Codecs(both, both), BatchConfig(tokens=1024)
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
    split = encode_split(strings(RARE, 6000, 1), codecs, longest=batch.longest, long="stop", copy=cfg.copy)
    model = build(cfg, codecs, seed=1)
    trainer = Trainer(model, TrainBatches(split.examples, batch, 1), train, seed=1, device=torch.device("cpu"))
    trainer.fit(
        log=lambda stats: None,
        evaluate=lambda trainer: 0.0,
        save=lambda trainer: None,
        save_every=steps,
        stop=lambda: None,
    )
    with trainer.averaged():
        predictions = predict_records(model, codecs, asked, SearchConfig(beams=2), longest=batch.longest)
    metric = ExactMatch(1)
    return metric.score(metric.statistics(predictions))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cfg", "steps", "lr"), [(TRANSFORMER, 600, 3e-3), (RNN, 600, 5e-3)], ids=["transformer", "rnn"]
)
def test_copying_handles_unseen_symbols(cfg: ModelConfig, steps: int, lr: float) -> None:
    """Without copying only strings without any come out right, and there are few of these."""
    asked = strings(UNSEEN, 200, 2)
    plain = 100 * sum(not set(record.source) & set(UNSEEN) for record in asked) / len(asked)
    assert plain < 30
    assert exact_match(cfg, asked, steps, lr) >= 95
    assert exact_match(replace(cfg, copy=False), asked, steps, lr) <= plain
