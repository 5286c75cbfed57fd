"""Where a symbol stands: sinusoids added to embeddings (Vaswani et al., 2017) or rotations of queries and keys (Su et al., 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

# B batch, S positions, H heads, d width of a head, D width


def sinusoids(position_BS: Tensor, width: int) -> Tensor:
    """[B, S, D]: the first half sines, the second cosines, wavelengths from 2 pi to 10,000 * 2 pi."""
    half = (width + 1) // 2
    rate_h = 10_000.0 ** (-torch.arange(half, device=position_BS.device, dtype=torch.float32) / half)
    angle_BSh = position_BS[..., None].float() * rate_h
    return torch.cat([angle_BSh.sin(), angle_BSh.cos()], dim=-1)[..., :width]


def rotation(position_BS: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """(cos, sin), each [B, 1, S, d / 2], for `rotate`."""
    rate = 10_000.0 ** (-torch.arange(width // 2, device=position_BS.device, dtype=torch.float32) / (width // 2))
    angle = (position_BS[..., None].float() * rate)[:, None]
    return angle.cos(), angle.sin()


def rotate(x_BHSd: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (x_i, x_{i + d/2}) by its angle, so that q . k depends on the distance alone."""
    cos, sin = turn[0].to(x_BHSd.dtype), turn[1].to(x_BHSd.dtype)
    left, right = x_BHSd.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)
