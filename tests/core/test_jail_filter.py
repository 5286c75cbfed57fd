"""The filter of system calls, run by BPF's own rules for both machines, and the folder that is emptied of anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.jail import bpf, kernel, scratch, seccomp


def defined(path: Path, prefix: str) -> dict[str, int]:
    """Numbers in a header of the kernel's."""
    words = [
        line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(f"#define {prefix}")
    ]
    return {word[1].removeprefix(prefix): int(word[2]) for word in words if len(word) > 2 and word[2].isdigit()}


def test_system_calls_have_the_kernels_numbers() -> None:
    headers = (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h"))
    if not all(header.exists() for header in headers):
        pytest.skip("the kernel's headers are not installed")
    x86, generic = defined(headers[0], "__NR_"), defined(headers[1], "__NR_")
    generic |= {
        name.replace("fstatat", "newfstatat"): number for name, number in defined(headers[1], "__NR3264_").items()
    }
    for name, (first, second) in kernel.NUMBERS.items():
        assert first is None or x86.get(name, first) == first, name
        assert second is None or generic.get(name, second) == second, name
        assert name in x86 or name in generic, name


def decided(program: list[bpf.Instruction], number: int, *arguments: int, architecture: int | None = None) -> int:
    """What a filter decides, by the rules of BPF."""
    words = [number, kernel.AUDITED_AS[kernel.machine()] if architecture is None else architecture, 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF]
    accumulator, at = 0, 0
    while True:
        code, yes, no, constant = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = words[constant // 4]
            case 0x54:
                accumulator &= constant
            case 0x15:
                at += yes if accumulator == constant else no
            case 0x25:
                at += yes if accumulator > constant else no
            case _:
                return constant


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_decides_as_it_says(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr(kernel.platform, "machine", lambda: machine)
    filter_of_777 = seccomp.allowed(777, counted=True)
    bpf.packed(filter_of_777)

    def gives(name: str, *arguments: int) -> int:
        number = kernel.number(name)
        assert number is not None
        return decided(filter_of_777, number, *arguments)

    denied = seccomp.refuse(1)
    assert gives("read") == gives("mmap") == gives("exit_group") == gives("futex") == bpf.ALLOW
    assert gives("kill", 777, 9) == gives("tgkill", 777, 5, 6) == bpf.ALLOW
    assert {gives("kill", other, 9) for other in (0, 1, 776, -1 & 0xFFFFFFFF, -777 & 0xFFFFFFFF)} == {denied}
    assert gives("clone", 0x3D0F00) == bpf.ALLOW
    assert {gives("clone", flags) for flags in (17, 0x4111, 0x10000000 | 0x10000, 0x100)} == {denied}
    assert gives("clone3") == gives("openat2") == seccomp.refuse(38)
    assert gives("socketpair", 1, 1 | 0o2000000) == bpf.ALLOW
    assert {gives("socketpair", *kind) for kind in ((1, 2), (1, 5), (2, 1))} == {denied}
    assert gives("sendto", 3, 4, 5, 0, 0, 0) == bpf.ALLOW
    assert {gives("sendto", 3, 4, 5, 0, address, 16) for address in (1, 1 << 40)} == {denied}
    assert gives("openat", 0, 0, 0) == gives("openat", 0, 0, 0o101) == gives("openat", 0, 0, 0o1101) == bpf.ALLOW
    assert gives("openat", 0, 0, 0o1000) == seccomp.refuse(13)
    assert gives("prlimit64", 0) == gives("prlimit64", 777) == bpf.ALLOW
    assert (
        gives("prlimit64", 1) == gives("prctl", 4) == gives("seccomp") == gives("unshare") == gives("mount") == denied
    )
    assert gives("fcntl", 3, 3) == bpf.ALLOW
    assert gives("fcntl", 3, 8) == gives("fcntl", 3, 1031) == denied
    assert gives("ioctl", 3, 0x5401) == bpf.ALLOW
    assert gives("ioctl", 3, 0x5412) == seccomp.refuse(25)
    assert gives("fchmodat") == gives("fchownat") == seccomp.refuse(0)
    assert decided(filter_of_777, 0x40000000 | 39) == bpf.KILL
    assert decided(filter_of_777, 451) == seccomp.refuse(38)
    assert decided(filter_of_777, 0, architecture=0x40000003) == bpf.KILL
    uncounted = seccomp.allowed(777, counted=False)
    for name, arguments in (
        ("clone", (0x3D0F00,)),
        ("openat", (0, 0, 0o101)),
        ("openat", (0, 0, 0o20200000)),
        ("mkdirat", ()),
    ):
        number = kernel.number(name)
        assert number is not None
        assert decided(uncounted, number, *arguments) & 0xFFFF0000 == bpf.ERRNO
        assert decided(seccomp.asked(), number, *arguments) == bpf.ASK
    assert decided(seccomp.asked(), kernel.number("openat") or 0, 0, 0, 0) == bpf.ALLOW


def test_scratch_is_emptied_of_anything(tmp_path: Path) -> None:
    place = tmp_path
    here = os.open(place, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("deep", dir_fd=here)
        inner = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    (tmp_path / "shut").mkdir(mode=0)
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "up0").write_text("", encoding="ascii")
    scratch.empty(tmp_path)
    assert list(tmp_path.iterdir()) == []
