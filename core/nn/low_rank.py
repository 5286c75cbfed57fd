"""Low-rank adaptation (Hu et al., 2022): W x becomes W x + (alpha / r) B A x, where A and B alone are trained.

B begins at zero, so that at first nothing is changed, not by a bit. A matrix of several maps side by side (a fused
query-key-value) has an A and a B for each map, as if they stood alone. Deviations: nothing is dropped out before A. What runs
without gradients reads the sum W + (alpha / r) B A, made once for each value of the weights: an answer costs what the plain
layer's does, and is the same in training and after it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# I inputs, O outputs of all maps, P maps side by side, o outputs of one map, r rank


class LowRankLinear(nn.Linear):
    """A linear layer, adapted; `weight` and `bias` are those of the layer whose place it takes, under the same names."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        """`alpha` of 0 is the rank: a factor of 1."""
        super().__init__(layer.in_features, layer.out_features, bias=False, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        parts = int(getattr(layer.weight, "parts", 1))
        self.factor = (alpha or rank) / rank
        self.down = nn.Parameter(torch.empty(parts, rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(parts, layer.out_features // parts, rank))
        bound = layer.in_features**-0.5
        nn.init.uniform_(self.down, -bound, bound)
        self.made: tuple[tuple[int, ...], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training or torch.is_grad_enabled()):
            return F.linear(input, self.whole(), self.bias)
        self.made = None
        inner_Pr = F.linear(input, self.down.flatten(0, 1)).unflatten(-1, self.down.shape[:2])
        change_O = torch.einsum("...pr,por->...po", inner_Pr, self.up).flatten(-2)
        return F.linear(input, self.weight, self.bias) + self.factor * change_O

    def whole(self) -> Tensor:
        """W + (alpha / r) B A, [O, I]; kept until one of them is written to."""
        sources = (self.weight, self.up, self.down)
        state = tuple(number for one in sources for number in (one.data_ptr(), one._version))
        if self.made is None or self.made[0] != state:
            with torch.no_grad(), torch.autocast(self.weight.device.type, enabled=False):
                self.made = state, self.weight + self.factor * (self.up @ self.down).flatten(0, 1)
        return self.made[1]
