"""One model's weights into another: what is alike as it is, tables of symbols row by row where the vocabularies differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core.codec.types import SPECIALS, Codecs, Featurizer, Tokenizer
from core.model.front import SymbolFront
from core.model.seq2seq import Seq2Seq
from core.nn.pointing import PointerHead
from core.train.adapters import adapter_names, plain_weights

# V vocabulary

OF_THE_TASK = ("features.", "told.", "said.")
"""What a task's prefix features have means nothing in another."""


@dataclass(frozen=True, slots=True)
class Carried:
    """By the names of the new model's parameters, adapters left out."""

    whole: tuple[str, ...]
    partly: tuple[str, ...]
    """Tables some of whose rows the old vocabulary lacks: these rows begin anew."""
    fresh: tuple[str, ...]

    @property
    def untaught(self) -> tuple[str, ...]:
        """All in which something begins anew."""
        return self.partly + self.fresh


def carry(new: Seq2Seq, codecs: Codecs, old: Seq2Seq, old_codecs: Codecs, *, same_task: bool) -> Carried:
    """Write into `new` what `old` knows. Adapters of the old model are part of its weights, those of the new one stay as drawn."""
    weights, own = plain_weights(old), adapter_names(new)
    names = {id(one): name for name, one in new.named_parameters()}
    rows = dict[str, Tensor]()
    known = {role: (table, words) for role, table, words in tables(old, old_codecs)}
    with torch.no_grad():
        for role, table, words in tables(new, codecs):
            done_V = rows.setdefault(names[id(table)], torch.zeros(len(table), dtype=torch.bool))
            found, old_words = known.get(role, (None, None))
            if found is None or old_words is None or found.shape[1:] != table.shape[1:]:
                continue
            place_V = places(words, old_words)
            taken_V = (place_V >= 0) & ~done_V  # what a table of two roles has taken for one stays
            table[taken_V.to(table.device)] = found[place_V[taken_V].to(found.device)].to(table.device)
            done_V |= taken_V
        whole, partly, fresh = list[str](), list[str](), list[str]()
        for name, parameter in new.named_parameters():
            if name in own:
                continue
            if name in rows:
                share = rows[name].float().mean()
                (whole if share == 1 else partly if share > 0 else fresh).append(name)
            elif fits(name, parameter, weights, same_task=same_task):
                parameter.copy_(weights[name])
                whole.append(name)
            else:
                fresh.append(name)
    return Carried(tuple(whole), tuple(partly), tuple(fresh))


def fits(name: str, parameter: Tensor, weights: Mapping[str, Tensor], *, same_task: bool) -> bool:
    """The same thing of the same shape."""
    if name.startswith(OF_THE_TASK) and not same_task:
        return False
    return name in weights and weights[name].shape == parameter.shape


def tables(model: Seq2Seq, codecs: Codecs) -> Iterator[tuple[str, Tensor, Tokenizer]]:
    """What has a row for each symbol, by what it does; of two that are one matrix, the target's comes first."""
    yield "target", model.embedding.weight, codecs.target
    if isinstance(model.front, SymbolFront) and not isinstance(codecs.source, Featurizer):
        yield "source", model.front.table.weight, codecs.source
    if not isinstance(model.head, PointerHead):  # which has no words
        yield "output", model.head.weight, codecs.target
        yield "output bias", model.head.bias, codecs.target
    if model.ctc is not None:
        yield "ctc", model.ctc.project.weight, codecs.target
        yield "ctc bias", model.ctc.project.bias, codecs.target


def places(new: Tokenizer, old: Tokenizer) -> Tensor:
    """Each new symbol's id in the old vocabulary, [V]; -1 for one that it lacks, or whose label is not one symbol's alone."""
    if new is old or (new.kind, new.dump()) == (old.kind, old.dump()):
        return torch.arange(new.size)
    labels = [old.label(token) for token in range(len(SPECIALS), old.size)]
    counts = Counter(labels)
    known = {label: number for number, label in enumerate(labels, start=len(SPECIALS)) if counts[label] == 1}
    wanted = [new.label(token) for token in range(len(SPECIALS), new.size)]
    unique = Counter(wanted)
    found = [known.get(label, -1) if unique[label] == 1 else -1 for label in wanted]
    return torch.tensor([*range(len(SPECIALS)), *found])
