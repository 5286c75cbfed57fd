"""Transformer blocks, pre-norm: x + f(norm(x)) (Vaswani et al., 2017; Xiong et al., 2020)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from core.model.config import TransformerConfig
from core.nn.attention import attend, attention_weights
from core.nn.dropout import Dropout
from core.nn.positions import rotate

# B batch, T query positions, S key positions, D width, H heads, d width of a head

Turn = tuple[Tensor, Tensor] | None


def make_norm(cfg: TransformerConfig) -> nn.Module:
    """LayerNorm (Ba et al., 2016) or RMSNorm (Zhang & Sennrich, 2019)."""
    return nn.LayerNorm(cfg.width) if cfg.norm == "layer" else nn.RMSNorm(cfg.width, eps=1e-6)


def matrix(inputs: int, outputs: int, *, parts: int = 1, bias: bool = False) -> nn.Linear:
    """A linear layer drawn as `parts` Glorot-uniform ones side by side."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    for part in layer.weight.chunk(parts, dim=0):
        nn.init.xavier_uniform_(part)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class SelfAttention(nn.Module):
    """Queries, keys and values from one matrix product."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.heads = cfg.heads
        self.input = matrix(cfg.width, 3 * cfg.width, parts=3)
        self.output = matrix(cfg.width, cfg.width)

    def project(self, x_BTD: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values [B, H, T, d], turned to their positions."""
        B, T, D = x_BTD.shape
        query, key, value = self.input(x_BTD).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        return (rotate(query, turn), rotate(key, turn), value) if turn else (query, key, value)

    def forward(self, x_BTD: Tensor, mask: Tensor | None, turn: Turn) -> Tensor:
        return self.output(joined(attend(*self.project(x_BTD, turn), mask)))


class CrossAttention(nn.Module):
    """Keys and values of the memory are projected once; queries come at every step."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.heads = cfg.heads
        self.query = matrix(cfg.width, cfg.width)
        self.memory = matrix(cfg.width, 2 * cfg.width, parts=2)
        self.output = matrix(cfg.width, cfg.width)

    def project(self, memory_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [B, H, S, d]."""
        B, S, D = memory_BSD.shape
        key, value = self.memory(memory_BSD).view(B, S, 2, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        return key, value

    def forward(self, x_BTD: Tensor, key: Tensor, value: Tensor, mask_B11S: Tensor) -> Tensor:
        return self.output(joined(attend(split(self.query(x_BTD), self.heads), key, value, mask_B11S)))

    def weights(self, x_BTD: Tensor, key: Tensor, mask_B11S: Tensor) -> Tensor:
        """Where each query looks, [B, H, T, S]."""
        return attention_weights(split(self.query(x_BTD), self.heads), key, mask_B11S)


def split(x_BTD: Tensor, heads: int) -> Tensor:
    """[B, H, T, d]"""
    B, T, D = x_BTD.shape
    return x_BTD.view(B, T, heads, D // heads).transpose(1, 2)


def joined(x_BHTd: Tensor) -> Tensor:
    """[B, T, D]"""
    return x_BHTd.transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    """W2 f(W1 x); SwiGLU (Shazeer, 2020) is W2 (silu(W1 x) * W3 x), W1 and W3 in one product."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.activation = cfg.activation
        parts = 2 if cfg.activation == "swiglu" else 1
        self.inner = matrix(cfg.width, parts * cfg.inner, parts=parts, bias=parts == 1)
        self.output = matrix(cfg.inner, cfg.width, bias=True)

    def forward(self, x_BTD: Tensor) -> Tensor:
        inner = self.inner(x_BTD)
        if self.activation == "swiglu":
            gate, inner = inner.chunk(2, dim=-1)
            return self.output(F.silu(gate) * inner)
        return self.output(F.relu(inner) if self.activation == "relu" else F.gelu(inner))


class EncoderBlock(nn.Module):
    """Self-attention, then the feed-forward block."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.norms = nn.ModuleList(make_norm(cfg) for _ in range(2))
        self.attention, self.feed_forward, self.dropout = SelfAttention(cfg), FeedForward(cfg), Dropout(cfg.dropout)

    def forward(self, x_BSD: Tensor, mask_B11S: Tensor, turn: Turn) -> Tensor:
        x_BSD = x_BSD + self.dropout(self.attention(self.norms[0](x_BSD), mask_B11S, turn))
        return x_BSD + self.dropout(self.feed_forward(self.norms[1](x_BSD)))


class DecoderBlock(nn.Module):
    """Self-attention over the prefix, attention over the memory, the feed-forward block."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.norms = nn.ModuleList(make_norm(cfg) for _ in range(3))
        self.attention, self.cross, self.feed_forward = SelfAttention(cfg), CrossAttention(cfg), FeedForward(cfg)
        self.dropout = Dropout(cfg.dropout)

    def prefix(self, x_BTD: Tensor, mask: Tensor | None, turn: Turn) -> Tensor:
        """The first of three: all positions at once."""
        return x_BTD + self.dropout(self.attention(self.norms[0](x_BTD), mask, turn))

    def rest(self, x_BTD: Tensor, key: Tensor, value: Tensor, mask_B11S: Tensor) -> Tensor:
        """The other two."""
        x_BTD = x_BTD + self.dropout(self.cross(self.norms[1](x_BTD), key, value, mask_B11S))
        return x_BTD + self.dropout(self.feed_forward(self.norms[2](x_BTD)))
