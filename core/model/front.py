"""From a source as the codec gives it to vectors that an encoder reads."""

from __future__ import annotations

from torch import Tensor, nn

from core.codec.types import Featurizer, Tokenizer
from core.config import Impossible
from core.nn.embedding import Borrowed, embed, embedding
from core.nn.layout import Layout
from core.nn.linear import matrix
from core.nn.subsampling import Subsampling

# B batch, S source (before or after subsampling), D width, F features

SEGMENTS = 8
"""Parts of a source that are told apart; further ones are taken for the last."""


class SymbolFront(nn.Module):
    """Ids -> vectors, plus one for the part of the source that they belong to (the first, where there are no parts)."""

    def __init__(self, table: nn.Embedding | Borrowed) -> None:
        super().__init__()
        self.borrowed = table if isinstance(table, Borrowed) else None
        if not isinstance(table, Borrowed):
            self.embedding = table
        self.segment = nn.Embedding(SEGMENTS, self.table.embedding_dim)
        nn.init.zeros_(self.segment.weight)

    @property
    def table(self) -> nn.Embedding:
        """Whoever owns it."""
        return self.embedding if self.borrowed is None else self.borrowed.embedding

    def forward(self, source: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
        x_BSD = embed(source, self.table)
        if layout.segment_BS is None:
            return x_BSD + self.segment.weight[0], layout
        return x_BSD + self.segment(layout.segment_BS.clamp(max=SEGMENTS - 1)), layout


class FrameFront(nn.Module):
    """Frames -> vectors. A front may return fewer frames than it was given, with the layout of those."""

    def __init__(self, features: int, width: int, subsample: int = 1) -> None:
        super().__init__()
        self.factor = subsample
        if subsample == 1:
            self.project = matrix(features, width, bias=True)
        else:
            self.subsampling = Subsampling(features, width, subsample)

    def forward(self, source: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
        return (self.project(source), layout) if self.factor == 1 else self.subsampling(source, layout)


def make_front(
    codec: Tokenizer | Featurizer, width: int, shared: nn.Embedding | None, subsample: int = 1
) -> SymbolFront | FrameFront:
    """By the type of the codec; `shared` is the target's table where both sides are to have one."""
    if isinstance(codec, Featurizer):
        return FrameFront(codec.width, width, subsample)
    if subsample != 1:
        raise Impossible("subsample", f"{subsample}: only frames can be subsampled, and this task's source is symbols")
    return SymbolFront(embedding(codec.size, width) if shared is None else Borrowed(shared))
