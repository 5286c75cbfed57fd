"""A bar with an ETA where a person watches; silence where not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int, what: str) -> Generator[Callable[[int], None], None, None]:
    """Yields a function that is told how many more are done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    try:
        from tqdm import tqdm
    except ImportError:  # a nicety: everything works without
        yield lambda done: None
        return
    with tqdm(total=total, desc=what, file=sys.stderr, leave=False, dynamic_ncols=True) as bar:
        yield lambda done: (bar.update(done), None)[1]
