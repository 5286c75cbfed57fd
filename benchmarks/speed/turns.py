"""Programs that race by turns: each in a process of its own that waits until it is asked, so that nothing but one turn runs at a time.

Turns go forth and back (A B C, C B A, ...), so that a machine that grows slower or faster favours none of them. Of every turn
both the wall time and the processor time are known: on a machine that others use the second says more, with one thread.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from core.errors import UserError

Clock = Literal["wall", "processor"]


class Fallen(UserError):
    """A program that ended before its turn was over."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of them did when asked."""

    wall: float
    processor: float
    answer: Any

    def seconds(self, clock: Clock) -> float:
        """By this clock."""
        return self.wall if clock == "wall" else self.processor


def serve(make: Callable[[], Callable[[Any], Any]]) -> None:
    """In the process of a program: answer every line of JSON on standard input with one on what was standard output.

    What answers is made once that is out of the reach of whatever libraries print.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    work = make()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        wall, processor = time.perf_counter(), time.process_time()
        answer = work(request)
        spent = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
        print(json.dumps(spent | {"answer": answer}), file=answers, flush=True)


class Racer:
    """A program that waits for its turns."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | dict(environment),
        )

    def wait(self) -> None:
        """Until it is ready."""
        self._answer()

    def turn(self, request: Any) -> Turn:
        """Ask, and wait for the answer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # reading says what became of it
        return Turn(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Fallen(f"{self.name} ended with status {self.process.wait()}; what it said stands above")
        return json.loads(line)

    def close(self) -> None:
        """No more turns."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def racing(commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> Generator[dict[str, Racer]]:
    """All started side by side, ready, and ended with the block."""
    racers: dict[str, Racer] = {}
    try:
        for name, command in commands.items():
            racers[name] = Racer(name, command, environment)
        for one in racers.values():
            one.wait()
        yield racers
    finally:
        for one in racers.values():
            one.close()


@dataclass(frozen=True, slots=True)
class Race:
    """What all of them took for one request, round by round."""

    seconds: dict[str, list[float]]
    answers: dict[str, Any]
    """Of the first turn."""
    clock: Clock = "wall"
    warm: dict[str, Turn] = field(default_factory=dict[str, Turn])

    def median(self, name: str) -> float:
        """Seconds of a turn."""
        return statistics.median(self.seconds[name])

    def ratio(self, own: str, other: str) -> float:
        """How many times as fast `own` is: the ratio of the medians."""
        return self.median(other) / self.median(own)

    @property
    def rounds(self) -> int:
        """That all have run."""
        return min(map(len, self.seconds.values()))


def race(
    racers: Mapping[str, Racer], request: Any, *, seconds: float, clock: Clock, least: int = 1, most: int = 15
) -> Race:
    """A turn each to warm up, then rounds in alternating order until this much wall time is spent, at least `least` and at most
    `most` of them."""
    begun = time.perf_counter()
    warm = {name: one.turn(request) for name, one in racers.items()}
    taken: dict[str, list[float]] = {name: [] for name in racers}
    order = list(racers)
    for number in range(most):
        left = seconds - (time.perf_counter() - begun)
        if number >= least and left < sum(turn.wall for turn in warm.values()):
            break
        for name in order if number % 2 == 0 else reversed(order):
            taken[name].append(racers[name].turn(request).seconds(clock))
    return Race(taken, {name: turn.answer for name, turn in warm.items()}, clock, warm)
