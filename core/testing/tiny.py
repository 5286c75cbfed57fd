"""Small things to hold laws against: models with stirred weights, batches with odd lengths, and what is needed to compare them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from core.codec.regex import RegexTokenizer
from core.codec.types import BOS, PAD, Codecs, Encoded, as_encoded
from core.data.batch import Batch, collate
from core.data.copying import Copying, with_copies
from core.decode.rules import Rule
from core.model.build import build
from core.model.config import ConvConfig, ModelConfig, RNNConfig, TransformerConfig
from core.model.features import LearnedFeatures, PrefixFeatures
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory, State
from core.record import Record

# B batch, K hypotheses, S source, T target, F features, V vocabulary


class Moot(Exception):
    """Raised by a law that a case gives nothing to hold against: the reason."""


Pair = tuple[Encoded, list[int]]
"""A source and its target (without BOS and EOS), as numbers."""


@dataclass(frozen=True)
class ModelCase:
    """A model to hold the laws against, with pairs of its own vocabulary."""

    name: str
    make: Callable[[], Seq2Seq]
    """Each time the same weights, in float64, in eval mode."""
    pairs: Sequence[Pair]
    """Of different lengths, at least four."""
    rule: Rule | None = None


def model_case(
    name: str,
    cfg: ModelConfig,
    codecs: Codecs,
    pairs: Sequence[Pair],
    *,
    rule: Rule | None = None,
    features: PrefixFeatures | LearnedFeatures | None = None,
) -> ModelCase:
    """A case of core's own builder, without dropout."""

    def make() -> Seq2Seq:
        model = build(replace(cfg, dropout=0.0), codecs, features=features, seed=3).double().eval()
        stir(model)
        return model

    return ModelCase(name, make, pairs, rule)


def stir(model: torch.nn.Module, scale: float = 0.2) -> None:
    """Add noise to every parameter: what begins as zero or one, or is zero for a pad, would hide faults."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_((noise * scale).to(parameter))


def small(cfg: ModelConfig) -> ModelConfig:
    """The same choices at a size at which laws are cheap."""
    match cfg:
        case TransformerConfig():
            layers = {"encoder_layers": min(cfg.encoder_layers, 2), "decoder_layers": min(cfg.decoder_layers, 2)}
            sizes = {"heads": 2 if cfg.heads > 1 else 1, "inner": 24, "encoder_width": 24 if cfg.encoder_width else 0}
            if cfg.kv_heads:
                sizes |= {"heads": 4, "encoder_heads": 0, "kv_heads": min(cfg.kv_heads, 2)}
            return replace(cfg, width=16, **sizes, **layers)
        case RNNConfig():
            layers = {"encoder_layers": min(cfg.encoder_layers, 2), "decoder_layers": min(cfg.decoder_layers, 2)}
            return replace(cfg, width=16, encoder_width=24 if cfg.encoder_width else 0, **layers)
        case ConvConfig():
            layers = {"encoder_layers": min(cfg.encoder_layers, 2), "decoder_layers": min(cfg.decoder_layers, 2)}
            return replace(cfg, width=16, encoder_width=24 if cfg.encoder_width else 0, **layers)


def tiny_models() -> dict[str, ModelConfig]:
    """Every architecture of core x its choices, by a name for test ids."""
    models: dict[str, ModelConfig] = {}
    for norm in ("layer", "rms"):
        for positions in ("sinusoidal", "rotary"):
            for activation in ("relu", "gelu", "swiglu"):
                models[f"transformer-{norm}-{positions}-{activation}"] = small(
                    TransformerConfig(norm=norm, positions=positions, activation=activation)
                )
    for cell in ("gru", "lstm"):
        for layers in (1, 2):
            models[f"rnn-{cell}-{layers}"] = small(RNNConfig(cell=cell, encoder_layers=layers, decoder_layers=layers))
    # Each further choice at least once, beside a different one of the others.
    models["transformer-learned-post-grouped"] = small(
        TransformerConfig(positions="learned", learned_positions=5, norm_place="post", kv_heads=2)
    )
    models["transformer-relative-post-wider-encoder"] = small(
        TransformerConfig(positions="relative", norm="rms", norm_place="post", encoder_width=24)
    )
    models["transformer-alibi-one-head-of-keys"] = small(
        TransformerConfig(positions="alibi", kv_heads=1, layer_drop=0.5)
    )
    models["transformer-near-relative"] = small(
        TransformerConfig(positions="relative", encoder_window=2, global_symbols=1, kv_heads=2)
    )
    models["transformer-near-rotary"] = small(TransformerConfig(encoder_window=3, norm_place="post"))
    models["conformer-near"] = small(TransformerConfig(encoder="conformer", kernel=3, norm="rms", encoder_window=2))
    models["rnn-wider-encoder-general-output-fed"] = small(
        RNNConfig(encoder_width=24, attention="general", feeding="output", decoder_layers=2)
    )
    models["rnn-plain-summary"] = small(RNNConfig(cell="rnn", attention="none", bridge="last"))
    models["rnn-lstm-reversed-first-state"] = small(
        RNNConfig(
            cell="lstm", attention="none", feeding="none", bidirectional=False, reverse_source=True, bridge="last"
        )
    )
    models["rnn-multi-head-window"] = small(
        RNNConfig(attention="multi_head", attention_heads=2, attention_window=2, bidirectional=False, bridge="zero")
    )
    models["rnn-plain-dot-unfed"] = small(RNNConfig(cell="rnn", attention="dot", feeding="none"))
    models["conv-heads-learned-wider-encoder"] = small(
        ConvConfig(kernel=5, heads=2, positions="learned", learned_positions=5, encoder_width=24)
    )
    models["conv-copy-without-places"] = small(ConvConfig(positions="none", copy=True))
    models["transformer-copy"] = small(TransformerConfig(copy=True))
    models["transformer-copy-untied"] = small(
        TransformerConfig(norm="rms", positions="sinusoidal", copy=True, tie="none")
    )
    models["rnn-copy"] = small(RNNConfig(copy=True))
    return models


def frame_models() -> dict[str, ModelConfig]:
    """Models whose sources are frames, by a name for test ids: subsampled or not, with a CTC head."""
    return {
        "transformer-ctc": small(TransformerConfig(ctc=0.3)),
        "transformer-ctc-subsampled": small(TransformerConfig(positions="sinusoidal", ctc=0.3, subsample=4)),
        "conformer-ctc": small(TransformerConfig(encoder="conformer", kernel=3, positions="relative", ctc=0.3)),
        "conv-ctc-subsampled": small(ConvConfig(ctc=0.3, subsample=2)),
        "rnn-ctc": small(RNNConfig(ctc=0.3)),
        "rnn-ctc-subsampled": small(RNNConfig(ctc=0.3, subsample=4)),
    }


class TinyFrames:
    """A source of numbers: each letter is `stretch` frames of three of them."""

    kind: ClassVar[str] = "tiny-frames"

    def __init__(self, stretch: int = 1) -> None:
        self.stretch = stretch

    @property
    def width(self) -> int:
        """Sines of three speeds."""
        return 3

    def encode(self, value: Any) -> Encoded:
        """Some waves."""
        letters = (
            np.repeat([ord(letter) % 32 for letter in value], self.stretch)
            + np.arange(len(value) * self.stretch) % 7 / 9
        )
        return Encoded(np.stack([np.sin(letters * n) for n in (1, 2, 3)], -1).astype(np.float32))

    def dump(self) -> dict[str, Any]:
        """What `load` reads."""
        return {"stretch": self.stretch}

    @classmethod
    def load(cls, tree: dict[str, Any]) -> Self:
        """As it was."""
        return cls(**tree)


def tiny_codecs(letters: str = "abcdef", *, shared: bool = False) -> Codecs:
    """One symbol a letter, in alphabetical order from id 4 on."""
    source = RegexTokenizer.fit([letters])
    return Codecs(source=source, target=source if shared else RegexTokenizer.fit([letters]))


UNSEEN = "xyz"
"""Letters that no vocabulary of `tiny_codecs` has."""


def tiny_pairs(
    codecs: Codecs, n: int = 7, *, longest: int = 8, letters: str = "abcdef", seed: int = 0, copy: Copying = False
) -> list[Pair]:
    """Random strings of random lengths on both sides; the shortest has one symbol, a target may be empty.

    For a model that copies some letters are unseen ones, and many a target has those of its source.
    """
    draw = random.Random(seed)
    letters += UNSEEN if copy else ""

    def string(length: int) -> str:
        return "".join(draw.choices(letters, k=length))

    sizes = [1, longest, *(draw.randint(1, longest) for _ in range(n - 2))]
    targets = [longest - 1, 0, *(draw.randint(1, longest) for _ in range(n - 2))]
    records = [Record(str(s), string(s), string(t)) for s, t in zip(sizes, targets, strict=True)]
    return [pair_of(record, codecs, copy=copy) for record in records]


def pair_of(record: Record, codecs: Codecs, *, copy: Copying = False) -> Pair:
    """A record as numbers, as they are for a model that copies, that points, or for one that does neither."""
    source, target = as_encoded(codecs.source.encode(record.source)), codecs.target.encode(record.target)
    source, target = with_copies(record, codecs, source, target, copy) if copy else (source, target)
    return source, list(target)


def batch_of(pairs: Sequence[Pair], index: Sequence[int] | None = None) -> Batch:
    """A batch of these pairs; frames in float64, as the models of the laws are."""
    rows = range(len(pairs)) if index is None else index
    batch = collate([source for source, _ in pairs], [target for _, target in pairs], rows)
    return replace(batch, source=batch.source.double()) if batch.source.is_floating_point() else batch


def padded(batch: Batch, *, source: int, target: int, seed: int = 0) -> Batch:
    """The same batch in a wider rectangle, whose pads hold symbols taken from elsewhere: the mask alone says what is real."""
    wide = torch.nn.functional.pad
    mask_BS = wide(batch.layout.mask_BS, (0, source), value=False)
    values = wide(batch.source, (0, 0, 0, source) if batch.source.ndim == 3 else (0, source))
    real = values[mask_BS]
    generator = torch.Generator().manual_seed(seed)
    values[~mask_BS] = real[torch.randint(len(real), (int((~mask_BS).sum()),), generator=generator)]
    more = (None if x is None else wide(x, (0, source)) for x in (batch.layout.position_BS, batch.layout.segment_BS))
    position_BS, segment_BS = more
    layout = replace(batch.layout, mask_BS=mask_BS, position_BS=position_BS, segment_BS=segment_BS)
    copy = batch.copy
    if copy is not None:
        extended = wide(copy.extended_BS, (0, source))
        real = extended[mask_BS]
        extended[~mask_BS] = real[torch.randint(len(real), (int((~mask_BS).sum()),), generator=generator)]
        copy = replace(copy, extended_BS=extended)
    return replace(batch, source=values, layout=layout, target=wide(batch.target, (0, target), value=PAD), copy=copy)


def forced_logp(model: Seq2Seq, batch: Batch) -> Tensor:
    """Log-probabilities [B, T, V] after each of `batch.given_BT`."""
    memory = model.encode(batch)
    return model.head.logp(model(batch, memory), memory)


def widened(logp: Tensor, width: int) -> Tensor:
    """As in company of a source with more words to copy: they are impossible."""
    return torch.nn.functional.pad(logp, (0, width - logp.shape[-1]), value=-torch.inf)


def sayable(batch: Batch, width: int) -> Tensor:
    """Ids that each source's answers may have, bool [B, V + X]: all but PAD and BOS, and of copied words its own."""
    words_B = torch.tensor([len(words) for words in batch.copy.words] if batch.copy else [0] * batch.size)
    extra = batch.copy.extra if batch.copy else 0
    id_W = torch.arange(width)
    return (id_W > BOS) & (id_W < width - extra + words_B[:, None])


def stepped_logp(model: Seq2Seq, batch: Batch) -> Tensor:
    """The same, one token at a time."""
    memory = model.encode(batch)
    return read(model, memory, model.start(memory, 1), batch.given_BT[:, None])[0][:, 0]


def read(model: Seq2Seq, memory: Memory, state: State, tokens_BKT: Tensor) -> tuple[Tensor, State]:
    """Step through these tokens; log-probabilities [B, K, T, V] after each, and the state."""
    steps: list[Tensor] = []
    for token_BK in tokens_BKT.unbind(-1):
        logp_BKV, state = model.step(token_BK, memory, state)
        steps.append(logp_BKV.clone())
    return torch.stack(steps, 2), state


def gathered(x_BK: Tensor, parent_BK: Tensor) -> Tensor:
    """Row by row, x[b, parent[b, k]]."""
    return x_BK[torch.arange(x_BK.shape[0])[:, None], parent_BK]


def close(actual: Tensor, expected: Tensor, what: str, tolerance: float = 1e-9) -> None:
    """Equal up to rounding, infinities in the same places; else the worst place is named."""
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    actual, expected = actual.detach(), expected.detach()
    wrong = ~torch.isclose(actual, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    if wrong.any():
        place = tuple(wrong.nonzero()[0].tolist())
        raise AssertionError(
            f"{what}: {int(wrong.sum())} of {wrong.numel()} values differ, the first at {place}:"
            f" {actual[place].item()!r}, expected {expected[place].item()!r}"
        )


def random_tokens(pairs: Sequence[Pair], shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Tokens that occur in the targets."""
    known = sorted({token for _, target in pairs for token in target}) or [3]
    generator = torch.Generator().manual_seed(seed)
    return torch.tensor(known)[torch.randint(len(known), shape, generator=generator)]


class NextSourceFeatures:
    """Tells the decoder what stands in the source where it has come to: after n tokens, the n-th encoder state."""

    def width(self, model_width: int) -> int:
        """One encoder state and a flag."""
        return model_width + 1

    def start(self, memory: Memory, beams: int) -> State:
        """Nothing read yet."""
        return {"read": torch.zeros((memory.hidden_BSD.shape[0], beams), dtype=torch.int64)}

    def step(self, state: State, token_BK: Tensor, memory: Memory) -> tuple[State, Tensor]:
        """One token further; the flag tells whether the token was the last letter of the alphabet that is even."""
        return {"read": state["read"] + 1}, self._at(state["read"], token_BK, memory)

    def teacher_forced(self, given_BT: Tensor, memory: Memory) -> Tensor:
        """All at once: token t has t before it."""
        return self._at(torch.arange(given_BT.shape[1]).expand_as(given_BT), given_BT, memory)

    def _at(self, n_BT: Tensor, token_BT: Tensor, memory: Memory) -> Tensor:
        last_B1 = memory.layout.lengths[:, None] - 1
        state_BTD = gathered(memory.hidden_BSD, torch.minimum(n_BT, last_B1))
        return torch.cat([state_BTD, (token_BT % 2)[..., None].to(state_BTD)], -1)


def differing_fields(one: Any, other: Any) -> list[str]:
    """Names of the fields of two dataclasses that are not equal."""
    return [field.name for field in fields(one) if getattr(one, field.name) != getattr(other, field.name)]


def same_arrays(one: Encoded, other: Encoded) -> bool:
    """Two encoded sources are equal, positions and segments too."""
    return all(
        (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in zip(one, other, strict=True)
    )


def law_name(law: Callable[..., None]) -> str:
    """As people read it."""
    return law.__name__.replace("_", " ")


def spread(items: Iterable[Any], n: int) -> list[Any]:
    """At most n of them, evenly from first to last."""
    every = list(items)
    if len(every) <= n:
        return every
    return [every[round(k * (len(every) - 1) / (n - 1))] for k in range(n)]
