"""Scaled dot-product attention: softmax(Q K^T / sqrt(d)) V (Vaswani et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# B batch, H heads, T query positions, S key positions, d width of a head

NEVER = -1e30
"""Finite, so that a row without anything to look at gives zeros and no NaN."""


def attend(query_BHTd: Tensor, key_BHSd: Tensor, value_BHSd: Tensor, mask: Tensor | None) -> Tensor:
    """Values weighted by attention. `mask` (True: may be looked at) broadcasts to [B, H, T, S].

    On a CPU with gradients the plain matrix products are faster than the fused kernel's backward; elsewhere the fused one is.
    """
    if query_BHTd.device.type == "cpu" and torch.is_grad_enabled():
        return attention_weights(query_BHTd, key_BHSd, mask) @ value_BHSd
    return F.scaled_dot_product_attention(query_BHTd, key_BHSd, value_BHSd, attn_mask=mask)


def attention_weights(query_BHTd: Tensor, key_BHSd: Tensor, mask: Tensor | None) -> Tensor:
    """The weights themselves, [B, H, T, S]; rows that may look at nothing are all zero."""
    score_BHTS = (query_BHTd * query_BHTd.shape[-1] ** -0.5) @ key_BHSd.transpose(-1, -2)
    if mask is None:
        return score_BHTS.softmax(-1)
    return score_BHTS.masked_fill(~mask, NEVER if score_BHTS.dtype != torch.float16 else -6e4).softmax(-1) * mask
