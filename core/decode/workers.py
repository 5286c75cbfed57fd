"""Batches answered side by side, each by one thread, where a step uses one thread only: as CTranslate2 does with workers.

A native step lets go of Python's lock, and so do torch's kernels; each batch is searched as it would be alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


def side_by_side(
    ask: Callable[[Asked], Answered], items: Iterable[Asked], workers: int
) -> Iterator[tuple[Asked, Answered]]:
    """(item, answer) in the order of the items; with one worker, here and now."""
    if workers < 2:
        for item in items:
            yield item, ask(item)
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # new threads take this number over
    try:
        with ThreadPoolExecutor(workers, thread_name_prefix="answers") as pool:
            waiting = deque[tuple[Asked, Future[Answered]]]()
            try:
                for item in items:
                    waiting.append((item, pool.submit(ask, item)))
                    if len(waiting) > workers:
                        first, answer = waiting.popleft()
                        yield first, answer.result()
                while waiting:
                    first, answer = waiting.popleft()
                    yield first, answer.result()
            finally:
                for _, one in waiting:
                    one.cancel()
    finally:
        torch.set_num_threads(threads)
