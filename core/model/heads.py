"""Which heads go with which other choices, for every kind of model alike."""

from __future__ import annotations

from typing import Literal, Protocol

from core.config import Impossible
from core.data.answerable import Head
from core.data.copying import Copying

LABELS = ("class", "tags")
"""Heads without a decoder."""
WORDLESS = (*LABELS, "parallel")
"""Heads that read no word of the target."""


class HasHead(Protocol):
    """What the three kinds of models have in common here."""

    @property
    def head(self) -> Head: ...
    @property
    def copy(self) -> bool: ...
    @property
    def coverage(self) -> bool: ...
    @property
    def ctc(self) -> float: ...
    @property
    def subsample(self) -> int: ...
    @property
    def tie(self) -> Literal["auto", "all", "target", "embeddings", "none"]: ...


def check_heads(cfg: HasHead, *, looks: bool) -> None:
    """Refuse what makes no sense, with the reason; `looks`: the decoder has one attention over the source."""
    head = cfg.head
    if head == "pointer" and cfg.copy:
        raise Impossible("copy", "head = 'pointer' says nothing but places of the source already: leave copy out")
    if head in LABELS and cfg.copy:
        raise Impossible("copy", f"head = {head!r} says labels, which stand nowhere in the source: leave copy out")
    if cfg.copy and cfg.ctc:
        raise Impossible(
            "ctc", "a CTC head reads words off the source's places, it cannot copy them; use one of the two"
        )
    if head in (*LABELS, "pointer") and cfg.ctc:
        said = "places" if head == "pointer" else "labels"
        raise Impossible("ctc", f"head = {head!r} says {said}, CTC reads words off the source: use one of the two")
    if head in ("tags", "pointer") and cfg.subsample != 1:
        said = "one tag a symbol" if head == "tags" else "places of the source"
        raise Impossible("subsample", f"head = {head!r} says {said}, so all of them have to be there: use 1")
    if head in WORDLESS and cfg.tie in ("embeddings", "none"):
        reason = f"head = {head!r} reads no words of the target: their only matrix is the output's; use 'auto'"
        raise Impossible("tie", reason)
    if cfg.coverage and head in LABELS:
        raise Impossible("coverage", f"head = {head!r} looks at the source once: there is nothing to cover")
    if cfg.coverage and not (cfg.copy or head == "pointer" or (looks and head == "words")):
        reason = "it follows one attention over the source: set copy = true or head = 'pointer', or kind = 'rnn' with attention"
        raise Impossible("coverage", reason)


def copying(cfg: HasHead) -> Copying:
    """What such a model's batches are to tell of the source's words."""
    return "places" if cfg.head == "pointer" else cfg.copy
