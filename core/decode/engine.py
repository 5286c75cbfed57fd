"""Who takes a decoder's steps, as the config asks: the model itself, or a native step with its weights."""

from __future__ import annotations

import sys
from functools import cache

from core.decode.config import SearchConfig
from core.errors import ConfigError
from core.model.seq2seq import Seq2Seq
from core.native.build import CannotBuild, library
from core.native.decoder import native, refusal


def engaged(model: Seq2Seq, cfg: SearchConfig) -> Seq2Seq:
    """The model that a search is to ask; its weights are those of this moment.

    Without a compiler float32 is left to torch, for the answers are the same; int8 is refused, for they are not.
    """
    if cfg.engine == "torch" or cfg.strategy == "ctc":
        return model
    if reason := refusal(model):
        raise ConfigError(f'search.engine = "native": {reason}; "torch" is right')
    try:
        library()
    except CannotBuild as error:
        if cfg.precision != "float32":
            raise ConfigError(f"search.precision = {cfg.precision!r}: {error}") from None
        _say(str(error))
        return model
    return native(model, cfg.precision)


@cache
def _say(reason: str) -> None:
    print(f"search.engine: torch instead of native, since {reason}", file=sys.stderr)
