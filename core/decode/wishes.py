"""What a user wants of outputs, in the user's own words -> ids: a forced beginning, phrases to say or not to, allowed symbols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.codec.types import EOS, UNK, Tokenizer
from core.data.batch import Batch
from core.data.lines import read_lines
from core.decode.config import SearchConfig
from core.decode.constraints import AllOf
from core.decode.phrases import Phrases
from core.decode.rules import Rule
from core.errors import BadRecord, ConfigError, DataError
from core.model.state import State
from core.record import Record

# B batch, K hypotheses, V vocabulary

FIELDS = ("prefix", "include", "exclude")
"""Of a record's `meta`."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """Of all records that are asked about, by row."""

    prefixes: Sequence[Sequence[int]]
    phrases: Phrases | None
    rule: Rule | None
    """The task's, with the shortlist where there is one."""

    def prefix(self, batch: Batch) -> Sequence[Sequence[int]] | None:
        """Of these rows."""
        own = [self.prefixes[row] for row in batch.index]
        return own if any(own) else None

    @property
    def any(self) -> bool:
        """Whether anything is wanted beyond the task's rule."""
        return self.phrases is not None or any(self.prefixes)


def wishes(
    records: Sequence[Record],
    cfg: SearchConfig,
    codec: Tokenizer,
    rule: Rule | None,
    read: Callable[[Any], Any] | None = None,
) -> Wishes:
    """`read` makes of a text what the task's codec encodes, as it does for targets."""
    ids = Ids(codec, read)
    common = {name: [ids(one, f"search.{name}") for one in getattr(cfg, name)] for name in FIELDS[1:]}
    if any(within(banned, phrase) for banned in common["exclude"] for phrase in common["include"]):
        raise ConfigError("search.include: a phrase holds one of search.exclude")
    begin = ids(cfg.prefix, "search.prefix") if cfg.prefix else []
    prefixes: list[list[int]] = []
    include: list[list[list[int]]] = []
    exclude: list[list[list[int]]] = []
    for record in records:
        own = {name: record.meta.get(name) for name in FIELDS}
        place = str(record.meta.get("place") or record.key)
        try:
            prefixes.append(begin if own["prefix"] is None else ids(texts(own["prefix"])[0], "meta.prefix"))
            said, unsaid = ([ids(one, f"meta.{name}") for one in texts(own[name])] for name in FIELDS[1:])
        except ConfigError as error:
            raise DataError(f"{place}: {error}") from None
        include.append(common["include"] + said)
        exclude.append(common["exclude"] + unsaid)
        for phrase in include[-1]:
            if any(within(banned, phrase) for banned in exclude[-1]):
                raise DataError(f"{place}: a phrase that must be said holds one that must not")
    phrases = Phrases(include, exclude, codec.size) if any(include) or any(exclude) else None
    if cfg.shortlist:
        wanted = {token for rows in (prefixes, *include) for ids_ in rows for token in ids_}
        only = Only(sorted(wanted | listed(cfg.shortlist, ids)), codec.size)
        rule = only if rule is None else AllOf(rule, only)
    return Wishes(prefixes, phrases, rule)


@dataclass(frozen=True, slots=True)
class Ids:
    """Text -> ids that an output can hold, or a plain refusal."""

    codec: Tokenizer
    read: Callable[[Any], Any] | None

    def __call__(self, text: str, name: str) -> list[int]:
        try:
            ids = list(self.codec.encode(text if self.read is None else self.read(text)))
        except (BadRecord, TypeError, ValueError, KeyError) as error:
            raise ConfigError(f"{name}: {text!r} is no output of this task: {error}") from None
        if not ids:
            raise ConfigError(f"{name}: {text!r} has no symbols")
        if min(ids) <= UNK:
            raise ConfigError(f"{name}: {text!r} holds a symbol that the vocabulary of this run lacks")
        return ids


class Only:
    """No symbols but these, and the end."""

    def __init__(self, tokens: Sequence[int], vocabulary: int) -> None:
        self.legal_V = torch.zeros(vocabulary, dtype=torch.bool)
        self.legal_V[[EOS, *tokens]] = True

    def start(self, batch: Batch, beams: int = 1) -> State:
        """Nothing to remember."""
        return {"none": torch.zeros((batch.size, beams, 1), device=batch.source.device)}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        """Always the same."""
        return state, self.legal_V.to(token_BK.device).expand(*token_BK.shape, -1)


def listed(path: str, ids: Ids) -> set[int]:
    """The symbols of a shortlist's lines; those that the vocabulary lacks cannot be said anyway."""
    if not Path(path).is_file():
        raise ConfigError(f"search.shortlist = {path!r}: no such file")
    lines = [line.text for line in read_lines(Path(path)) if line.text.strip()]
    said = (ids.codec.encode(one if ids.read is None else ids.read(one)) for one in lines)
    found = {token for some in said for token in some if token > UNK}
    if not found:
        raise ConfigError(f"search.shortlist = {path!r}: no symbol of this run's vocabulary")
    return found


def texts(value: Any) -> list[str]:
    """A text or a list of texts, as meta may hold them."""
    some = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(some, list | tuple) or not all(isinstance(one, str) and one for one in some):
        raise ConfigError(f"{value!r}: a text, or a list of texts, is right")
    return list(some)


def within(part: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether these ids stand in those, side by side."""
    return any(list(whole[n : n + len(part)]) == list(part) for n in range(len(whole) - len(part) + 1))
