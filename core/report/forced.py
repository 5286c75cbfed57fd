"""What a model believes of given continuations: teacher forcing, token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.codec.types import PAD, Codecs, Encoded, as_encoded
from core.data.batch import Batch, collate
from core.data.copying import Copying, copies_wanted, copyable
from core.data.encode import place, shorten
from core.errors import ConfigError, DataError
from core.model.seq2seq import Seq2Seq
from core.record import Record

# B batch, T target (with its end), S source, V vocabulary (and copied words), L layers, H heads

TOGETHER = 4096
"""Tokens of a batch, the longer side's pads included."""


@dataclass(frozen=True, slots=True)
class Forced:
    """One continuation under the model; every array is [T], the end symbol included where it was asked about."""

    tokens: tuple[int, ...]
    logp: np.ndarray
    """Of each token."""
    best: np.ndarray
    """Of the likeliest token there."""
    entropy: np.ndarray
    """Of the whole distribution there, in nats."""
    said: tuple[int, ...] = ()
    """The likeliest token of each step."""

    @property
    def right(self) -> np.ndarray:
        """Where the likeliest token is this one."""
        return self.logp >= self.best

    @property
    def total(self) -> float:
        """Log-probability of all."""
        return float(self.logp.sum())


def needs_decoder(model: Seq2Seq) -> None:
    """A model that is its CTC head alone believes nothing token by token."""
    if model.ctc_weight == 1:
        raise ConfigError("model.ctc = 1 leaves the decoder untrained: it cannot score targets token by token")


def target_ids(record: Record, codecs: Codecs, source: Encoded, copy: Copying = True) -> list[int]:
    """The record's own target, in ids that a model which copies may say."""
    try:
        ids = list(codecs.target.encode(record.target))
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"{place(record)}: the target cannot be encoded: {error}") from None
    return list(copies_wanted(record.target, codecs, ids, source.words, copy))


def encoded(record: Record, codecs: Codecs, *, longest: int, copy: Copying) -> Encoded:
    """The source as the search sees it: cut where the model was not trained for more."""
    source = shorten(as_encoded(codecs.source.encode(record.source)), longest)
    return copyable(record.source, codecs, source, copy) if copy else source


def batches(
    model: Seq2Seq, codecs: Codecs, records: Sequence[Record], *, longest: int, targets: Sequence[Sequence[int]] | None
) -> Iterator[Batch]:
    """Of like lengths together. `targets` are ids, one a record; None: the records' own."""
    sources = [encoded(record, codecs, longest=longest, copy=model.copies) for record in records]
    ids = (
        [target_ids(record, codecs, source, model.copies) for record, source in zip(records, sources, strict=True)]
        if targets is None
        else targets
    )
    sizes = [max(len(source.values), len(one) + 1) for source, one in zip(sources, ids, strict=True)]
    rows: list[int] = []
    device = next(model.parameters()).device
    for row in sorted(range(len(records)), key=lambda row: (-sizes[row], row)):
        if rows and sizes[rows[0]] * (len(rows) + 1) > TOGETHER:
            yield collate([sources[one] for one in rows], [ids[one] for one in rows], rows).to(device)
            rows = []
        rows.append(row)
    if rows:
        yield collate([sources[one] for one in rows], [ids[one] for one in rows], rows).to(device)


@torch.inference_mode()
def forced(
    model: Seq2Seq,
    codecs: Codecs,
    records: Sequence[Record],
    *,
    longest: int,
    targets: Sequence[Sequence[int]] | None = None,
    given: Sequence[Sequence[int]] | None = None,
    temperature: float = 1.0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Forced]:
    """In the order of the records; with the end symbol last.

    `given` is read in place of the targets (as long as they are) while these are asked about. `temperature` divides what
    is said before the softmax.
    """
    needs_decoder(model)
    model.eval()
    found: dict[int, Forced] = {}
    for batch in batches(model, codecs, records, longest=longest, targets=targets):
        read = batch if given is None else replace(batch, target=instead(batch, given))
        logp_BTV = tempered(distribution(model, read), temperature)
        said_BT = logp_BTV.gather(-1, batch.wanted_BT[..., None])[..., 0]
        best_BT, likeliest_BT = logp_BTV.max(-1)
        entropy_BT = -(logp_BTV.exp() * logp_BTV.clamp(min=-1e4)).sum(-1)
        for place_, row in enumerate(batch.index):
            wanted = batch.wanted_BT[place_]
            size = int((wanted != PAD).sum())
            arrays = (x[place_, :size].double().cpu().numpy() for x in (said_BT, best_BT, entropy_BT))
            likeliest = tuple(likeliest_BT[place_, :size].tolist())
            found[row] = Forced(tuple(wanted[:size].tolist()), *arrays, said=likeliest)
        progress(batch.size)
    return [found[row] for row in range(len(records))]


def instead(batch: Batch, given: Sequence[Sequence[int]]) -> Tensor:
    """The batch's targets with other tokens between their ends."""
    target = batch.target.clone()
    for place_, row in enumerate(batch.index):
        ids = torch.tensor(list(given[row]), dtype=target.dtype)
        target[place_, 1 : 1 + len(ids)] = ids.to(target.device)
    return target


def distribution(model: Seq2Seq, batch: Batch) -> Tensor:
    """Log-probabilities [B, T, V] after each of `batch.given_BT`."""
    memory = model.encode(batch)
    return model.head.logp(model(batch, memory), memory)


def tempered(logp: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature), from the log-probabilities at 1."""
    return logp if temperature == 1.0 else (logp / temperature).log_softmax(-1)
