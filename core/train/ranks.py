"""The processes of one training under torchrun: who is who, and the few numbers that they tell each other at every step.

What travels here is small and on CPUs (gloo), beside whatever carries gradients, so that nothing of it waits for a GPU.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import time
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from core.errors import ConfigError, UserError
from core.train.pulse import ANSWER, Pulse, watching

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor
    from typing_extensions import TypeIs


SLOTS = 16
"""Numbers of one exchange."""


class Apart(UserError):
    """Processes of one training are not where they should be."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of its training; alone, nothing is told to anybody."""

    rank: int = 0
    world: int = 1
    local: int = 0
    """Among those of its machine."""
    group: dist.ProcessGroup | None = None
    """Of small things."""
    pulse: Pulse | None = None
    names: tuple[str, ...] = ()
    """Machine and process of each."""

    @property
    def first(self) -> bool:
        """Whether this one writes files and speaks to the user."""
        return self.rank == 0

    def share(self, things: Sequence[Any]) -> list[Any]:
        """What of them is this process's to do."""
        return list(things[self.rank :: self.world])

    def gathered(self, values: Sequence[float]) -> list[list[float]]:
        """What each process says, in order; as many numbers from each."""
        if self.world == 1:
            return [list(values)]
        own = torch.zeros(
            SLOTS, dtype=torch.float64
        )  # always as large: gloo ends a process that gets more than it asked for
        own[: len(values) + 3] = torch.tensor([*self.place(), len(values), *values], dtype=torch.float64)
        said = [torch.empty_like(own) for _ in range(self.world)]
        with self.waiting():
            dist.all_gather(said, own, group=self.group)
        if any(not torch.equal(one[:3], own[:3]) for one in said):
            raise self.apart(RuntimeError("they met in different exchanges"))
        return [one[3 : len(values) + 3].tolist() for one in said]

    def place(self) -> tuple[int, int]:
        """Of this process, in numbers."""
        if self.pulse is None:
            return 0, 0
        number, passed = self.pulse.path
        return number, zlib.crc32(passed[-1].encode())

    def total(self, *values: float) -> list[float]:
        """Sums over all processes."""
        return [sum(column) for column in zip(*self.gathered(values), strict=True)]

    def together(
        self, step: int, cursor: Sequence[int], seconds: float, signal: int | None
    ) -> tuple[float, int | None]:
        """The clock and the signal that count for all; raises where somebody is at another step or at other records."""
        if self.world == 1:
            return seconds, signal
        said = self.gathered([step, *cursor, seconds, signal or 0])
        places = [tuple(map(int, one[:-2])) for one in said]
        if len(set(places)) > 1:
            usual = max(places, key=places.count)
            odd = next(rank for rank, place in enumerate(places) if place != usual)
            raise Apart(
                f"{self.who(odd)} is at step {places[odd][0]}, (epoch, window, batch) {places[odd][1:]};"
                f" the others at step {usual[0]}, {usual[1:]}: they have come apart. Go on from the last checkpoint with --resume"
            )
        return max(one[-2] for one in said), int(max(one[-1] for one in said)) or None

    def greatest(self, value: float) -> float:
        """Of what the processes have."""
        return max(self.gathered([value]))[0]

    def signalled(self, signal: int | None) -> int | None:
        """The signal that any process got."""
        return int(self.greatest(signal or 0)) or None

    def all_say(self, yes: bool) -> bool:
        """Whether nobody says no."""
        return min(self.gathered([float(yes)]))[0] == 1.0

    def summed(self, value: Tensor) -> Tensor:
        """The sum over all processes, of a number that stays on its device."""
        if self.world == 1:
            return value
        value = value.detach().clone()
        with self.waiting():
            dist.all_reduce(value)
        return value

    def told(self, tree: Any) -> list[Any]:
        """What each process says, in order: JSON of any length."""
        if self.world == 1:
            return [tree]
        raw = torch.frombuffer(bytearray(json.dumps(tree).encode("utf-8", "surrogatepass")), dtype=torch.uint8)
        sizes = [int(one[0]) for one in self.gathered([len(raw)])]
        own = torch.zeros(max(sizes), dtype=torch.uint8)
        own[: len(raw)] = raw
        said = [torch.empty_like(own) for _ in range(self.world)]
        with self.waiting():
            dist.all_gather(said, own, group=self.group)
        return [
            json.loads(bytes(one[:size].numpy()).decode("utf-8", "surrogatepass"))
            for one, size in zip(said, sizes, strict=True)
        ]

    def who(self, rank: int) -> str:
        """For people."""
        return f"rank {rank} ({self.names[rank]})"

    def alike(self, what: str, facts: dict[str, Any]) -> None:
        """Raises where a process has other facts than most; of two halves the first process is right."""
        said = self.told(facts) if self.world > 1 else []
        for name in facts:
            values = [one[name] for one in said]
            usual = max(values, key=values.count, default=None)
            for rank, value in enumerate(values):
                if value != usual:
                    raise Apart(
                        f"{what}: {name} is {value} on {self.who(rank)}, {usual} on {self.who(values.index(usual))}"
                    )

    def at(self, place: str) -> None:
        """This process has come to a place, by which all come in the same order."""
        if self.pulse is not None:
            self.pulse.at(place)

    def meet(self) -> None:
        """Nobody goes on before all are here."""
        self.gathered([0.0])

    @contextmanager
    def first_alone(self) -> Generator[None, None, None]:
        """The first process does it before the others: what it downloads and keeps, they find."""
        if self.first:
            done = False
            try:
                yield
                done = True
            finally:
                self.told(done)
        elif self.told(True)[0]:
            yield
        else:
            raise Apart("rank 0 has ended with an error of its own")

    @contextmanager
    def waiting(self) -> Generator[None, None, None]:
        """Inside, this process waits for others: that nothing moves here is no fault of its own."""
        if self.pulse is None:
            yield
            return
        before = self.pulse.stand(may=True)
        try:
            yield
        except RuntimeError as error:
            raise self.apart(error) from None
        self.pulse.stand(may=before)

    @contextmanager
    def exchanging(self) -> Generator[None, None, None]:
        """Inside, gradients are exchanged: that a connection breaks is told from what goes wrong in the work itself."""
        try:
            yield
        except RuntimeError as error:
            if self.pulse is None or not of_connection(error):
                raise
            raise self.apart(error) from None

    def apart(self, error: RuntimeError) -> Apart:
        """Who is to blame for a broken connection."""
        assert self.pulse is not None
        said = self.pulse.blamed(first_line(error))
        if self.first and not launcher_keeps_store():
            time.sleep(ANSWER)  # what the others ask is answered here
        return Apart(f"{said}. Go on from the last checkpoint with --resume")

    @contextmanager
    def resting(self) -> Generator[None, None, None]:
        """Inside, it may take as long as it takes."""
        before = self.pulse.stand(may=True) if self.pulse is not None else True
        yield
        if self.pulse is not None:
            self.pulse.stand(may=before)

    @contextmanager
    def working(self) -> Generator[None, None, None]:
        """Inside, this process must be seen to move."""
        if self.pulse is None:
            yield
            return
        before = self.pulse.stand(may=False)
        try:
            yield
        finally:
            self.pulse.stand(may=before)

    def moved(self) -> None:
        """Something got done here."""
        if self.pulse is not None:
            self.pulse.move()


ALONE = Ranks()


@contextmanager
def joined(device: torch.device, patience: float) -> Generator[Ranks, None, None]:
    """All processes that torchrun has started, or this one alone; who does not move for `patience` seconds is named."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if not dist.is_available():
        raise ConfigError("this build of torch has no torch.distributed: start one process")
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if device.type == "cuda":
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    limit = datetime.timedelta(seconds=20 * patience)  # the pulse is quicker, and knows names
    dist.init_process_group(backend, timeout=limit)
    small = dist.new_group(backend="gloo", timeout=limit)
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    client = dist.TCPStore(host, port, is_master=False, timeout=limit)  # pyright: ignore[reportPrivateImportUsage]
    store = dist.PrefixStore("pulse", client)  # pyright: ignore[reportPrivateImportUsage]
    pulse = Pulse(store, rank, world, name=f"{socket.gethostname()}, process {os.getpid()}", patience=patience)
    try:
        with watching(pulse):
            ranks = Ranks(rank, world, local, small, pulse)  # pyright: ignore[reportArgumentType]
            yield replace(ranks, names=tuple(ranks.told(pulse.name)))
    except Apart:
        raise
    except BaseException as error:
        with suppress(Exception):
            pulse.end(first_line(error))
        raise
    finally:
        dist.destroy_process_group()


def launcher_keeps_store() -> bool:
    """torchrun does; where processes are started by other means, the first one keeps what they share."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def of_connection(error: RuntimeError) -> bool:
    """Whether another process is at fault, as far as its words tell."""
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "Connection closed" in str(error)


def first_line(error: BaseException) -> str:
    """What it says, shortly."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that lies in parts on several processes (all of them must ask), any other as it is."""
    return tensor.full_tensor() if in_parts(tensor) else tensor


def like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """A whole tensor, in parts where the pattern is."""
    if not in_parts(pattern):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(pattern.device), pattern.device_mesh, pattern.placements)


def own_part(tensor: Tensor) -> Tensor:
    """What of it lies here; a change of it is a change of the tensor."""
    return tensor.to_local() if in_parts(tensor) else tensor


def in_parts(tensor: Tensor) -> TypeIs[DTensor]:
    """Whether it is of several processes; where there is one, nothing is imported to know."""
    return hasattr(tensor, "full_tensor")
