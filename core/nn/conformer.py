"""The Conformer block (Gulati et al., 2020): half a feed-forward step, self-attention, a convolution, the other half step, a norm.

Convolution: W2 silu(norm(depthwise(glu(W1 x)))), with pads zero before the depthwise map, so that they are never read.
Deviations: a norm over a symbol's values instead of one over the batch, whose company would matter; places and the activation of
the feed-forward steps as the rest of the model has them; dropout on the output of each part alone.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from core.model.config import TransformerConfig
from core.nn.feed_forward import FeedForward
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.places import Where
from core.nn.transformer import Block, Looks, SelfAttention, make_norm

# B batch, S source, D width


class Convolution(nn.Module):
    """Each symbol and its neighbours."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.input, self.output = matrix(cfg.width, 2 * cfg.width, parts=2), matrix(cfg.width, cfg.width)
        self.depthwise = nn.Conv1d(cfg.width, cfg.width, cfg.kernel, padding=cfg.kernel // 2, groups=cfg.width)
        self.norm = make_norm(cfg)

    def forward(self, x_BSD: Tensor, layout: Layout) -> Tensor:
        x_BSD = F.glu(self.input(x_BSD)).masked_fill(~layout.mask_BS[..., None], 0)
        return self.output(F.silu(self.norm(self.depthwise(x_BSD.mT).mT)))


class ConformerBlock(Block):
    """Of an encoder."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__(cfg)
        self.first_norm, self.first = make_norm(cfg), FeedForward(cfg.width, cfg.inner, cfg.activation)
        self.attention_norm, self.attention = make_norm(cfg), SelfAttention(cfg.width, cfg.heads, cfg.groups)
        self.convolution_norm, self.convolution = make_norm(cfg), Convolution(cfg)
        self.second_norm, self.second = make_norm(cfg), FeedForward(cfg.width, cfg.inner, cfg.activation)
        self.norm = make_norm(cfg)

    def forward(self, x_BSD: Tensor, layout: Layout, where: Where, looks: Looks | None = None) -> Tensor:
        x_BSD = x_BSD + 0.5 * self.dropout(self.first(self.first_norm(x_BSD)))
        seen_BSD = self.attention(self.attention_norm(x_BSD), where, layout=layout, looks=looks)
        x_BSD = x_BSD + self.dropout(seen_BSD)
        x_BSD = x_BSD + self.dropout(self.convolution(self.convolution_norm(x_BSD), layout))
        return self.norm(x_BSD + 0.5 * self.dropout(self.second(self.second_norm(x_BSD))))
