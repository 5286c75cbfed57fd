"""How much memory a process may still take, and a fence around that much.

Of a GPU it is what is free there. On a CPU it is the least of three: what its own limit leaves (RLIMIT_AS, `ulimit -v`), what its control
groups leave (those of containers and Slurm; version 1 and 2, caches that the system would give up not counted), and what the machine has
(MemAvailable). The last two are shared by the processes of a training on the same machine. An allocation fails at the fence, where the
system would have ended a process without a word.
"""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from core.config import Impossible

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
SHARE = 0.8
"""Of what is left: the rest is for what else a run does, as decoding dev, and for others on the machine."""


class Left(NamedTuple):
    """Memory that may still be taken, and what says so."""

    size: int
    """Bytes."""
    by: str


def left(processes: int = 1, *, proc: Path = PROC, groups: Path = GROUPS) -> Left:
    """On this machine's CPU, for one of so many processes that share it."""
    if not (proc / "self" / "statm").is_file():
        raise Impossible(
            "batch.tokens", "auto needs a GPU, or Linux, which tells how much memory there is: give a number"
        )
    found = [Left(size // processes, by) for size, by in shared(proc, groups)]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        found.append(Left(max(soft - addressed(proc), 0), "RLIMIT_AS"))
    return min(found)


def shared(proc: Path, groups: Path) -> Iterator[Left]:
    """What processes of the machine and of a control group share."""
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            yield Left(int(rest.split()[0]) * 1024, "memory of the machine")
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, kind, path = line.split(":", 2)
        if kind == "":
            yield from of_groups(groups, path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in kind.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from of_groups(groups / "memory", path, names)


def of_groups(root: Path, path: str, names: tuple[str, str, str]) -> Iterator[Left]:
    """A control group and all above it; one that is not seen from here has no say."""
    limit, usage, idle = names
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        place = root.joinpath(*parts[:depth])
        try:
            most = (place / limit).read_text().strip()
            if most == "max":
                continue
            stat = dict(line.split() for line in (place / "memory.stat").read_text().splitlines())
            used = int((place / usage).read_text()) - int(stat.get(idle, 0))
            yield Left(max(int(most) - used, 0), "the control group")
        except OSError:
            continue


def addressed(proc: Path = PROC) -> int:
    """Bytes of address space that this process has, as RLIMIT_AS counts them."""
    return int((proc / "self" / "statm").read_text().split()[0]) * resource.getpagesize()


@contextmanager
def fenced(device: torch.device, *, processes: int, spare: int = 0) -> Generator[Left, None, None]:
    """Inside, there is a share of what is left, less `spare` bytes; beyond it allocations fail."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        size = max(int(SHARE * free) - spare, 0)
        ballast = torch.empty(free - size, dtype=torch.uint8, device=device)
        yield Left(size, "memory of the GPU")
        del ballast
        return
    before = soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    torch.ones(1 << 22).add_(1)  # what threads there will be, there are: at the fence none can begin
    there = left(processes)
    size = max(int(SHARE * there.size) - spare, 0)
    fence = addressed() + size
    resource.setrlimit(resource.RLIMIT_AS, (fence if soft == resource.RLIM_INFINITY else min(fence, soft), hard))
    try:
        yield Left(size, there.by)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def given_back(device: torch.device) -> None:
    """What was freed is given back, where an allocator would keep it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # of glibc
        trim(0)
