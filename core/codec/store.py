"""Codecs as plain JSON and back, so that a run folder reads raw inputs by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from core.codec.places import PlaceTokenizer
from core.codec.regex import RegexTokenizer
from core.codec.subword import SubwordTokenizer
from core.codec.types import Codec, Codecs
from core.codec.wordpiece import WordPieceTokenizer
from core.codec.words import WordTokenizer
from core.errors import ConfigError, DataError

CODECS: tuple[type[Codec], ...] = (RegexTokenizer, SubwordTokenizer, WordTokenizer, WordPieceTokenizer, PlaceTokenizer)
"""Core's own; a task adds `codec_types`."""


def dump_codecs(codecs: Codecs) -> dict[str, Any]:
    """What `load_codecs` reads; a shared vocabulary is written once."""
    dump = lambda codec: {"kind": codec.kind, **codec.dump()}  # noqa: E731
    return {"source": dump(codecs.source), "target": None if codecs.shared else dump(codecs.target)}


def load_codecs(tree: dict[str, Any], own: Sequence[type[Codec]] = ()) -> Codecs:
    """The codecs of a stored run; `own` are the task's types."""
    kinds = {kind.kind: kind for kind in (*CODECS, *own)}

    def load(part: Any) -> Any:
        if not isinstance(part, dict):
            raise DataError(f"codecs.json: {str(part)[:40]!r} is no codec")
        held = cast("dict[str, Any]", part)
        kind = held.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            raise DataError(f"codecs.json: unknown codec {kind!r}; this installation has {', '.join(sorted(kinds))}")
        try:
            codec = kinds[kind].load({name: value for name, value in held.items() if name != "kind"})
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ConfigError) as error:
            raise DataError(f"codecs.json: no {kind} codec: {type(error).__name__}: {error}") from None
        if wrong := misshapen(codec):
            raise DataError(f"codecs.json: no {kind} codec: `{wrong}` holds what it cannot")
        return codec

    try:
        source, target = tree["source"], tree["target"]
    except KeyError as error:
        raise DataError(f"codecs.json: no {error.args[0]}") from None
    first = load(source)
    return Codecs(source=first, target=first if target is None else load(target))


def misshapen(codec: Any) -> str:
    """The field of a codec that is not of the type that its class says; JSON promises nothing."""
    if not is_dataclass(codec):
        return ""
    hints = get_type_hints(type(codec))
    return next(
        (one.name for one in fields(codec) if one.init and not fits(getattr(codec, one.name), hints[one.name])), ""
    )


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, as far as types of plain data go."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        held = cast("tuple[Any, ...]", value)
        if inner[-1] is Ellipsis:
            return all(fits(one, inner[0]) for one in held)
        return len(held) == len(inner) and all(map(fits, held, inner))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint if hint in (str, int, bool) else True
