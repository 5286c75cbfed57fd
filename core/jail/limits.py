"""Limits that the kernel keeps for each process, and what the jail promises in figures.

Named by the grader too, on any system: `resource`, which some lack, is imported where it is used.
"""

from __future__ import annotations

import math
from pathlib import Path

SCRATCH_MIB = 16
"""Of the file system that a program may write to, where the tier can make one."""
FILE_MIB = 4
"""A file."""
FILES = 64
"""Made by one program, directories and links included: where there is no file system of its own, times FILE_MIB is the bound."""
THREADS = 128
"""Started by one program."""
DESCRIPTORS = 64
PENDING_SIGNALS = 256
"""Timers too."""
STACK_MIB = 64


def mapped_bytes() -> int:
    """The address space that the interpreter itself takes; where no /proc tells, the memory, which is less."""
    import resource

    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def apply(*, memory_bytes: int, seconds: float) -> None:
    """To this process, for good: soft limits equal hard ones."""
    import resource

    whole = math.ceil(seconds)
    fixed = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_DATA: memory_bytes,
        resource.RLIMIT_FSIZE: FILE_MIB << 20,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_RTPRIO: 0,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_SIGPENDING: PENDING_SIGNALS,
        resource.RLIMIT_STACK: STACK_MIB << 20,
    }
    for limit, value in fixed.items():
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
