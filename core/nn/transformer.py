"""Transformer blocks, pre-norm: x + f(norm(x)) (Vaswani et al., 2017; Xiong et al., 2020).

Dropout is on the output of each f; attention weights and the inner layer keep all (as Marian does).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.model.config import TransformerConfig
from core.nn.attention import attend, attention_weights
from core.nn.dropout import Dropout
from core.nn.feed_forward import FeedForward
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.positions import Turn, rotate

# B batch, T query positions, S key positions, D width, H heads, d width of a head, K hypotheses, N their tokens

Pair = tuple[Tensor, Tensor]
"""Keys and values, each [B, H, S, d]."""


def make_norm(cfg: TransformerConfig) -> nn.Module:
    """LayerNorm (Ba et al., 2016) or RMSNorm (Zhang & Sennrich, 2019)."""
    return nn.LayerNorm(cfg.width) if cfg.norm == "layer" else nn.RMSNorm(cfg.width, eps=1e-6)


class SelfAttention(nn.Module):
    """Queries, keys and values from one matrix product."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.input = matrix(width, 3 * width, parts=3)
        self.output = matrix(width, width)

    def project(self, x_BTD: Tensor, turn: Turn | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values, each [B, H, T, d]; the first two turned to their positions."""
        query, key, value = split(self.input(x_BTD), 3, self.heads)
        return (rotate(query, turn), rotate(key, turn), value) if turn else (query, key, value)

    def forward(
        self, x_BTD: Tensor, turn: Turn | None, *, layout: Layout | None = None, causal: bool = False
    ) -> Tensor:
        query, key, value = self.project(x_BTD, turn)
        return self.output(joined(attend(query, key, value, layout=layout, causal=causal)))

    def step(self, x_BKD: Tensor, turn: Turn | None, past: Pair, ancestor_BKN: Tensor) -> tuple[Tensor, Pair]:
        """K new tokens a source, beside all earlier ones; each sees its ancestors and itself."""
        query, key, value = self.project(x_BKD, turn)
        now = (torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2))
        return self.output(joined(attend(query, *now, mask=ancestor_BKN[:, None]))), now


class CrossAttention(nn.Module):
    """Keys and values of the memory are projected once; queries come at every step, any number of them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = matrix(width, width)
        self.memory = matrix(width, 2 * width, parts=2)
        self.output = matrix(width, width)

    def project(self, memory_BSD: Tensor) -> Pair:
        """Keys and values."""
        key, value = split(self.memory(memory_BSD), 2, self.heads)
        return key, value

    def forward(self, x_BTD: Tensor, memory: Pair, layout: Layout) -> Tensor:
        (query,) = split(self.query(x_BTD), 1, self.heads)
        return self.output(joined(attend(query, *memory, layout=layout)))

    def weights(self, x_BTD: Tensor, memory: Pair, layout: Layout) -> Tensor:
        """Where each query looks, [B, H, T, S]."""
        (query,) = split(self.query(x_BTD), 1, self.heads)
        return attention_weights(query, memory[0], layout=layout)


def split(x_BTD: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """What lies side by side in the last dimension, each [B, H, T, d]."""
    B, T, D = x_BTD.shape
    return x_BTD.view(B, T, parts, heads, D // (parts * heads)).permute(2, 0, 3, 1, 4).unbind()


def joined(x_BHTd: Tensor) -> Tensor:
    """[B, T, D]"""
    return x_BHTd.transpose(1, 2).flatten(2)


class EncoderBlock(nn.Module):
    """Self-attention, then the feed-forward block."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm, self.attention = make_norm(cfg), SelfAttention(cfg.width, cfg.heads)
        self.feed_forward_norm = make_norm(cfg)
        self.feed_forward = FeedForward(cfg.width, cfg.inner, cfg.activation)
        self.dropout = Dropout(cfg.dropout)

    def forward(self, x_BSD: Tensor, layout: Layout, turn: Turn | None) -> Tensor:
        x_BSD = x_BSD + self.dropout(self.attention(self.attention_norm(x_BSD), turn, layout=layout))
        return x_BSD + self.dropout(self.feed_forward(self.feed_forward_norm(x_BSD)))


class DecoderBlock(nn.Module):
    """Self-attention over the prefix, attention over the memory, the feed-forward block."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm, self.attention = make_norm(cfg), SelfAttention(cfg.width, cfg.heads)
        self.cross_norm, self.cross = make_norm(cfg), CrossAttention(cfg.width, cfg.heads)
        self.feed_forward_norm = make_norm(cfg)
        self.feed_forward = FeedForward(cfg.width, cfg.inner, cfg.activation)
        self.dropout = Dropout(cfg.dropout)

    def forward(self, x_BTD: Tensor, memory: Pair, layout: Layout, turn: Turn | None) -> Tensor:
        """All positions of a target at once."""
        return self.after(self.prefix(x_BTD, turn), memory, layout)

    def step(
        self, x_BKD: Tensor, memory: Pair, layout: Layout, turn: Turn | None, past: Pair, ancestor_BKN: Tensor
    ) -> tuple[Tensor, Pair]:
        """One position of K targets; and what the next step is to know of it."""
        seen_BKD, now = self.attention.step(self.attention_norm(x_BKD), turn, past, ancestor_BKN)
        return self.after(x_BKD + self.dropout(seen_BKD), memory, layout), now

    def prefix(self, x_BTD: Tensor, turn: Turn | None) -> Tensor:
        """The first part: each position looks at those before it."""
        return x_BTD + self.dropout(self.attention(self.attention_norm(x_BTD), turn, causal=True))

    def after(self, x_BTD: Tensor, memory: Pair, layout: Layout) -> Tensor:
        """The other two."""
        x_BTD = x_BTD + self.dropout(self.cross(self.cross_norm(x_BTD), memory, layout))
        return x_BTD + self.dropout(self.feed_forward(self.feed_forward_norm(x_BTD)))

    def looks(self, x_BTD: Tensor, memory: Pair, layout: Layout) -> Tensor:
        """Where `after` looks, [B, H, T, S]."""
        return self.cross.weights(self.cross_norm(x_BTD), memory, layout)
