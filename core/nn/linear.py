"""Linear layers that may be several side by side, one product for all."""

from __future__ import annotations

from torch import nn


def matrix(inputs: int, outputs: int, *, parts: int = 1, bias: bool = False) -> nn.Linear:
    """Drawn as `parts` Glorot-uniform maps (Glorot & Bengio, 2010) side by side; biases are zero.

    The weight remembers its `parts`, for optimizers that treat a matrix as one map.
    """
    layer = nn.Linear(inputs, outputs, bias=bias)
    for part in layer.weight.chunk(parts, dim=0):
        nn.init.xavier_uniform_(part)
    layer.weight.parts = parts  # pyright: ignore[reportAttributeAccessIssue]
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
