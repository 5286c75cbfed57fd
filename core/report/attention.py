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

from core.codec.types import EOS, PAD, Codecs, Encoded, Featurizer, Timed
from core.data.batch import collate
from core.model.front import FrameFront
from core.model.seq2seq import Seq2Seq
from core.record import Hypothesis, Record
from core.report.charts import HeatMap
from core.report.forced import encoded, needs_decoder
from core.report.rollout import rollout
from core.report.saliency import gradient_x_input
from core.report.svg import svg
from core.report.words import Aligned, aligned, words_of

# L layers, H heads, T target (with its end), S source (as the encoder leaves it)

How = Literal["mean", "max", "rollout", "saliency"]
HOW: dict[How, str] = {
    "mean": "mean of all layers and heads",
    "max": "largest weight of all layers and heads",
    "rollout": "rollout through all layers",
    "saliency": "gradient x input",
}
END = "■"


@dataclass(frozen=True, slots=True)
class Attention:
    """Of one record and one output."""

    key: str
    weights_LHTS: np.ndarray
    source: tuple[str, ...]
    """Labels; frames by their number in the input."""
    target: tuple[str, ...]
    rollout_TS: np.ndarray | None = None
    """Through all layers (core.report.rollout), where it was asked for."""
    saliency_TS: np.ndarray | None = None
    """No attention but the second opinion (core.report.saliency), where it was asked for."""
    seconds: float = 0.0
    """Of a place of the source, where it is a stretch of time."""
    words: Aligned | None = None
    """The same in words, where both sides are texts."""

    def together(self, how: How = "mean") -> np.ndarray:
        """Over layers and heads, [T, S]."""
        match how:
            case "mean":
                return self.weights_LHTS.mean((0, 1))
            case "max":
                return self.weights_LHTS.max((0, 1))
            case "rollout" | "saliency":
                found = self.rollout_TS if how == "rollout" else self.saliency_TS
                if found is None:
                    raise ValueError(f"no {how}: ask for it by attend_to(..., full=True)")
                return found

    @property
    def full(self) -> bool:
        """Whether rollout and saliency are there."""
        return self.rollout_TS is not None and self.saliency_TS is not None

    def times(self) -> list[tuple[str, float, float]]:
        """Of each token but the end the seconds that it looked at most; none where the source is no stretch of time."""
        if not self.seconds:
            return []
        chosen = self.together().argmax(-1)
        places = [int(place) for place in chosen[: self.said]]
        pairs = zip(self.target, places, strict=False)
        return [(token, place * self.seconds, (place + 1) * self.seconds) for token, place in pairs]

    @property
    def said(self) -> int:
        """Tokens but the end."""
        return len(self.target) - (1 if self.target and self.target[-1] == END else 0)

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
        return " ".join(f"{chosen[t]}-{t}" for t in range(self.said))

    def _repr_html_(self) -> str:
        """In a notebook: all layers and heads together."""
        return svg(self.map())

    def map(self, layer: int | None = None, head: int | None = None, how: How = "mean") -> HeatMap:
        """All together, or one head of one layer."""
        if layer is None or head is None:
            values, what, name = self.together(how), HOW[how], how
        else:
            values, what = self.weights_LHTS[layer, head], f"layer {layer + 1}, head {head + 1}"
            name = f"layer-{layer + 1}-head-{head + 1}"
        column = "seconds" if self.seconds else "source"
        return HeatMap(f"attention-{name}", what, self.target, self.source, values, column_name=column)


def attend_to(
    model: Seq2Seq,
    codecs: Codecs,
    record: Record,
    answer: Hypothesis | Sequence[int],
    *,
    longest: int,
    full: bool = False,
) -> Attention | None:
    """None where the decoder has no attention; `full`: with rollout and saliency, which cost more than attention does."""
    needs_decoder(model)
    model.eval()
    source = encoded(record, codecs, longest=longest, copy=model.copies)
    tokens = list(answer.tokens if isinstance(answer, Hypothesis) else answer)
    batch = collate([source], [tokens], [0]).to(next(model.parameters()).device)
    with torch.inference_mode():
        cross_LHTS = model.attention(batch)[:, 0].double().cpu().numpy()
        size = int((batch.wanted_BT[0] != PAD).sum())
        width = int(model.encode(batch).layout.lengths[0])
        cross_LHTS = cross_LHTS[..., :size, :width]
        if cross_LHTS.size == 0 or not cross_LHTS.any():
            return None
        rolled_TS = None
        if full:
            within = [model.attention(batch, side)[:, 0].double().cpu().numpy() for side in ("encoder", "decoder")]
            rolled_TS = rollout(within[0][..., :width, :width], within[1][..., :size, :size], cross_LHTS)
    factor = model.front.factor if isinstance(model.front, FrameFront) else 1
    return Attention(
        record.key,
        cross_LHTS,
        source_labels(codecs, source.values, width, factor),
        tuple(target_label(codecs, token, source.words) for token in [*tokens, EOS]),
        rolled_TS,
        gradient_x_input(model, source, tokens)[:size, :width] if full else None,
        codecs.source.frame_seconds * factor if isinstance(codecs.source, Timed) else 0.0,
        in_words(codecs, record, source, tokens, cross_LHTS.mean((0, 1))),
    )


def in_words(
    codecs: Codecs, record: Record, source: Encoded, tokens: Sequence[int], weight_TS: np.ndarray
) -> Aligned | None:
    """None unless both sides are texts of several words."""
    if isinstance(codecs.source, Featurizer) or source.values.ndim == 2 or not isinstance(record.source, str):
        return None
    ids = [int(token) for token in source.values[: weight_TS.shape[1]]]
    target = words_of(codecs.target, tokens, source.words)
    if " " not in record.source.strip() and len(target[0]) < 2:
        return None
    return aligned(weight_TS, words_of(codecs.source, ids), target)


def source_labels(codecs: Codecs, values: np.ndarray, width: int, factor: int) -> tuple[str, ...]:
    """Of each place that the decoder can look at; frames by when they begin, or by their number in the input."""
    codec = codecs.source
    if isinstance(codec, Timed):
        return tuple(f"{place * factor * codec.frame_seconds:.2f}" for place in range(width))
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
