"""Where a decoder looks while it says a given output: weights, what they add up to, alignments, entropy.

Weights show where a state was read from, not why a word was said: what stands in a state has been mixed by the encoder, and
other weights can give the same output (Jain & Wallace, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from core.codec.types import EOS, PAD, Codecs, Featurizer
from core.data.batch import collate
from core.model.front import FrameFront
from core.model.seq2seq import Seq2Seq
from core.record import Hypothesis, Record
from core.report.charts import HeatMap
from core.report.forced import encoded, needs_decoder

# L layers, H heads, T target (with its end), S source (as the encoder leaves it)

How = Literal["mean", "max"]
END = "■"


@dataclass(frozen=True, slots=True)
class Attention:
    """Of one record and one output."""

    key: str
    weights_LHTS: np.ndarray
    source: tuple[str, ...]
    """Labels; frames by their number in the input."""
    target: tuple[str, ...]

    def together(self, how: How = "mean") -> np.ndarray:
        """Over layers and heads, [T, S]."""
        return self.weights_LHTS.mean((0, 1)) if how == "mean" else self.weights_LHTS.max((0, 1))

    @property
    def entropy_LHT(self) -> np.ndarray:
        """In nats; log S where it looks everywhere alike."""
        weights = np.clip(self.weights_LHTS, 1e-12, None)
        return -(self.weights_LHTS * np.log(weights)).sum(-1)

    @property
    def coverage_S(self) -> np.ndarray:
        """How much each place of the source was looked at in all."""
        return self.together().sum(0)

    def alignment(self) -> str:
        """Pharaoh's `source-target` pairs: the place most looked at, of each token but the end."""
        chosen = self.together().argmax(-1)
        count = len(self.target) - (1 if self.target and self.target[-1] == END else 0)
        return " ".join(f"{chosen[t]}-{t}" for t in range(count))

    def map(self, layer: int | None = None, head: int | None = None, how: How = "mean") -> HeatMap:
        """All together, or one head of one layer."""
        if layer is None or head is None:
            values, what = self.together(how), f"{how} of all layers and heads"
        else:
            values, what = self.weights_LHTS[layer, head], f"layer {layer + 1}, head {head + 1}"
        name = "attention-" + what.replace(",", "").replace(" ", "-")
        return HeatMap(name, what, self.target, self.source, values)


@torch.inference_mode()
def attend_to(
    model: Seq2Seq, codecs: Codecs, record: Record, answer: Hypothesis | Sequence[int], *, longest: int
) -> Attention | None:
    """None where the decoder has no attention."""
    needs_decoder(model)
    model.eval()
    source = encoded(record, codecs, longest=longest, copy=model.copies)
    tokens = list(answer.tokens if isinstance(answer, Hypothesis) else answer)
    batch = collate([source], [tokens], [0]).to(next(model.parameters()).device)
    weights = model.attention(batch)[:, 0].double().cpu().numpy()
    size = int((batch.wanted_BT[0] != PAD).sum())
    width = int(model.encode(batch).layout.lengths[0])
    weights = weights[..., :size, :width]
    if weights.size == 0 or not weights.any():
        return None
    factor = model.front.factor if isinstance(model.front, FrameFront) else 1
    return Attention(
        record.key,
        weights,
        source_labels(codecs, source.values, width, factor),
        tuple(target_label(codecs, token, source.words) for token in [*tokens, EOS]),
    )


def source_labels(codecs: Codecs, values: np.ndarray, width: int, factor: int) -> tuple[str, ...]:
    """Of each place that the decoder can look at."""
    codec = codecs.source
    if values.ndim == 2 or isinstance(codec, Featurizer):
        return tuple(str(place * factor) for place in range(width))
    return tuple(codec.label(int(token)) for token in values[:width])


def target_label(codecs: Codecs, token: int, words: Sequence[str]) -> str:
    """A copied word is spelled as it stands in the source."""
    if token == EOS:
        return END
    beyond = token - codecs.target.size
    return words[beyond] if 0 <= beyond < len(words) else codecs.target.label(token)


@dataclass(frozen=True, slots=True)
class Entropy:
    """By step, the mean over outputs that are long enough."""

    steps: tuple[int, ...]
    heads: dict[str, tuple[float, ...]]
    """`layer 1, head 2` -> nats."""
    uniform: tuple[float, ...]
    """log S: looking everywhere alike."""


def entropy_by_step(found: Sequence[Attention], longest: int = 60) -> Entropy:
    """Steps at which a tenth of the outputs, two at least, are still going on."""
    least = max(min(2, len(found)), len(found) // 10)
    sizes = [one.weights_LHTS.shape[2] for one in found]
    steps = tuple(t for t in range(min(max(sizes, default=0), longest)) if sum(size > t for size in sizes) >= least)
    layers, heads = found[0].weights_LHTS.shape[:2]
    entropies = [one.entropy_LHT for one in found]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    by_head = {
        f"layer {layer + 1}, head {head + 1}": tuple(
            mean([one[layer, head, t] for one in entropies if one.shape[-1] > t]) for t in steps
        )
        for layer in range(layers)
        for head in range(heads)
    }
    uniform = tuple(
        mean([np.log(one.weights_LHTS.shape[-1]) for one in found if one.weights_LHTS.shape[2] > t]) for t in steps
    )
    return Entropy(steps, by_head, uniform)
