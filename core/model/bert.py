"""An encoder of the shape of BERT (Devlin et al., 2019), so that published weights fit: `model.encoder = "bert"`.

x = LayerNorm(word + place + part); then blocks, post-norm: x = LayerNorm(x + A(x)), x = LayerNorm(x + W2 gelu(W1 x)), all maps
with biases, places learned, the gate of GELU exact, epsilon 1e-12. Words and parts of the source come embedded from the front
(whose words are scaled by sqrt(D), as everywhere here). Deviation: dropout is on the embeddings and on the output of each part
of a block, not on the weights of attention. Which weights go where: docs/heads.md and core/train/published.py.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from core.model.config import TransformerConfig
from core.nn.attention import attend
from core.nn.dropout import Dropout, left_out
from core.nn.embedding import embed, embedding
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.transformer import Looks, joined, split

# B batch, S source, D width

EPSILON = 1e-12


class BertBlock(nn.Module):
    """Attention, then the feed-forward block, each followed by its norm."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = matrix(width, 3 * width, parts=3, bias=True)
        self.attention_output = matrix(width, width, bias=True)
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.inner, self.output = matrix(width, inner, bias=True), matrix(inner, width, bias=True)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = Dropout(dropout)

    def forward(self, x_BSD: Tensor, layout: Layout, looks: Looks | None = None) -> Tensor:
        query, key, value = split(self.query_key_value(x_BSD), (self.heads,) * 3)
        seen_BSD = self.attention_output(joined(attend(query, key, value, layout=layout, looks=looks)))
        x_BSD = self.attention_norm(x_BSD + self.dropout(seen_BSD))
        return self.norm(x_BSD + self.dropout(self.output(F.gelu(self.inner(x_BSD)))))


class BertEncoder(nn.Module):
    """A narrower or wider one is mapped to the model's width."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        own = cfg.of_encoder()
        self.places = embedding(cfg.learned_positions, own.width)
        self.places.weight.parts = 0  # pyright: ignore[reportAttributeAccessIssue]  # a table, see places.py
        self.norm = nn.LayerNorm(own.width, eps=EPSILON)
        self.dropout, self.drop = Dropout(cfg.dropout), cfg.layer_drop
        self.blocks = nn.ModuleList(
            BertBlock(own.width, own.heads, own.inner, cfg.dropout) for _ in range(cfg.encoder_layers)
        )
        self.resize = matrix(own.width, cfg.width) if own.width != cfg.width else None

    def forward(self, x_BSD: Tensor, layout: Layout, looks: Looks | None = None) -> Tensor:
        """Words further on than there are places take the last place."""
        place_BS = layout.positions.clamp(max=self.places.num_embeddings - 1)
        x_BSD = self.dropout(self.norm(x_BSD + embed(place_BS, self.places)))
        for block in self.blocks:
            if not left_out(self.drop, training=self.training):
                x_BSD = block(x_BSD, layout, looks)
        return x_BSD if self.resize is None else self.resize(x_BSD)
