"""The position-wise block: W2 f(W1 x), f being ReLU (Vaswani et al., 2017) or GELU (Hendrycks & Gimpel, 2016);

or SwiGLU (Shazeer, 2020), W2 (silu(W1 x) * W3 x), with W1 and W3 in one product and without their biases.
"""

from __future__ import annotations

from typing import Literal, assert_never

from torch import Tensor, nn
from torch.nn import functional as F

from core.nn.linear import matrix

Activation = Literal["relu", "gelu", "swiglu"]


class FeedForward(nn.Module):
    """From the model's width to a wider one and back."""

    def __init__(self, width: int, inner: int, activation: Activation) -> None:
        super().__init__()
        self.activation: Activation = activation
        gated = activation == "swiglu"
        self.inner = matrix(width, 2 * inner if gated else inner, parts=2 if gated else 1, bias=not gated)
        self.output = matrix(inner, width, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.inner(x)
        match self.activation:
            case "relu":
                return self.output(F.relu(inner))
            case "gelu":
                return self.output(F.gelu(inner))
            case "swiglu":
                gate, value = inner.chunk(2, dim=-1)
                return self.output(F.silu(gate) * value)
            case _:
                assert_never(self.activation)
