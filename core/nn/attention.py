"""Attention: where to look, and what is seen there.

Scaled dot product: softmax(Q K^T / sqrt(d)) V (Vaswani et al., 2017). A query that may look at nothing sees zeros.
What recurrent decoders use: lookup.py.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from core.nn.layout import Layout

# B batch, H heads, G heads of keys, T query positions, S key positions, d width of a head

NEVER = -1e30
"""Finite, so that a row without anything to look at has no NaN."""


def attend(
    query_BHTd: Tensor,
    key_BHSd: Tensor,
    value_BHSd: Tensor,
    *,
    layout: Layout | None = None,
    causal: bool = False,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    looks: list[Tensor] | None = None,
) -> Tensor:
    """Values weighted by attention, [B, H, T, d].

    Keys are hidden where `layout` has pads, where they come after the query (`causal`; T == S), and where `mask`, which
    broadcasts to [B, H, T, S], is False; `mask` must leave every query something. `bias` broadcasts to [B, H, T, S] and is
    added to the scores. Keys and values may have fewer heads than queries, each then serving as many queries' heads in a
    row (Shazeer, 2019; Ainslie et al., 2023). The weights are appended to `looks`, where one is given.
    On a CPU with gradients it is plain matrix products: the fused kernel's backward is no faster in float32 and far
    slower in bfloat16.
    """
    some_B111 = None if layout is None else layout.mask_BS.any(-1)[:, None, None, None]
    grouped = key_BHSd.shape[1] != query_BHTd.shape[1]
    plain = query_BHTd.device.type == "cpu" and (torch.is_grad_enabled() or grouped)
    if plain or looks is not None:
        weight_BHTS = _scores(query_BHTd, key_BHSd, layout=layout, causal=causal, mask=mask, bias=bias).softmax(-1)
        seen_BHTd = _grouped(weight_BHTS, value_BHSd)
        if looks is not None:
            looks.append(weight_BHTS if some_B111 is None else weight_BHTS * some_B111.to(weight_BHTS.dtype))
    else:
        if layout is not None and some_B111 is not None:
            real_B11S = layout.mask_BS[:, None, None] | ~some_B111  # not every fused kernel bears a row without any key
            mask = real_B11S if mask is None else mask & real_B11S
        if causal and mask is not None:
            mask, causal = mask & _past(query_BHTd.shape[2], query_BHTd.device), False
        if bias is not None:
            if causal:
                mask, causal = _past(query_BHTd.shape[2], query_BHTd.device), False
            bias = bias.to(query_BHTd.dtype)
            mask = bias if mask is None else bias + _penalty(mask, bias)
        seen_BHTd = F.scaled_dot_product_attention(
            query_BHTd, key_BHSd, value_BHSd, attn_mask=mask, is_causal=causal, enable_gqa=grouped
        )
    return seen_BHTd if some_B111 is None else seen_BHTd * some_B111.to(seen_BHTd.dtype)


def _scores(
    query: Tensor, key: Tensor, *, layout: Layout | None, causal: bool, mask: Tensor | None, bias: Tensor | None
) -> Tensor:
    score_BHTS = _grouped(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    if bias is not None:
        score_BHTS = score_BHTS + bias.to(score_BHTS.dtype)
    if layout is not None:
        score_BHTS = score_BHTS.add_(_penalty(layout.mask_BS[:, None, None], score_BHTS))
    if causal:
        score_BHTS = score_BHTS.add_(_penalty(_past(query.shape[2], query.device), score_BHTS))
    if mask is not None:
        score_BHTS = score_BHTS.add_(_penalty(mask, score_BHTS))
    return score_BHTS


def _grouped(x_BHTn: Tensor, y_BGnm: Tensor) -> Tensor:
    """Products [B, H, T, m], each of the G right factors serving H / G left ones."""
    B, H, T, _ = x_BHTn.shape
    G = y_BGnm.shape[1]
    return x_BHTn @ y_BGnm if G == H else (x_BHTn.reshape(B, G, H // G * T, -1) @ y_BGnm).view(B, H, T, -1)


def _penalty(allowed: Tensor, like: Tensor) -> Tensor:
    """Adding it costs half of what filling in does, in the backward pass too."""
    return torch.zeros(allowed.shape, dtype=like.dtype, device=like.device).masked_fill_(~allowed, NEVER)


def _past(T: int, device: torch.device) -> Tensor:
    return torch.ones(T, T, dtype=torch.bool, device=device).tril_()
