"""Word dropout (Gal & Ghahramani, 2016; of the decoder's words: Bowman et al., 2016): some words are read as unknown."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from core.codec.types import BOS, PAD, UNK
from core.data.batch import Batch

# B batch, S source, T target


def hidden_source(batch: Batch, rate: float) -> Batch:
    """Symbols of the source hidden from the encoder; a pointer still knows what stands there."""
    if not rate or batch.source.is_floating_point():
        return batch
    hide_BS = batch.layout.mask_BS & (torch.rand(batch.source.shape, device=batch.source.device) < rate)
    return replace(batch, source=batch.source.masked_fill(hide_BS, UNK))


def hidden_given(given_BT: Tensor, rate: float) -> Tensor:
    """Words of the prefix hidden from the decoder; its beginning and the pads stay."""
    hide_BT = (given_BT != PAD) & (given_BT != BOS) & (torch.rand(given_BT.shape, device=given_BT.device) < rate)
    return given_BT.masked_fill(hide_BT, UNK)
