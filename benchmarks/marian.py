"""A model of ours as Hugging Face's MarianMTModel, with the same weights: what peers are compared by.

Marian's shape is a post-norm Transformer with sinusoids, embeddings scaled by sqrt(D) and one matrix for source, target and output;
ours of that shape lacks only the biases of attention, which are zero there. Both begin an output with BOS.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from core.codec.types import BOS, EOS, PAD, Codecs
from core.model.build import build
from core.model.config import TransformerConfig
from core.model.seq2seq import Seq2Seq

# V vocabulary, D width

SHAPE = TransformerConfig(
    norm="layer", norm_place="post", positions="sinusoidal", activation="relu", dropout=0.0, tie="all"
)
"""The sizes are the caller's."""


def marian_shaped(cfg: TransformerConfig, codecs: Codecs, *, seed: int, end: float) -> Seq2Seq:
    """Random weights that say different things of different sources; `end` is added to the end symbol's logit.

    With one matrix for input and output, outputs would be their first word again and again: the last norm turns
    half of the directions around.
    """
    model = build(cfg, codecs, seed=seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "embedding.weight":
                parameter.mul_(1.5)
            elif name == f"decoder.blocks.{cfg.decoder_layers - 1}.feed_forward_norm.weight":
                parameter.mul_(2.0 * torch.randint(2, parameter.shape, generator=generator) - 1)
            elif "norm" in name or name.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        model.get_parameter("front.segment.weight").zero_()
        model.head.bias[EOS] += end
    return model


def as_marian(model: Seq2Seq, cfg: TransformerConfig, *, longest: int) -> Any:
    """A MarianMTModel in eval mode; needs the package `transformers` (the `bench` extra)."""
    transformers = importlib.import_module("transformers")
    size = model.embedding.num_embeddings
    config = transformers.MarianConfig(
        vocab_size=size,
        d_model=cfg.width,
        encoder_layers=cfg.encoder_layers,
        decoder_layers=cfg.decoder_layers,
        encoder_attention_heads=cfg.heads,
        decoder_attention_heads=cfg.heads,
        encoder_ffn_dim=cfg.inner,
        decoder_ffn_dim=cfg.inner,
        activation_function="relu",
        dropout=0.0,
        scale_embedding=True,
        max_position_embeddings=longest,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        decoder_start_token_id=BOS,
        forced_eos_token_id=None,
    )
    made = transformers.MarianMTModel(config).eval()
    weights = renamed(model.state_dict(), cfg)
    fixed = {
        name
        for name in made.state_dict()
        if "embed_positions" in name or name.endswith(("lm_head.weight", "embed_tokens.weight"))
    }
    missing, unexpected = made.load_state_dict(weights, strict=False)
    if unexpected or set(missing) - fixed:
        raise ValueError(f"weights that do not fit: missing {sorted(set(missing) - fixed)}, unexpected {unexpected}")
    return made


def renamed(own: dict[str, Tensor], cfg: TransformerConfig) -> dict[str, Tensor]:
    """Marian's names."""
    found = {"model.shared.weight": own["embedding.weight"], "final_logits_bias": own["head.bias"].clone()[None]}
    found["final_logits_bias"][:, : BOS + 1] = -torch.inf
    for side, layers in (("encoder", cfg.encoder_layers), ("decoder", cfg.decoder_layers)):
        for layer in range(layers):
            ours, theirs = f"{side}.blocks.{layer}", f"model.{side}.layers.{layer}"
            query, key, value = own[f"{ours}.attention.input.weight"].chunk(3)
            maps = {"self_attn.q": query, "self_attn.k": key, "self_attn.v": value}
            maps["self_attn.out"] = own[f"{ours}.attention.output.weight"]
            if side == "decoder":
                key, value = own[f"{ours}.cross.memory.weight"].chunk(2)
                maps |= {"encoder_attn.q": own[f"{ours}.cross.query.weight"], "encoder_attn.k": key}
                maps |= {"encoder_attn.v": value, "encoder_attn.out": own[f"{ours}.cross.output.weight"]}
            for name, weight in maps.items():
                found[f"{theirs}.{name}_proj.weight"] = weight
                found[f"{theirs}.{name}_proj.bias"] = weight.new_zeros(len(weight))
            named = {"self_attn_layer_norm": "attention_norm", "final_layer_norm": "feed_forward_norm"}
            named |= {"fc1": "feed_forward.inner", "fc2": "feed_forward.output"}
            named |= {"encoder_attn_layer_norm": "cross_norm"} if side == "decoder" else {}
            for name, our in named.items():
                for part in ("weight", "bias"):
                    found[f"{theirs}.{name}.{part}"] = own[f"{ours}.{our}.{part}"]
    return found
