"""With copying, models write symbols that they have never seen; without it the same models cannot."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.codec.regex import RegexTokenizer
from core.codec.types import Codecs
from core.model.config import ModelConfig, RNNConfig, TransformerConfig
from core.record import Record
from core.testing.learning import answered_exactly, answers

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
    (found,) = answers(cfg, Codecs(both, both), strings(RARE, 6000, 1), asked, steps=steps, lr=lr)
    return answered_exactly(found)


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
