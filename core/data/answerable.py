"""Which targets a head can say at all: of records that it cannot, nothing could be learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from core.codec.types import UNK, Encoded

Head = Literal["words", "pointer", "class", "tags", "parallel"]
"""What stands on the encoder: `model.head`."""


def unanswerable(head: Head, source: Encoded, target: Sequence[int]) -> str:
    """Why this head cannot say this target of this source; empty if it can."""
    match head:
        case "pointer":
            if UNK in target:
                return "its target has what stands nowhere in the source, so that nothing can point there"
        case "class":
            if len(target) != 1:
                return f"its target is {len(target)} symbols, a class is one"
        case "tags":
            if len(target) != len(source.values):
                return f"its target has {len(target)} tags for {len(source.values)} symbols of the source"
        case "words" | "parallel":
            pass
    return ""
