"""Results that cost time, kept while there is room for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Keeping(Generic[T]):
    """By key, at most so many bytes; the one unused for the longest time goes first. Threads may share it."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self.kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self.lock = Lock()

    def get(self, key: Hashable) -> T | None:
        """None where it is not (or no longer) kept."""
        with self.lock:
            if key not in self.kept:
                return None
            self.kept.move_to_end(key)
            return self.kept[key][0]

    def put(self, key: Hashable, value: T, size: int) -> T:
        """The value again."""
        with self.lock:
            if key not in self.kept and size <= self.most:
                self.kept[key] = value, size
                self.bytes += size
            while self.bytes > self.most:
                _, (_, dropped) = self.kept.popitem(last=False)
                self.bytes -= dropped
        return value
