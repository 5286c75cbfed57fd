"""Who stands still, is gone or elsewhere: every process says now and then where it is, and who waits too long names the one to blame.

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
KEPT = 4
"""So many of the places that it came by a process tells: they stand at two neighbouring ones at most."""
ANSWER = 4.0
"""Seconds that a process has to answer when a connection broke."""


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
        self.store, self.rank, self.world, self.name = store, rank, world, name
        self.patience, self.clock = patience, clock
        self.count, self.waits = 0, True
        """Whether it may stand still: it waits for others, or does what has no measure, as reading the data."""
        self.path: tuple[int, list[str]] = 0, ["the beginning"]
        """How many places it has come by, and the last of them: the same ones in all processes, in the same order."""
        now = self.moved = clock()
        self.seen: dict[int, dict[str, Any]] = {}
        self.changed = dict.fromkeys(range(world), now)

    def move(self) -> None:
        """Something got done."""
        self.count += 1
        self.moved = self.clock()

    def at(self, place: str) -> None:
        """It has come to this place, in words."""
        number, passed = self.path
        self.path = number + 1, [*passed[1 - KEPT :], place]  # at once: a thread reads it
        self.move()

    def stand(self, *, may: bool) -> bool:
        """From here on it may stand still, or must move; what held before."""
        before, self.waits = self.waits, may
        self.move()
        return before

    def own(self) -> dict[str, Any]:
        """What it tells of itself."""
        number, passed = self.path
        return {"count": self.count, "waits": self.waits, "name": self.name, "number": number, "passed": passed}

    def tell(self) -> None:
        """Publish where this process is."""
        self.store.set(str(self.rank), json.dumps(self.own()))

    def look(self) -> None:
        """See where the others are."""
        now = self.clock()
        for rank in range(self.world):
            if rank == self.rank or not self.store.check([str(rank)]):
                continue
            said = json.loads(self.store.get(str(rank)))
            if said != self.seen.get(rank):
                self.seen[rank], self.changed[rank] = said, now

    def who(self, rank: int) -> str:
        """For people."""
        said = self.seen.get(rank)
        return f"rank {rank} ({said['name']})" if said else f"rank {rank}"

    def missing(self) -> str:
        """Who has not moved for too long though nobody lets them wait, or came elsewhere; empty where there is no such process.

        A process that stands in an exchange of gradients does not know that it waits, so those that got less far are named first.
        """
        now = self.clock()
        if now - self.moved < self.patience:
            return ""
        if said := self.elsewhere():
            return said
        still: list[tuple[int, int]] = []
        for rank in range(self.world):
            said = self.seen.get(rank)
            if rank != self.rank and not (said and said["waits"]) and now - self.changed[rank] > self.patience:
                still.append((said["count"] if said else 0, rank))
        if not still or (not self.waits and min(still)[0] > self.count):
            return ""  # this one is last itself, and the others will say so
        rank = min(still)[1]
        seconds = now - self.changed[rank]
        return (
            f"{self.who(rank)} has not moved for {seconds:.0f} seconds{self.where(rank)};"
            f" train.patience_seconds = {self.patience:g}"
        )

    def where(self, rank: int) -> str:
        """The last place that a process told."""
        said = self.seen.get(rank)
        return f", last seen at {said['passed'][-1]!r}" if said else ""

    def elsewhere(self) -> str:
        """Who came to another place than the others did; the first of such places counts, and of two halves rank 0's is right."""
        came: dict[int, dict[int, str]] = {}
        for rank, said in sorted({**self.seen, self.rank: self.own()}.items()):
            first = said["number"] - len(said["passed"]) + 1
            for number, place in enumerate(said["passed"], first):
                came.setdefault(number, {})[rank] = place
        for number in sorted(came):
            places = list(came[number].values())
            usual = max(places, key=places.count)
            for rank, place in came[number].items():
                if place != usual:
                    other = next(one for one, its in came[number].items() if its == usual)
                    return f"{self.who(rank)} came to {place!r} where {self.who(other)} came to {usual!r}: they have come apart"
        return ""

    def end(self, why: str) -> None:
        """This process ends by an error of its own, which the others may name."""
        self.store.set(f"ended {self.rank}", why)

    def broke(self) -> None:
        """Tell all that a connection broke."""
        self.store.set("broken", self.name)
        self.answer()

    def broken(self) -> bool:
        """Whether a connection broke anywhere."""
        return self.store.check(["broken"])

    def answer(self) -> None:
        """Say that this process, at least, is there."""
        self.tell()
        self.store.set(f"here {self.rank}", "1")

    def gone(self) -> str:
        """Who has ended, or does not answer."""
        self.look()
        silent = ""
        for rank in range(self.world):
            if self.store.check([f"ended {rank}"]):
                why = self.store.get(f"ended {rank}").decode("utf-8", "replace")
                return f"{self.who(rank)} has ended: {why}"
            if not self.store.check([f"here {rank}"]):
                silent = silent or f"{self.who(rank)} is gone{self.where(rank)}"
        return silent

    def blamed(self, error: str) -> str:
        """After a connection broke: who is to blame, as far as can be told."""
        try:
            self.broke()
            until = time.monotonic() + ANSWER
            while (said := self.gone()) and "has ended" not in said and time.monotonic() < until:
                time.sleep(0.1)
            return said or self.elsewhere() or f"the connection to other processes broke: {error}"
        except Exception:  # the store went with the process that kept it
            return f"rank 0, or the launcher that keeps the processes together, is gone: {error}"


@contextmanager
def watching(pulse: Pulse) -> Generator[None, None, None]:
    """Inside, a thread publishes and looks; where somebody is missing it says so and ends this process."""
    over = threading.Event()

    def watch() -> None:
        looked = time.monotonic()
        while not over.wait(min(pulse.patience / 4, 1.0)):
            said = ""
            try:
                if pulse.broken():
                    pulse.answer()
                    if over.wait(1.5 * ANSWER):  # who meets the broken connection itself ends by itself
                        return
                    leave(pulse.gone() or "a connection between other processes broke")
                if time.monotonic() - looked < pulse.patience / 4:
                    continue
                looked = time.monotonic()
                pulse.tell()
                pulse.look()
                said = pulse.missing()
            except Exception as error:  # the store went with the process that kept it
                if over.wait(1.5 * ANSWER):
                    return
                leave(f"rank 0, or the launcher that keeps the processes together, is gone ({type(error).__name__})")
            if said:
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
    os.write(2, f"error: {said}. Go on from the last checkpoint with --resume\n".encode())
    os._exit(EXIT)
