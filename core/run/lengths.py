"""How long sources and targets are, as the model reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.codec.types import Codecs, Featurizer, as_encoded
from core.record import Prediction, Record
from core.run.watched import watched_records

MEASURED = 2000
"""Records of a split whose lengths are taken; of sound and the like a tenth."""


def unit_of(codecs: Codecs) -> str:
    """What the length of a source counts."""
    return "frames" if isinstance(codecs.source, Featurizer) else "tokens"


def lengths_of(records: Sequence[Record], codecs: Codecs) -> dict[str, list[int]]:
    """In tokens or frames, of some records."""
    most = MEASURED // 10 if isinstance(codecs.source, Featurizer) else MEASURED
    some = watched_records(records, most)
    return {
        "source": [len(as_encoded(codecs.source.encode(one.source)).values) for one in some],
        "target": [len(codecs.target.encode(one.target)) for one in some if one.target is not None],
    }


def length_bin(predictions: Sequence[Prediction], sizes: Sequence[int]) -> Callable[[Record], str]:
    """Quarters of the records, by these lengths; names that sort as numbers do."""
    size = {one.record.key: length for one, length in zip(predictions, sizes, strict=True)}
    edges = sorted({int(x) for x in np.quantile(sizes, (0.25, 0.5, 0.75)).tolist()})
    digits = len(str(max(sizes)))
    ends = zip([0, *(edge + 1 for edge in edges)], [*edges, max(sizes)], strict=True)
    names = [f"{low:0{digits}}-{high:0{digits}}" for low, high in ends]
    return lambda record: names[sum(size[record.key] > edge for edge in edges)]
