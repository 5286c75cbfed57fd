"""Codecs as plain JSON and back, so that a run folder reads raw inputs by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.codec.places import PlaceTokenizer
from core.codec.regex import RegexTokenizer
from core.codec.subword import SubwordTokenizer
from core.codec.types import Codec, Codecs
from core.codec.wordpiece import WordPieceTokenizer
from core.codec.words import WordTokenizer
from core.errors import DataError

CODECS: tuple[type[Codec], ...] = (RegexTokenizer, SubwordTokenizer, WordTokenizer, WordPieceTokenizer, PlaceTokenizer)
"""Core's own; a task adds `codec_types`."""


def dump_codecs(codecs: Codecs) -> dict[str, Any]:
    """What `load_codecs` reads; a shared vocabulary is written once."""
    dump = lambda codec: {"kind": codec.kind, **codec.dump()}  # noqa: E731
    return {"source": dump(codecs.source), "target": None if codecs.shared else dump(codecs.target)}


def load_codecs(tree: dict[str, Any], own: Sequence[type[Codec]] = ()) -> Codecs:
    """The codecs of a stored run; `own` are the task's types."""
    kinds = {kind.kind: kind for kind in (*CODECS, *own)}

    def load(part: dict[str, Any]) -> Any:
        kind = part.get("kind")
        if kind not in kinds:
            raise DataError(f"codecs.json: unknown codec {kind!r}; this installation has {', '.join(sorted(kinds))}")
        return kinds[kind].load({name: value for name, value in part.items() if name != "kind"})

    source = load(tree["source"])
    return Codecs(source=source, target=source if tree["target"] is None else load(tree["target"]))
