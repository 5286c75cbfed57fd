"""Transformer blocks: x + f(norm(x)), pre-norm (Xiong et al., 2020), or norm(x + f(x)), post-norm (Vaswani et al., 2017).

Dropout is on the output of each f; attention weights and the inner layer keep all (as Marian does).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from core.model.config import TransformerConfig
from core.nn.attention import attend
from core.nn.dropout import Dropout
from core.nn.feed_forward import FeedForward
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.places import Where
from core.nn.positions import rotate

# B batch, T query positions, S key positions, D width, H heads, G heads of keys, d width of a head, K hypotheses, N their tokens

Pair = tuple[Tensor, Tensor]
"""Keys and values, each [B, G, S, d]."""
Looks = list[Tensor]
"""Where weights of attention are put, [B, H, T, S] a layer, when somebody asks for them."""


def make_norm(cfg: TransformerConfig) -> nn.Module:
    """LayerNorm (Ba et al., 2016) or RMSNorm (Zhang & Sennrich, 2019)."""
    return nn.LayerNorm(cfg.width) if cfg.norm == "layer" else nn.RMSNorm(cfg.width, eps=1e-6)


class SelfAttention(nn.Module):
    """Queries, keys and values from one matrix product, drawn as so many maps of the size of the keys'."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.size = (heads, kv_heads, kv_heads), width // heads
        parts = heads // kv_heads + 2
        self.input = matrix(width, parts * kv_heads * self.size, parts=parts)
        self.output = matrix(width, width)

    def project(self, x_BTD: Tensor, where: Where) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, T, d], keys and values [B, G, T, d]; the first two turned to their positions."""
        query, key, value = split(self.input(x_BTD), self.heads)
        turn = where.turn
        return (rotate(query, turn), rotate(key, turn), value) if turn else (query, key, value)

    def forward(
        self,
        x_BTD: Tensor,
        where: Where,
        *,
        layout: Layout | None = None,
        causal: bool = False,
        looks: Looks | None = None,
    ) -> Tensor:
        query, key, value = self.project(x_BTD, where)
        if where.near is not None:
            return self.output(joined(where.near.attend(query, key, value, looks)))
        seen = attend(query, key, value, layout=layout, causal=causal, bias=where.bias, looks=looks)
        return self.output(joined(seen))

    def step(self, x_BKD: Tensor, where: Where, past: Pair, ancestor_BKN: Tensor) -> tuple[Tensor, Pair]:
        """K new tokens a source, beside all earlier ones; each sees its ancestors and itself."""
        query, key, value = self.project(x_BKD, where)
        now = (torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2))
        return self.output(joined(attend(query, *now, mask=ancestor_BKN[:, None], bias=where.bias))), now


class CrossAttention(nn.Module):
    """Keys and values of the memory are projected once; queries come at every step, any number of them."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        self.query = matrix(width, width)
        self.memory = matrix(width, 2 * kv_heads * (width // heads), parts=2)
        self.output = matrix(width, width)

    def project(self, memory_BSD: Tensor) -> Pair:
        """Keys and values."""
        key, value = split(self.memory(memory_BSD), (self.kv_heads, self.kv_heads))
        return key, value

    def forward(self, x_BTD: Tensor, memory: Pair, layout: Layout, looks: Looks | None = None) -> Tensor:
        (query,) = split(self.query(x_BTD), (self.heads,))
        return self.output(joined(attend(query, *memory, layout=layout, looks=looks)))


def split(x_BTD: Tensor, heads: Sequence[int]) -> Sequence[Tensor]:
    """What lies side by side in the last dimension, each [B, its heads, T, d]."""
    return x_BTD.unflatten(-1, (sum(heads), -1)).transpose(1, 2).split(list(heads), dim=1)


def joined(x_BHTd: Tensor) -> Tensor:
    """[B, T, D]"""
    return x_BHTd.transpose(1, 2).flatten(2)


class Block(nn.Module):
    """What goes around each part of a block: the sum with its input, a norm before or after, dropout."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.pre = cfg.norm_place == "pre"
        self.dropout = Dropout(cfg.dropout)

    def around(self, part: Callable[[Tensor], Tensor], norm: nn.Module, x: Tensor) -> Tensor:
        """x + f(norm(x)) or norm(x + f(x))."""
        return self.after(norm, x, part(self.before(norm, x)))

    def before(self, norm: nn.Module, x: Tensor) -> Tensor:
        """What a part reads."""
        return norm(x) if self.pre else x

    def after(self, norm: nn.Module, x: Tensor, said: Tensor) -> Tensor:
        """What goes on."""
        x = x + self.dropout(said)
        return x if self.pre else norm(x)


class EncoderBlock(Block):
    """Self-attention, then the feed-forward block."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__(cfg)
        self.attention_norm, self.attention = make_norm(cfg), SelfAttention(cfg.width, cfg.heads, cfg.groups)
        self.feed_forward_norm = make_norm(cfg)
        self.feed_forward = FeedForward(cfg.width, cfg.inner, cfg.activation)

    def forward(self, x_BSD: Tensor, layout: Layout, where: Where, looks: Looks | None = None) -> Tensor:
        seen_BSD = self.attention(self.before(self.attention_norm, x_BSD), where, layout=layout, looks=looks)
        x_BSD = self.after(self.attention_norm, x_BSD, seen_BSD)
        return self.around(self.feed_forward, self.feed_forward_norm, x_BSD)


class DecoderBlock(Block):
    """Self-attention over the prefix, attention over the memory, the feed-forward block."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__(cfg)
        self.attention_norm, self.attention = make_norm(cfg), SelfAttention(cfg.width, cfg.heads, cfg.groups)
        self.cross_norm, self.cross = make_norm(cfg), CrossAttention(cfg.width, cfg.heads, cfg.groups)
        self.feed_forward_norm = make_norm(cfg)
        self.feed_forward = FeedForward(cfg.width, cfg.inner, cfg.activation)

    def forward(
        self,
        x_BTD: Tensor,
        memory: Pair,
        layout: Layout,
        where: Where,
        *,
        back: Looks | None = None,
        across: Looks | None = None,
    ) -> Tensor:
        """All positions of a target at once; where they look in the prefix goes to `back`, in the memory to `across`."""
        seen_BTD = self.attention(self.before(self.attention_norm, x_BTD), where, causal=True, looks=back)
        return self._rest(self.after(self.attention_norm, x_BTD, seen_BTD), memory, layout, across)

    def step(
        self,
        x_BKD: Tensor,
        memory: Pair,
        layout: Layout,
        where: Where,
        past: Pair,
        ancestor_BKN: Tensor,
        across: Looks | None = None,
    ) -> tuple[Tensor, Pair]:
        """One position of K targets; and what the next step is to know of it."""
        seen_BKD, now = self.attention.step(self.before(self.attention_norm, x_BKD), where, past, ancestor_BKN)
        return self._rest(self.after(self.attention_norm, x_BKD, seen_BKD), memory, layout, across), now

    def _rest(self, x_BTD: Tensor, memory: Pair, layout: Layout, across: Looks | None = None) -> Tensor:
        seen_BTD = self.cross(self.before(self.cross_norm, x_BTD), memory, layout, across)
        x_BTD = self.after(self.cross_norm, x_BTD, seen_BTD)
        return self.around(self.feed_forward, self.feed_forward_norm, x_BTD)
