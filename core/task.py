"""A domain, as a value: what a task is made of. Only `name`, `config`, `sources`, `codecs` and `metrics` must be given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from core.codec.types import Codec, Codecs
from core.data.alike import Alike
from core.data.config import DataConfig
from core.data.noise import Noise
from core.record import Prediction, Record, Split

if TYPE_CHECKING:  # torch is imported only when a model is
    from core.decode.rules import Rule
    from core.model.features import LearnedFeatures, PrefixFeatures

C = TypeVar("C")
Source = Callable[[C, DataConfig, Split], Iterator[Record]]
"""A data loader. It may download (with progress); it yields records with unique keys, the same ones each time."""
Baseline = Callable[[Sequence[Record], Sequence[Record]], list[str]]
"""A trivial system: (training records, records to answer) -> outputs, one each, in order."""
Solve = Callable[[Sequence[Record]], list[Prediction]]
"""Records -> one prediction each, in order, by one search."""


class Metric(Protocol):
    """Properties are read-only, or no frozen dataclass would satisfy them."""

    @property
    def name(self) -> str: ...  # "exact@5"
    @property
    def signature(self) -> str:  # all that could change the number: "exact|k:5|case:yes|v:1"
        ...
    @property
    def higher_is_better(self) -> bool: ...
    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """float64 [N, n]: one row a record, so that any resampling of records is a choice of rows."""
        ...

    def score(self, rows: np.ndarray) -> float:
        """The value of any multiset of those rows."""
        ...


@runtime_checkable
class OfOne(Protocol):
    """A metric whose formula for many records says little of one: it has another for that."""

    def alone(self, row: np.ndarray) -> float:
        """Of one row of `statistics`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Format(Generic[C]):
    """A native file format of the field. Reading is by the file's ending, writing by `--format`."""

    endings: tuple[str, ...] = ()
    read: Callable[[C, Path], Iterator[Record]] | None = None
    """Records (targets may be None) from a file; raises BadRecord or DataError with the place."""
    single: bool = False
    """A file is one input, a recording say: it keeps its place and its name even where it cannot be read."""
    write: Callable[[Prediction, int], str | bytes] | None = None
    """(prediction, n_best) -> the text of one input, without the final newline; bytes where it is no text."""
    head: str = ""
    """Before the first input of an output."""
    foot: str = ""
    """After the last."""
    between: str = ""
    """Between two inputs of one output, after the newline that ends the first."""
    suffix: str = ""
    """With `--output FOLDER/` one file an input: its key and this. Bytes can be written in no other way."""
    shown: int | None = None
    """Answers that are written where the user names no number; None: all that the search keeps."""
    overrides: tuple[str, ...] = ()
    """key=value settings that `predict` needs for it: word times need `search.align=true`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task(Generic[C]):
    """What differs between domains; core supplies the rest."""

    name: str
    config: type[C]
    """The [task] table of its config files: a frozen dataclass."""
    sources: Mapping[str, Source[C]]
    """Built-in data by name (`data.source`); the first is the default. "jsonl", "files" and "hf" are core's and work for every task."""
    codecs: Callable[[C, Iterable[Record]], Codecs]
    """Its tokenizers and featurizers, fitted on the training records."""
    metrics: Callable[[C], Sequence[Metric]]
    """The first picks checkpoints."""

    codec_types: tuple[type[Codec], ...] = ()
    """Codecs of its own, so that a run folder can be read back."""
    read: Callable[[C, Any, Path], Any] | None = None
    """A JSON value -> source, raising BadRecord; the folder is where relative file names begin. None: a string as it is."""
    read_target: Callable[[C, Any], Any] | None = None
    """The same for targets."""
    rule: Callable[[C, Codecs], Rule | None] | None = None
    """What decoding may not do; None (also from the function) where it may do all."""
    features: Callable[[C, Codecs], PrefixFeatures | LearnedFeatures | None] | None = None
    """What the decoder is told about the prefix, beyond its tokens; None (also from the function) for nothing."""
    augment: Callable[[C], Callable[[Record, np.random.Generator], Record] | None] | None = None
    """A training record -> a variant of it, drawn anew each epoch; None (also from the function) to leave records alone."""
    augment_among: Callable[[C], Callable[[Record, Sequence[Record], np.random.Generator], Record] | None] | None = None
    """The same where a variant takes other training records too (put behind it, mixed in): all of them are given. Where
    this gives a function, `augment` is not asked."""
    canonical: Callable[[C], Callable[[str], str | None]] | None = None
    """When two outputs are the same answer: for duplicates, voting, top-k, leak checks. None for an invalid output."""
    solve: Callable[[C, Codecs, Solve, Sequence[Record]], list[Prediction]] | None = None
    """Answers records by way of several searches: augmented and voted on, in pieces, pair by pair. None: by one."""
    listen: Callable[[C, BinaryIO], Iterator[Record]] | None = None
    """Records as they arrive on standard input (`predict --stream`); None: lines."""
    cost: Callable[[Sequence[Prediction], float], str] | None = None
    """(predictions, seconds that they took) -> what `predict` says about it: speech, its real-time factor."""
    alike: Alike | None = None
    """When two sources are the same to this field, and when nearly (`doctor`). None: by their letters, where they are text."""
    noises: Mapping[str, Noise[C]] | None = None
    """What may happen to its sources, by name (`evaluate --noise`, `train.noise`). None: what may happen to text."""
    licences: Mapping[str, str] = field(default_factory=dict[str, str])
    """Under what the records of each source may be passed on, by the source's name; cards say it. Of a source that is not here
    nothing is known: no text of its records is kept in results."""
    limits: str = ""
    """What a model trained with the built-in data is not good for; cards say it."""
    changeable: tuple[str, ...] = ()
    """Keys such as "task.votes" that may still differ once a model is trained."""
    utility: Callable[[str, str], float] | None = None
    """What minimum-Bayes-risk decoding maximises."""
    utilities: Callable[[C, Sequence[Prediction]], Sequence[Callable[[str, str], float]]] | None = None
    """The same where it depends on the record, or is worked out for many at once: of each prediction, how good the one answer
    would be if the other were right."""
    baselines: Mapping[str, Baseline] = field(default_factory=dict[str, Baseline])
    baselines_learn: bool = True
    """They need training records. Where none does, they stand beside scores on anyone's data too."""
    formats: Mapping[str, Format[C]] = field(default_factory=dict[str, "Format[C]"])
    bins: Mapping[str, Callable[[Record], str]] = field(default_factory=dict[str, Callable[[Record], str]])
    """Named ways to break scores down: identity band, reaction class. Length is core's."""
    present: Callable[[Prediction], str] | None = None
    """How this field looks at one result, as HTML, everything in it escaped; reports show it."""
    present_target: Callable[[Prediction], str] | None = None
    """The same for the reference beside it; None: as text."""
    present_legend: str = ""
    """What their colours and marks mean, said once above all examples."""
    present_style: str = ""
    """CSS rules for what `present` gives, in force there alone."""
