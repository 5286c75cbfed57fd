"""Trivial systems: what a model has to beat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.record import Record

TOKEN = re.compile(r"\w+|[^\w\s]")


def most_frequent(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The program that training has most often, the first of equals."""
    counts = Counter(record.target for record in train)
    return [counts.most_common(1)[0][0] if counts else ""] * len(records)


def nearest(train: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """The program of the training request that shares most of its different words (Jaccard), the first of equals."""
    if not train:
        return [""] * len(records)
    bags = [words(record) for record in train]
    size = np.array([len(bag) for bag in bags], dtype=np.float64)
    lists: dict[str, list[int]] = {}
    for number, bag in enumerate(bags):
        for word in bag:
            lists.setdefault(word, []).append(number)
    places = {word: np.array(numbers) for word, numbers in lists.items()}
    outputs: list[str] = []
    for record in records:
        bag = words(record)
        shared = np.zeros(len(train))
        for word in bag:
            if word in places:
                shared[places[word]] += 1
        outputs.append(train[int((shared / np.maximum(size + len(bag) - shared, 1)).argmax())].target)
    return outputs


def words(record: Record) -> set[str]:
    """Words, numbers and signs of a request, in small letters."""
    return set(TOKEN.findall(str(record.source).lower()))
