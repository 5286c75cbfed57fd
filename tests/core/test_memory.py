"""How much memory there is: the least of what the process's limit, its control groups and the machine leave."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.config import Impossible
from core.train.memory import Left, addressed, fenced, left
from tests.conftest import ROOT

MIB = 2**20


def tree(place: Path, cgroup: str, files: dict[str, str], available: int = 10**6) -> tuple[Path, Path]:
    """What the kernel shows, as far as it is asked."""
    proc, groups = place / "proc", place / "groups"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "statm").write_text("1000 1 1 1 0 1 0\n")
    (proc / "self" / "cgroup").write_text(cgroup)
    (proc / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemFree: 5 kB\nMemAvailable:    {available} kB\n")
    for name, text in files.items():
        path = groups / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc, groups


def second(limit: str, used: int, idle: int = 0) -> dict[str, str]:
    return {"memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": f"anon 7\ninactive_file {idle}\n"}


def inside(place: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{place}/{name}": text for name, text in files.items()}


CASES = {
    "no group": ("", {}, 1, Left(10**6 * 1024, "memory of the machine")),
    "of four processes": ("", {}, 4, Left(10**6 * 256, "memory of the machine")),
    "a group": (
        "0::/job\n",
        inside("job", second(str(500 * MIB), 120 * MIB, 20 * MIB)),
        2,
        Left(200 * MIB, "the control group"),
    ),
    "a group without a limit": (
        "0::/job\n",
        inside("job", second("max", 1)),
        1,
        Left(10**6 * 1024, "memory of the machine"),
    ),
    "a group above": (
        "0::/slice/job\n",
        inside("slice", second(str(100 * MIB), 40 * MIB)) | inside("slice/job", second(str(90 * MIB), 10 * MIB)),
        1,
        Left(60 * MIB, "the control group"),
    ),
    "a group that is not seen from here": (
        "0::/../../elsewhere\n",
        inside(".", second(str(50 * MIB), 60 * MIB)),
        1,
        Left(0, "the control group"),
    ),
    "version 1": (
        "5:cpu,memory:/job\n3:pids:/job\n",
        inside(
            "memory/job",
            {
                "memory.limit_in_bytes": f"{64 * MIB}",
                "memory.usage_in_bytes": f"{32 * MIB}",
                "memory.stat": f"cache 5\ntotal_inactive_file {8 * MIB}\n",
            },
        ),
        1,
        Left(40 * MIB, "the control group"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_least_counts(case: str, tmp_path: Path) -> None:
    cgroup, files, processes, expected = CASES[case]
    proc, groups = tree(tmp_path, cgroup, files)
    assert left(processes, proc=proc, groups=groups) == expected


def test_a_limit_of_the_process_is_not_shared(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    proc, groups = tree(tmp_path, "", {}, available=10**9)
    limit = addressed() + 3 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        found = left(2, proc=proc, groups=groups)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert found == Left(limit - 1000 * resource.getpagesize(), "RLIMIT_AS")


def test_elsewhere_a_number_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(Impossible, match=r"batch.tokens: auto needs a GPU, or Linux"):
        left(proc=tmp_path)


FENCE = """
import resource, torch
from core.train.memory import addressed, fenced
limit = addressed() + 600 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
with fenced(torch.device("cpu"), processes=1, spare=100 * 2**20) as there:
    assert there.by == "RLIMIT_AS", there
    assert 300 * 2**20 < there.size <= 380 * 2**20, there
    torch.ones(there.size // 2, dtype=torch.uint8)
    try:
        torch.ones(there.size + 2**20, dtype=torch.uint8)
    except RuntimeError as error:
        print(error)
assert resource.getrlimit(resource.RLIMIT_AS)[0] == limit
torch.ones(there.size + 2**20, dtype=torch.uint8)
"""


def test_beyond_the_fence_allocations_fail() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FENCE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "can't allocate memory" in done.stdout


def test_the_fence_is_taken_away() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with fenced(torch.device("cpu"), processes=1):
        assert resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    assert resource.getrlimit(resource.RLIMIT_AS) == before
