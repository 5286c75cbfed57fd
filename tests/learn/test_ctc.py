"""Models with a CTC head learn to read letters that are drawn out over noisy frames, with repeats, at any speed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch

from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs, Encoded
from core.data.config import BatchConfig
from core.data.encode import encode_split
from core.data.stream import TrainBatches
from core.decode.config import SearchConfig
from core.decode.predict import predict_records
from core.metrics.exact import ExactMatch
from core.model.build import build
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.record import Prediction, Record
from core.train.config import TrainConfig
from core.train.trainer import Trainer

LETTERS = "abcdefgh"
BANDS = 12
TRANSFORMER = TransformerConfig(
    width=64, heads=4, encoder_layers=2, decoder_layers=1, inner=128, dropout=0.0, subsample=2, ctc=0.3
)
RNN = RNNConfig(width=96, dropout=0.0, subsample=2, ctc=0.3)


@dataclass(frozen=True)
class Frames:
    """Sources that are frames already."""

    kind: ClassVar[str] = "frames"
    width: int = BANDS

    def encode(self, value: Any) -> Encoded:
        return Encoded(value)

    def dump(self) -> dict[str, Any]:
        return {}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        return cls()


def readings(n: int, seed: int) -> tuple[list[Record], dict[str, list[tuple[int, int]]]]:
    """Strings of 1 to 7 letters: each sounds for 4 to 8 frames, faintly between; where each of them truly stands."""
    draw, sounds = np.random.default_rng(seed), np.random.default_rng(0).normal(size=(len(LETTERS), BANDS))
    records: list[Record] = []
    places: dict[str, list[tuple[int, int]]] = {}
    for number in range(n):
        key, spans, parts = f"{seed}-{number}", list[tuple[int, int]](), list[np.ndarray]()
        letters = draw.integers(len(LETTERS), size=draw.integers(1, 8))
        at = 0
        for letter in letters:
            pause, length = int(draw.integers(1, 4)), int(draw.integers(4, 9))
            parts += [np.zeros((pause, BANDS)), np.tile(sounds[letter], (length, 1))]
            spans.append((at + pause, at + pause + length))
            at += pause + length
        frames = np.concatenate(parts)
        frames = (frames + 0.5 * draw.normal(size=frames.shape)).astype(np.float32)
        records.append(Record(key, frames, "".join(LETTERS[letter] for letter in letters)))
        places[key] = spans
    return records, places


def trained(cfg: ModelConfig, steps: int, lr: float, searches: list[SearchConfig]) -> list[list[Prediction]]:
    """What each search answers to strings that were not trained on."""
    codecs, batch = Codecs(Frames(), RegexTokenizer.fit([LETTERS])), BatchConfig(tokens=2048)
    train = TrainConfig(
        steps=steps,
        lr=lr,
        warmup=40,
        schedule="linear",
        label_smoothing=0.0,
        ema=0.98,
        precision="fp32",
        evaluate_every=steps,
    )
    split = encode_split(readings(4000, 1)[0], codecs, longest=batch.longest, long="stop")
    model = build(cfg, codecs, seed=1)
    trainer = Trainer(model, TrainBatches(split.examples, batch, 1), train, seed=1, device=torch.device("cpu"))
    trainer.fit(
        log=lambda stats: None,
        evaluate=lambda trainer: 0.0,
        save=lambda trainer: None,
        save_every=steps,
        stop=lambda: None,
    )
    asked = readings(300, 2)[0]
    with trainer.averaged():
        return [predict_records(model, codecs, asked, search, longest=batch.longest) for search in searches]


def exact_match(predictions: list[Prediction]) -> float:
    metric = ExactMatch(1)
    return metric.score(metric.statistics(predictions))


SEARCHES = [
    SearchConfig(length_ratio=0.3),
    SearchConfig(length_ratio=0.3, strategy="ctc", beams=1),
    SearchConfig(length_ratio=0.3, strategy="ctc", beams=4, align=True),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cfg", "steps", "lr"), [(TRANSFORMER, 300, 4e-3), (RNN, 300, 5e-3)], ids=["transformer", "rnn"]
)
def test_joint_models_read_noisy_frames(cfg: ModelConfig, steps: int, lr: float) -> None:
    together, best_path, prefixes = trained(cfg, steps, lr, SEARCHES)
    assert exact_match(together) >= 98
    assert exact_match(best_path) >= 98
    assert exact_match(prefixes) >= 98


@pytest.mark.slow
def test_ctc_alone_reads_noisy_frames_and_says_where() -> None:
    """Without a decoder's loss; the middle of what was aligned lies within the letter's own frames, or a frame beside."""
    best_path, prefixes = trained(replace(TRANSFORMER, ctc=1.0), 300, 4e-3, SEARCHES[1:])
    assert exact_match(best_path) >= 98
    assert exact_match(prefixes) >= 98
    places = readings(300, 2)[1]
    inside = [
        begin - 2 <= (heard[0] + heard[1]) / 2 <= end + 2
        for one in prefixes
        if one.output == one.record.target
        for (begin, end), heard in zip(places[one.record.key], one.hypotheses[0].frames, strict=True)
    ]
    assert sum(inside) >= 0.95 * len(inside)
