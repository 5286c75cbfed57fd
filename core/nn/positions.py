"""Where a symbol stands: sinusoids added (Vaswani et al., 2017), or queries and keys rotated (Su et al., 2021).

Angles are taken in float64: at position 10,000 float32 is off by up to a thousandth of a radian, and how much may
depend on the shape of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

# B batch, S positions, H heads, d width of a head, D width

Turn = tuple[Tensor, Tensor]
"""Cosines and sines, each [B, 1, S, d / 2] (B and S may be 1)."""


def sinusoids(position_BS: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """[B, S, D]: the first half sines, the second cosines, wavelengths from 2 pi to 10,000 * 2 pi."""
    angle_BSh = _angles(position_BS, (width + 1) // 2)
    return torch.cat([angle_BSh.sin(), angle_BSh.cos()], dim=-1)[..., :width].to(dtype)


def rotation(position_BS: Tensor, width: int, dtype: torch.dtype) -> Turn:
    """What `rotate` needs, for heads of this (even) width."""
    angle_B1Sh = _angles(position_BS, width // 2)[:, None]
    return angle_B1Sh.cos().to(dtype), angle_B1Sh.sin().to(dtype)


def rotate(x_BHSd: Tensor, turn: Turn) -> Tensor:
    """Turn each pair (x_i, x_{i + d/2}) by its angle, so that q . k depends on the distance alone."""
    cos, sin = turn[0].to(x_BHSd.dtype), turn[1].to(x_BHSd.dtype)
    left, right = x_BHSd.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


def _angles(position_BS: Tensor, n: int) -> Tensor:
    exact = torch.float32 if position_BS.device.type == "mps" else torch.float64  # Apple's devices have no float64
    rate_n = 10_000.0 ** (-torch.arange(n, device=position_BS.device, dtype=exact) / n)
    return position_BS[..., None].to(exact) * rate_n
