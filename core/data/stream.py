"""Batches in keyed order: shuffled by a permutation of a counter, sorted by length in windows, cut by a token budget.

An epoch of the curriculum takes its windows from short to long instead; within a window batches are shuffled as ever.
Where sources are mixed, an epoch has places, and a mixture says which record stands at each (see mixture.py).

Where the stream stands is a cursor of three numbers, and what comes next is a function of (seed, cursor) alone:
resuming plans at most one window anew, and threads that prepare batches ahead change nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from core.codec.types import Encoded
from core.data.batch import Batch, collate
from core.data.config import BatchConfig
from core.data.examples import Examples
from core.data.mixture import Mixture
from core.data.order import mixed, permuted

Encode = Callable[[int, np.random.Generator], tuple[Encoded, Sequence[int]]]


class Cursor(NamedTuple):
    """The next batch to come."""

    epoch: int = 0
    window: int = 0
    batch: int = 0


class Place(NamedTuple):
    """A batch to be made."""

    after: Cursor
    row_B: np.ndarray
    turn_B: np.ndarray
    """How often each was drawn before."""
    counts: bool = True
    """Whether the batch is this process's to learn from; else it is made with no target tokens."""


class TrainBatches:
    """An endless stream over the training records; each of them once an epoch, but for a mixture."""

    def __init__(
        self,
        examples: Examples,
        cfg: BatchConfig,
        seed: int,
        *,
        encode: Encode | None = None,
        mixture: Mixture | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if len(examples) == 0:
            raise ValueError("no records to train on")
        self.examples, self.cfg, self.seed, self.encode = examples, cfg, seed, encode
        self.rank, self.world, self.mixture = rank, world, mixture
        self.size_N = examples.size_N
        self.length = len(examples) if mixture is None else mixture.places
        self.windows = -(-self.length // cfg.window)

    def plan(self, epoch: int, window: int) -> list[np.ndarray]:
        """The batches of a window, as rows, in order."""
        return [rows for rows, _ in self.drawn(epoch, window)]

    def drawn(self, epoch: int, window: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The same, each with how often its rows came before: the epoch, but for a mixture."""
        begin = window * self.cfg.window
        place_N = np.arange(begin, min(begin + self.cfg.window, self.length))
        if epoch < self.cfg.easy_first:
            row_M, turn_M = self.records(epoch, np.arange(self.length))
            easy = np.lexsort((turn_M, row_M, self.size_N[row_M]))[place_N]
            row_N, turn_N = row_M[easy], turn_M[easy]
        else:
            row_N, turn_N = self.records(epoch, permuted(place_N, self.length, mixed(self.seed, 1, epoch)))
        by_size = np.lexsort((turn_N, row_N, self.size_N[row_N]))
        row_N, turn_N = row_N[by_size], turn_N[by_size]
        batches = cut(np.arange(len(row_N)), self.size_N[row_N], self.cfg.budget, self.cfg.most)
        order = permuted(np.arange(len(batches)), len(batches), mixed(self.seed, 2, epoch, window))
        return [(row_N[batches[number]], turn_N[batches[number]]) for number in order]

    @property
    def most(self) -> int:
        """Records of any batch, whatever the budget."""
        return min(self.cfg.most or self.length, self.cfg.window, self.length)

    def largest(self) -> list[Batch]:
        """No batch takes more of attention, of places or of output words than one of these; of several processes, this one's part."""
        row_N = np.argsort(self.size_N, kind="stable")
        size_N = self.size_N[row_N]
        word_N = size_N if self.examples.target is None else self.examples.target.lengths[row_N] + 1
        count_N = np.clip(self.cfg.budget // size_N, 1, self.most)  # with which a batch of this size ends
        if self.mixture is None:  # which repeats
            count_N = np.minimum(count_N, np.arange(1, len(row_N) + 1))
        found: list[np.ndarray] = []
        for cost_N in (size_N**2, size_N, word_N):  # of a record
            whole_N = count_N * np.maximum.accumulate(cost_N)
            end = int(np.argmax(whole_N))
            if not any(len(places) * cost_N[places].max() >= whole_N[end] for places in found):
                found.append(np.resize(np.argsort(cost_N[: end + 1], kind="stable")[::-1], count_N[end]))
        own = [places[self.rank :: self.world] if len(places) > self.rank else places[:1] for places in found]
        return [self._batch(row_N[places], np.zeros(len(places), np.int64)) for places in own]

    def records(self, epoch: int, place_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which stand at these places of an epoch, and how often each was drawn before."""
        if self.mixture is None:
            return place_N, np.full(len(place_N), epoch)
        return self.mixture.drawn(epoch, place_N, self.seed)

    def batches(self, cursor: Cursor = Cursor()) -> Generator[tuple[Cursor, Batch], None, None]:  # noqa: B008
        """(the cursor after it, batch), for ever, from any place. Closing it ends the threads."""
        if self.cfg.workers:
            yield from ahead(self._places(cursor), self._made, self.cfg.workers)
        else:
            for place in self._places(cursor):
                yield self._made(place)

    def _places(self, cursor: Cursor) -> Iterator[Place]:
        epoch, window, first = cursor
        while True:
            plan = self.drawn(epoch, window)
            for number in range(first, len(plan)):
                row_B, turn_B = plan[number]
                own = slice(self.rank, None, self.world)
                counts = len(row_B) > self.rank
                if not counts:  # fewer records than processes: something to read, so that all do the same
                    own = slice(0, 1)
                yield Place(Cursor(epoch, window, number + 1), row_B[own], turn_B[own], counts)
            first, window = 0, window + 1
            if window == self.windows:
                epoch, window = epoch + 1, 0

    def _made(self, place: Place) -> tuple[Cursor, Batch]:
        after, row_B, turn_B, counts = place
        batch = self._batch(row_B, turn_B)
        return after, batch if counts else replace(batch, tokens=0)

    def _batch(self, row_B: np.ndarray, turn_B: np.ndarray) -> Batch:
        if self.encode is None:
            return self.examples.take(row_B)
        rows = row_B.tolist()
        pairs = [
            self.encode(row, np.random.default_rng(mixed(self.seed, 3, turn, row)))
            for row, turn in zip(rows, turn_B.tolist(), strict=True)
        ]
        return collate([source for source, _ in pairs], [target for _, target in pairs], rows)


def cut(rows: np.ndarray, size: np.ndarray, budget: int, most: int) -> list[np.ndarray]:
    """Runs of rows (sorted by size) whose rectangle fits the budget; a row that alone exceeds it stands alone."""
    batches: list[np.ndarray] = []
    begin = 0
    sizes = size.tolist()
    for end in range(1, len(rows) + 1):
        full = end - begin == most if most else False
        if end == len(rows) or full or sizes[end] * (end + 1 - begin) > budget:
            batches.append(rows[begin:end])
            begin = end
    return batches


def ahead(
    places: Iterator[Place],
    make: Callable[[Place], tuple[Cursor, Batch]],
    workers: int,
) -> Iterator[tuple[Cursor, Batch]]:
    """The same batches in the same order, made by threads while the model works."""
    from concurrent.futures import Future, ThreadPoolExecutor

    with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
        waiting = deque[Future[tuple[Cursor, Batch]]]()
        try:
            for place in places:
                waiting.append(pool.submit(make, place))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def decoding_batches(examples: Examples, budget: int, beams: int) -> Iterator[Batch]:
    """Longest first (so that memory shows at once), cut by source tokens times beams; targets, if any, have no say."""
    size_N = np.maximum(examples.source.lengths, 1)
    rows = np.lexsort((np.arange(len(examples)), size_N))
    for batch in reversed(cut(rows, size_N[rows], max(budget // beams, 1), 0)):
        yield examples.take(batch)
