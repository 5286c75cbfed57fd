"""Tables of vectors, and how one table serves in several places."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

# D width


@dataclass(frozen=True, slots=True)
class Borrowed:
    """An embedding that another module owns: no parameter of the borrower's, so that files hold each matrix once."""

    embedding: nn.Embedding


def embedding(size: int, width: int) -> nn.Embedding:
    """Values are of about unit variance after `embed`, and so are logits where this is the output matrix."""
    made = nn.Embedding(size, width)
    nn.init.normal_(made.weight, std=width**-0.5)
    return made


def embed(ids: Tensor, table: nn.Embedding) -> Tensor:
    """Vectors [..., D], scaled by sqrt(D) (Vaswani et al., 2017)."""
    return table(ids) * math.sqrt(table.embedding_dim)
