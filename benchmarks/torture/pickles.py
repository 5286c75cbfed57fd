"""Pickles that run a command when they are read, spelled opcode by opcode: nothing here can read or write one.

Every one calls something that makes a file (`canary`). There are as many as there are ways to name a function, ways to call it, and
functions to call: what a scanner of forbidden names or of one opcode lets through is among them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

NONE, MARK, STOP, TUPLE, EMPTY_TUPLE, EMPTY_DICT, REDUCE, BUILD, OBJ, POP = (
    b"N",
    b"(",
    b".",
    b"t",
    b")",
    b"}",
    b"R",
    b"b",
    b"o",
    b"0",
)
TUPLE1, TUPLE2, NEWOBJ, NEWOBJ_EX, STACK_GLOBAL, MEMOIZE = b"\x85", b"\x86", b"\x81", b"\x92", b"\x93", b"\x94"


@dataclass(frozen=True, slots=True)
class Malice:
    """One pickle."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Function:
    """What is called, and with which words."""

    module: str
    name: str
    words: Callable[[Path], tuple[str, ...]]


def shell(canary: Path) -> tuple[str, ...]:
    """For a shell."""
    return (f"touch '{canary}'",)


def python(canary: Path) -> tuple[str, ...]:
    """For an interpreter."""
    return (f"open({str(canary)!r}, 'w').close()",)


def expression(canary: Path) -> tuple[str, ...]:
    """For `eval`."""
    return (f"open({str(canary)!r}, 'w')",)


FUNCTIONS = (
    Function("os", "system", shell),
    Function("posix", "system", shell),
    Function("os", "popen", shell),
    Function("subprocess", "getoutput", shell),
    Function("subprocess", "getstatusoutput", shell),
    Function("builtins", "exec", python),
    Function("builtins", "eval", expression),
    Function("builtins", "open", lambda canary: (str(canary), "w")),
    Function("io", "open", lambda canary: (str(canary), "w")),
    Function("os", "symlink", lambda canary: ("/dev/null", str(canary))),
    Function("cProfile", "run", python),
    Function("os", "mkdir", lambda canary: (str(canary),)),
    Function("shutil", "copyfile", lambda canary: ("/dev/null", str(canary))),
    Function("timeit", "timeit", python),
    Function("os", "mkfifo", lambda canary: (str(canary),)),
    Function("_io", "FileIO", lambda canary: (str(canary), "w")),
)


def text(word: str) -> bytes:
    """BINUNICODE, which every protocol since 1 has."""
    raw = word.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def line(word: str) -> bytes:
    """UNICODE, as protocol 0 writes a text."""
    return b"V" + word.encode("raw-unicode-escape") + b"\n"


def short(word: str) -> bytes:
    """SHORT_BINUNICODE, or the long one."""
    raw = word.encode()
    return b"\x8c" + bytes([len(raw)]) + raw if len(raw) < 256 else text(word)


def named(one: Function) -> bytes:
    """GLOBAL."""
    return f"c{one.module}\n{one.name}\n".encode()


def stacked(one: Function) -> bytes:
    """STACK_GLOBAL, of protocol 4."""
    return short(one.module) + short(one.name) + STACK_GLOBAL


def reduced_0(one: Function, words: tuple[str, ...]) -> bytes:
    """Protocol 0: nothing but printable characters."""
    return named(one) + MARK + b"".join(map(line, words)) + TUPLE + REDUCE + STOP


def reduced_1(one: Function, words: tuple[str, ...]) -> bytes:
    """Protocol 1."""
    return named(one) + MARK + b"".join(map(text, words)) + TUPLE + REDUCE + STOP


def reduced_2(one: Function, words: tuple[str, ...]) -> bytes:
    """Protocol 2."""
    return b"\x80\x02" + named(one) + MARK + b"".join(map(text, words)) + TUPLE + REDUCE + STOP


def reduced_4(one: Function, words: tuple[str, ...]) -> bytes:
    """Protocol 4, in a frame, memoized."""
    body = stacked(one) + MEMOIZE + MARK + b"".join(map(short, words)) + TUPLE + MEMOIZE + REDUCE + MEMOIZE + STOP
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


def reduced_5(one: Function, words: tuple[str, ...]) -> bytes:
    """Protocol 5."""
    return b"\x80\x05" + stacked(one) + MARK + b"".join(map(short, words)) + TUPLE + REDUCE + STOP


def instance(one: Function, words: tuple[str, ...]) -> bytes:
    """INST, of protocol 0, which calls whatever has that name."""
    return MARK + b"".join(map(line, words)) + f"i{one.module}\n{one.name}\n".encode() + STOP


def object_of(one: Function, words: tuple[str, ...]) -> bytes:
    """OBJ, of protocol 1."""
    return MARK + named(one) + b"".join(map(text, words)) + OBJ + STOP


def within_partial(one: Function, words: tuple[str, ...]) -> bytes:
    """NEWOBJ makes a partial of the function, and REDUCE calls that: no forbidden name is called itself."""
    partial = b"cfunctools\npartial\n" + MARK + named(one) + b"".join(map(text, words)) + TUPLE + NEWOBJ
    return b"\x80\x02" + partial + EMPTY_TUPLE + REDUCE + STOP


def extended(one: Function, words: tuple[str, ...]) -> bytes:
    """NEWOBJ_EX, of protocol 4."""
    partial = (
        b"cfunctools\npartial\n" + MARK + stacked(one) + b"".join(map(short, words)) + TUPLE + EMPTY_DICT + NEWOBJ_EX
    )
    return b"\x80\x04" + partial + EMPTY_TUPLE + REDUCE + STOP


def by_attribute(one: Function, words: tuple[str, ...]) -> bytes:
    """The function is looked up by getattr of a module that __import__ gives: its name is a mere text."""
    module = b"cbuiltins\n__import__\n" + text(one.module) + TUPLE1 + REDUCE
    found = b"cbuiltins\ngetattr\n" + module + text(one.name) + TUPLE2 + REDUCE
    return b"\x80\x02" + found + MARK + b"".join(map(text, words)) + TUPLE + REDUCE + STOP


def mapped(one: Function, words: tuple[str, ...]) -> bytes:
    """`list(map(function, ...))`: the call is made by list."""
    each = b"".join(MARK + text(word) + TUPLE for word in words)
    call = b"cbuiltins\nmap\n" + MARK + named(one) + each + TUPLE + REDUCE
    return b"\x80\x02cbuiltins\nlist\n" + call + TUPLE1 + REDUCE + STOP


def behind_data(one: Function, words: tuple[str, ...]) -> bytes:
    """A harmless dict on top: what is returned looks like a state, and the call was made on the way."""
    return b"\x80\x02" + named(one) + MARK + b"".join(map(text, words)) + TUPLE + REDUCE + POP + EMPTY_DICT + STOP


def after_another(one: Function, words: tuple[str, ...]) -> bytes:
    """The second of two pickles in one stream, as torch's old format has them."""
    return b"\x80\x02}." + reduced_2(one, words)


FORMS: tuple[Callable[[Function, tuple[str, ...]], bytes], ...] = (
    reduced_0,
    reduced_1,
    reduced_2,
    reduced_4,
    reduced_5,
    instance,
    object_of,
    within_partial,
    extended,
    by_attribute,
    mapped,
    behind_data,
    after_another,
)


def broken(canary: Path) -> Iterator[Malice]:
    """Pickles that aim at the reader itself, or at a registry that another program filled."""
    call = named(FUNCTIONS[0]) + text(shell(canary)[0]) + TUPLE1 + REDUCE
    yield Malice("SETITEM on what is no dict", b"\x80\x02" + call + text("a") + text("b") + b"s" + STOP)
    yield Malice("BUILD of a module", b"\x80\x02cos\nenviron\n}" + text("PATH") + text("/x") + b"sb" + call + STOP)
    yield Malice("EXT1", b"\x80\x02\x82\x01" + text(shell(canary)[0]) + TUPLE1 + REDUCE + call + STOP)
    yield Malice("EXT4", b"\x80\x02\x84\xff\xff\xff\x7f" + call + STOP)
    yield Malice("PERSID", b"P../../../etc/passwd\n0" + call + STOP)
    yield Malice("BINPERSID", b"\x80\x02" + text("storage") + b"Q0" + call + STOP)
    yield Malice("NEXT_BUFFER", b"\x80\x05" + call + b"\x97" + STOP)
    yield Malice("a BYTEARRAY8 of 2^63 bytes", b"\x80\x05\x96" + struct.pack("<Q", 1 << 63) + call + STOP)
    yield Malice("a BINUNICODE8 of 2^40 bytes", b"\x80\x04" + call + b"\x8d" + struct.pack("<Q", 1 << 40) + STOP)
    yield Malice("a LONG4 of minus two bytes", b"\x80\x02" + call + b"\x8b" + struct.pack("<i", -2) + STOP)
    yield Malice("MEMO from nowhere", b"\x80\x02" + call + b"j\xff\xff\xff\xff" + STOP)
    yield Malice("no STOP", b"\x80\x02" + call)
    yield Malice("protocol 255", b"\x80\xff" + call + STOP)


def all_of(canary: Path) -> list[Malice]:
    """Every form with every function, and those that are broken."""
    found = [
        Malice(f"{one.module}.{one.name} by {form.__name__}", form(one, one.words(canary)))
        for form, one in product(FORMS, FUNCTIONS)
    ]
    return [*found, *broken(canary)]
