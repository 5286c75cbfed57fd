"""An assembler for the classic BPF programs that seccomp runs on every system call."""

from __future__ import annotations

import struct
from dataclasses import dataclass

KILL = 0x8000_0000
ERRNO = 0x0005_0000
ASK = 0x7FC0_0000
ALLOW = 0x7FFF_0000

NUMBER_AT, ARCHITECTURE_AT = 0, 4
Instruction = tuple[int, int, int, int]
"""Operation, jump if true, jump if false, constant (struct sock_filter)."""


@dataclass(frozen=True, slots=True)
class Test:
    """Of the low 32 bits of an argument: masked, it must be one of the values. All arguments tested are 32 bits to the kernel too."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFF_FFFF
    high: bool = False
    """The upper 32 bits instead: of pointers, both halves are tested."""


@dataclass(frozen=True, slots=True)
class Line:
    """For one system call: the first line whose tests all hold decides."""

    number: int
    action: int
    tests: tuple[Test, ...] = ()


def load(offset: int) -> Instruction:
    """The word of seccomp_data at this offset into the accumulator."""
    return (0x20, 0, 0, offset)


def mask(bits: int) -> Instruction:
    """The accumulator's bits that are of interest."""
    return (0x54, 0, 0, bits)


def equal(constant: int, yes: int, no: int) -> Instruction:
    """Skip `yes` or `no` instructions."""
    return (0x15, yes, no, constant)


def above(constant: int, yes: int, no: int) -> Instruction:
    """Skip `yes` or `no` instructions; unsigned."""
    return (0x25, yes, no, constant)


def give(action: int) -> Instruction:
    """The decision."""
    return (0x06, 0, 0, action)


def checked(test: Test, left: int) -> list[Instruction]:
    """Falls through if the test holds, otherwise skips `left` instructions after it."""
    block = [load(16 + 8 * test.argument + 4 * test.high), mask(test.mask)]
    for index, value in enumerate(test.values):
        others = len(test.values) - 1 - index
        block.append(equal(value, others, 0 if others else left))
    return block


def assemble(lines: list[Line], otherwise: list[Instruction]) -> list[Instruction]:
    """Lines in order, then `otherwise`. The accumulator holds the call's number wherever a line begins."""
    program: list[Instruction] = []
    for line in lines:
        block: list[Instruction] = [give(line.action)]
        for test in reversed(line.tests):
            block = [*checked(test, len(block)), *block]
        if line.tests:
            block.append(load(NUMBER_AT))
        program += [equal(line.number, 0, len(block)), *block]
    return [*program, *otherwise]


def packed(program: list[Instruction]) -> bytes:
    """As the kernel reads it (little-endian machines only, which both supported ones are)."""
    if len(program) > 4096 or any(not 0 <= jump < 256 for _, yes, no, _ in program for jump in (yes, no)):
        raise ValueError("the program is longer than BPF's jumps and lengths")
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
