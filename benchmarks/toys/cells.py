"""The table: what is trained on what, for how long, and the score below which something is broken.

Floors are derived from what an idea can do, before any run: whoever sees all of the source does these strings nearly always; who has
one vector of them does many, and fewer with plain cells, which forget. What a model is not made for is left out, and so is
what the config refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.config_text import to_tree
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.testing.toys import ToyConfig, What

TOYS: dict[What, ToyConfig] = {
    "copy": ToyConfig(what="copy", letters=8, longest=6, train=6000, held_out=200),
    "reverse": ToyConfig(what="reverse", letters=8, longest=6, train=6000, held_out=200),
    "sort": ToyConfig(what="sort", letters=8, longest=6, train=6000, held_out=200),
    "recall": ToyConfig(what="recall", letters=8, longest=5, noise=20, train=6000, held_out=200),
}
SECTIONS = {"rnn": "Recurrent", "transformer": "Transformers", "conv": "Convolutional"}


@dataclass(frozen=True, slots=True)
class Expected:
    """What an idea should reach, in percent, and why."""

    least: dict[What, float]
    """On a toy that stands not here it is not asked."""
    reason: str


SEES = Expected(dict.fromkeys(TOYS, 95.0), "it may look at every symbol of the source before each word")
COUNTS = Expected(
    {**SEES.least, "sort": 85.0}, f"{SEES.reason}; to sort, a recurrent decoder has to count what it has said"
)
FORWARD = Expected(
    {"copy": 95.0, "recall": 95.0},
    "its look goes forward alone, so it is asked what is said in the order in which it is read",
)
ONE_VECTOR = Expected(
    {"copy": 40.0, "reverse": 40.0, "sort": 40.0, "recall": 0.0},
    "all that it gets is one vector; gates keep much of a short string, and after noise nothing is asked of it",
)
FADES = Expected(
    {"copy": 10.0, "reverse": 10.0, "sort": 10.0, "recall": 0.0},
    "all that it gets is one vector, and a plain cell writes over what it holds",
)
SLOPES = Expected(
    {"copy": 90.0, "reverse": 80.0, "sort": 80.0, "recall": 80.0},
    "slopes say no more than how far away a symbol stands: it learns from many more updates, and not everything",
)
EXPECTATIONS = {
    "sees": SEES,
    "slopes": SLOPES,
    "counts": COUNTS,
    "forward": FORWARD,
    "one vector": ONE_VECTOR,
    "fades": FADES,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One model."""

    section: Literal["rnn", "transformer", "conv"]
    name: str
    """The architecture."""
    attention: str
    """Its kind of attention, or of positions."""
    config: ModelConfig
    expected: str
    """A key of EXPECTATIONS."""

    @property
    def label(self) -> str:
        """In commands and result files."""
        return f"{self.name}, {self.attention}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on one toy."""

    row: Row
    toy: What
    steps: int
    lr: float
    tokens: int

    @property
    def name(self) -> str:
        """`lstm both ways, additive: reverse`"""
        return f"{self.row.label}: {self.toy}"

    @property
    def least(self) -> float:
        """The floor."""
        return EXPECTATIONS[self.row.expected].least[self.toy]

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything that a score depends on: with another recipe a cell is trained again."""
        return {
            "model": to_tree(self.row.config),
            "task": to_tree(TOYS[self.toy]),
            "steps": self.steps,
            "lr": self.lr,
            "tokens": self.tokens,
        }


RNN = RNNConfig(width=96, dropout=0.0)
TRANSFORMER = TransformerConfig(
    width=64, heads=4, encoder_layers=2, decoder_layers=2, inner=128, positions="sinusoidal", dropout=0.0
)
CONV = ConvConfig(width=64, encoder_layers=2, decoder_layers=2, dropout=0.0)
CELLS: tuple[Literal["rnn", "gru", "lstm"], ...] = ("rnn", "gru", "lstm")
ATTENTIONS: tuple[Literal["additive", "dot", "general", "scaled_dot", "multi_head"], ...] = (
    "additive",
    "dot",
    "general",
    "scaled_dot",
    "multi_head",
)


def recurrent() -> Iterator[Row]:
    """Three cells, read one way or both, with no attention, five kinds of it, and a window that moves forward."""
    for cell in CELLS:
        for both in (False, True):
            base = replace(RNN, cell=cell, bidirectional=both)
            name = f"{cell} {'both ways' if both else 'one way'}"
            bottleneck = replace(base, attention="none", bridge="last")
            yield Row("rnn", name, "none", bottleneck, "fades" if cell == "rnn" else "one vector")
            for attention in ATTENTIONS:
                yield Row("rnn", name, attention.replace("_", " "), replace(base, attention=attention), "counts")
            yield Row("rnn", name, "additive, window of 2", replace(base, attention_window=2), "forward")


def transformers() -> Iterator[Row]:
    """Positions, groups of heads, sparse attention, and what blocks are made of."""
    found: list[tuple[str, str, TransformerConfig]] = [
        ("transformer", "sinusoidal", TRANSFORMER),
        ("transformer", "learned", replace(TRANSFORMER, positions="learned")),
        ("transformer", "rotary", replace(TRANSFORMER, positions="rotary")),
        ("transformer", "relative bias", replace(TRANSFORMER, positions="relative")),
        ("transformer", "ALiBi", replace(TRANSFORMER, positions="alibi", heads=8)),
        ("transformer", "two heads of keys (GQA)", replace(TRANSFORMER, kv_heads=2)),
        ("transformer", "one head of keys (MQA)", replace(TRANSFORMER, kv_heads=1)),
        ("transformer", "window of 2, one global symbol", replace(TRANSFORMER, encoder_window=2, global_symbols=1)),
        ("transformer, post-norm", "sinusoidal", replace(TRANSFORMER, norm_place="post")),
        (
            "transformer, RMSNorm, SwiGLU",
            "rotary",
            replace(TRANSFORMER, positions="rotary", norm="rms", activation="swiglu"),
        ),
        ("conformer as encoder", "sinusoidal", replace(TRANSFORMER, encoder="conformer", kernel=3)),
    ]
    for name, attention, config in found:
        yield Row("transformer", name, attention, config, "slopes" if config.positions == "alibi" else "sees")


def convolutional() -> Iterator[Row]:
    """One look or several heads a layer; places told or known by neighbours."""
    yield Row("conv", "convolutions", "one head, sinusoidal", CONV, "sees")
    yield Row("conv", "convolutions", "four heads, sinusoidal", replace(CONV, heads=4), "sees")
    yield Row("conv", "convolutions", "one head, learned", replace(CONV, positions="learned"), "sees")


def rows() -> list[Row]:
    """All of them."""
    return [*recurrent(), *transformers(), *convolutional()]


def cell(row: Row, toy: What) -> Cell:
    """With its budget: small, and as much more as the harder toys were seen to need."""
    if row.section == "rnn":
        steps = {"copy": 300, "reverse": 300, "sort": 500, "recall": 300}[toy]
        slow = row.attention in ("dot", "general") and row.config.kind == "rnn" and row.config.cell == "rnn"
        if slow and toy in ("sort", "recall"):  # states that fade, and scores that nothing scales
            steps = steps * 8 // 5
        if row.attention == "scaled dot" and toy in ("copy", "reverse"):
            steps = 400
        return Cell(row, toy, steps, 5e-3, 1000 if toy == "recall" else 400)
    steps = 500 if row.section == "conv" and toy == "sort" else 350
    if row.config.kind == "transformer":
        steps = {"rotary": 550, "relative": 900, "alibi": 1600}.get(row.config.positions, steps)
        if row.config.positions == "relative" and toy == "recall":
            steps = 1300
    return Cell(row, toy, steps, 3e-3, 1200 if toy == "recall" else 1024)


def cells() -> list[Cell]:
    """Row by row."""
    return [cell(row, toy) for row in rows() for toy in TOYS if toy in EXPECTATIONS[row.expected].least]
