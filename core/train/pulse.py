"""Who has stopped moving: every process says now and then how far it is, and a process that waits too long names the one to blame.

A thread publishes; only the main thread counts as moving. So a loop that never ends, a lock and a dead machine all show,
while the many that wait for the one do not.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

EXIT = 5


class Store(Protocol):
    """What processes share, as torch.distributed's stores."""

    def set(self, key: str, value: str) -> Any: ...
    def get(self, key: str) -> bytes: ...
    def check(self, keys: list[str]) -> bool: ...


class Pulse:
    """How far this process is, and when the others were last seen to move."""

    def __init__(
        self,
        store: Store,
        rank: int,
        world: int,
        *,
        name: str,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store, self.rank, self.world, self.name, self.patience, self.clock = (
            store,
            rank,
            world,
            name,
            patience,
            clock,
        )
        self.count, self.waits = 0, True
        """Whether it may stand still: it waits for others, or does what has no measure, as reading the data."""
        now = self.moved = clock()
        self.seen: dict[int, dict[str, Any]] = {}
        self.changed = dict.fromkeys(range(world), now)

    def move(self) -> None:
        """Something got done."""
        self.count += 1
        self.moved = self.clock()

    def stand(self, *, may: bool) -> bool:
        """From here on it may stand still, or must move; what held before."""
        before, self.waits = self.waits, may
        self.move()
        return before

    def tell(self) -> None:
        """Publish how far this process is."""
        self.store.set(str(self.rank), json.dumps({"count": self.count, "waits": self.waits, "name": self.name}))

    def look(self) -> None:
        """See how far the others are."""
        now = self.clock()
        for rank in range(self.world):
            if rank == self.rank or not self.store.check([str(rank)]):
                continue
            said = json.loads(self.store.get(str(rank)))
            if said != self.seen.get(rank):
                self.seen[rank], self.changed[rank] = said, now

    def missing(self) -> str:
        """Who has not moved for too long though nobody lets them wait; empty where there is no such process.

        A process that stands in an exchange of gradients does not know that it waits, so those that got less far are named first.
        """
        now = self.clock()
        if now - self.moved < self.patience:
            return ""
        still: list[tuple[int, int]] = []
        for rank in range(self.world):
            said = self.seen.get(rank)
            if rank != self.rank and not (said and said["waits"]) and now - self.changed[rank] > self.patience:
                still.append((said["count"] if said else 0, rank))
        if not still or (not self.waits and min(still)[0] > self.count):
            return ""  # this one is last itself, and the others will say so
        rank = min(still)[1]
        said = self.seen.get(rank)
        who = f"rank {rank} ({said['name']})" if said else f"rank {rank}"
        seconds = now - self.changed[rank]
        return f"{who} has not moved for {seconds:.0f} seconds; train.patience_seconds = {self.patience:g}"


@contextmanager
def watching(pulse: Pulse) -> Generator[None, None, None]:
    """Inside, a thread publishes and looks; where somebody is missing it says so and ends this process."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(pulse.patience / 4):
            try:
                pulse.tell()
                pulse.look()
            except Exception as error:  # the store went with the process that kept it
                if over.is_set():
                    return
                leave(f"the process that keeps the others together is gone ({type(error).__name__})")
            if said := pulse.missing():
                leave(said)

    pulse.tell()
    thread = threading.Thread(target=watch, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=1)
        pulse.stand(may=True)  # who has left keeps nobody waiting
        with suppress(Exception):
            pulse.tell()


def leave(said: str) -> None:
    """At once: the main thread waits in a library's call and cannot be woken."""
    os.write(2, f"{said}. Go on from the last checkpoint with --resume\n".encode())
    os._exit(EXIT)
